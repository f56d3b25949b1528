"""Checks of [goals.NAME] (checks.py says what a check is), and the goal that is built in."""

from collections.abc import Mapping
from typing import Any

from pushctl.rules.config import checks
from pushctl.rules.limits import MAX_GOAL_NAMES, MAX_ID_CHARACTERS

# An order: it has a state, an amount and refunds, which no event has.
PURCHASE = "purchase"
_LONGEST_DAYS = 90


def event(value: str) -> checks.Verdict:
    if value and value == value.strip() and len(value) <= MAX_ID_CHARACTERS:
        return None
    return f"is {value[:60]!r}", 'Write the name of an event, such as "signed_up".'


def window(value: str) -> checks.Verdict:
    fault = checks.duration(value)
    if fault is not None:
        return fault
    from pushctl.rules import timing
    from pushctl.rules.units import DAY, MINUTE

    if MINUTE <= timing.duration(value) <= _LONGEST_DAYS * DAY:
        return None
    return f"is {value!r}", f"Write a time from 1m to {_LONGEST_DAYS}d, such as '24h'."


def value(value: Any) -> checks.Verdict:
    if isinstance(value, str) and value:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9:
        return None
    remedy = 'Write the name of a property, value = "total", or an amount, value = 2.50.'
    return f"is {str(value)[:40]!r}", remedy


def few(value: Mapping[str, Any]) -> checks.Verdict:
    if len(value) <= MAX_GOAL_NAMES:
        return None
    return (
        f"are {len(value)}",
        f"Write at most {MAX_GOAL_NAMES}: each counts all events.",
    )


def sensible(pair: tuple[str, Any]) -> checks.Verdict:
    """Check a goal's name, and that the orders' own has no settings that it can't have."""
    name, goal = pair
    fault = checks.named(pair)
    if fault is not None or name != PURCHASE:
        return fault
    for setting in ("value", "currency"):
        if getattr(goal, setting) is not None:
            return f"has {setting}; orders have their own", f"Remove {setting}."
    if goal.event not in (None, PURCHASE):
        return f"has event = {goal.event!r}; it counts orders", "Give that goal another name."
    return None

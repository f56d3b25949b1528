"""
The people who reached a step, for shops with few customers: a list to write to by hand.

Furniture to order, wholesale, a training course that needs twelve: each one counts.
"""

from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.triggers import describe
from pushctl.model import Millis
from pushctl.rules import amounts
from pushctl.rules.triggers.enrolment import State
from pushctl.store import Store

# The note stands with the person's attributes, under a name of our own.
NOTE = "pushctl:note"


@dataclass(frozen=True, slots=True)
class Lead:
    subscriber: str
    alias: str | None
    state: str
    step: int  # messages that went out
    value: float | None
    since: Millis
    age: Millis
    about: str
    note: str | None


def list_leads(
    config: Config,
    store: Store,
    name: str,
    now: Millis,
    *,
    step: int = 0,
    since: Millis | None = None,
    state: str | None = None,
) -> list[Lead]:
    """
    Return everyone who is or was enrolled in trigger *name*, the newest first.

    *step*: only those with as many messages; *state*: only active, finished, ...
    """
    describe.check_name(config, store, name)
    if state is not None and state not in set(State):
        raise InputError(f"--state {state!r} is none of {', '.join(State)}.")
    begin = 0 if since is None else now - since
    return [
        Lead(
            row["public_id"],
            row["alias"],
            row["state"],
            row["sent"],
            amounts.plain(amounts.read_number(row["context"].get("value"))),
            row["entered_at"],
            now - row["entered_at"],
            _about(row["context"]),
            row["note"],
        )
        for row in store.histories.list_entered(name, begin, f'$."{NOTE}"')
        if row["sent"] >= step and state in (None, row["state"])
    ]


def note(store: Store, who: int, text: str) -> None:
    """Write a note about a subscription; an empty one removes it."""
    store.subscriptions.set_attributes(who, {NOTE: text or None})


def describe_quorum(leads: list[Lead], need: int) -> str:
    """Return how many different people there are, of those that it takes."""
    have = len({lead.alias or lead.subscriber for lead in leads})
    return f"{have} of {need}: {f'{need - have} more' if have < need else 'complete'}"


def _about(context: dict[str, object]) -> str:
    basket = context.get("cart")
    if isinstance(basket, dict) and basket.get("names"):
        return ", ".join(str(name) for name in basket["names"][:3])
    event = context.get("event")
    if isinstance(event, dict):
        found = event.get("name") or event.get("product") or event.get("title")
        return str(found) if found else ""
    return ""

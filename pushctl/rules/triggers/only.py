"""
``only`` of a step: an audience, in which the trigger's own steps mean this enrolment's.

``clicked('basket/1')`` in a later step of the trigger basket asks about the message that this
enrolment sent, not about last month's basket; ``clicked(step 1)`` and ``clicked(step before)``
say the same. With a time (``within 30d``) it asks about all messages, as everywhere else.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from pushctl.errors import InputError, NotFoundError
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience import parse
from pushctl.rules.audience.expression import Expression
from pushctl.rules.triggers.trigger import Trigger, campaign_name

_OUTCOMES = ("sent", "accepted", "rejected")


class Reacted(NamedTuple):
    """What became of one message of an enrolment, and how often."""

    step: int
    campaign: str
    kind: str  # shown, clicked, closed; sent, accepted, rejected
    times: int = 1


def name_step(trigger: str, number: int) -> str:
    """Return the name under which the settings hold a step's ``only``; no trigger has it."""
    return f"{trigger}/{number}"


def read(trigger: Trigger, number: int, segments: Mapping[str, str]) -> Expression:
    """
    Return what ``only`` of the step *number* (from 1) asks, its own steps as OfStep.

    Raises InputError or NotFoundError with the remedy.
    """
    only = trigger.steps[number - 1].only
    assert only is not None
    return resolve(parse.expand(parse.parse(only, steps=True), segments), trigger, number)


def list_audiences(
    trigger: Trigger, segments: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], str, Callable[[], Expression]]]:
    """
    Yield a trigger's audience and ``only`` of its steps: keys, name, and what reads it.

    The keys are those of its table, the name is that of ``Settings.audiences``.
    """
    if (audience := trigger.audience) is not None:
        yield (
            ("audience",), trigger.name, lambda: parse.expand(parse.parse(audience), segments)
        )  # fmt: skip
    for number, step in enumerate(trigger.steps, 1):
        if step.only is not None:
            keys = "steps", str(number), "only"
            yield (
                keys,
                name_step(trigger.name, number),
                partial(read, trigger, number, segments),
            )


def resolve(expression: Expression, trigger: Trigger, number: int) -> Expression:
    """Return *expression* with the steps of *trigger* before *number* as OfStep."""
    match expression:
        case tree.OfStep(step=step):
            _check_before(trigger, number, step)
            if expression.kind == "shown" and _is_call(trigger, step):
                raise InputError(f"step {step} calls a program: it is never shown")
            return expression
        case tree.Reaction(kind, str(campaign), tree.Count(within=None) as count):
            return _own(trigger, number, campaign, tree.OfStep(kind, 0, None, count)) or (
                expression
            )
        case tree.Outcome(kind, campaign, None):
            return _own(trigger, number, campaign, tree.OfStep(kind, 0)) or expression
    return tree.rebuild(expression, lambda part: resolve(part, trigger, number))


def holds(part: tree.OfStep, before: int, reactions: Sequence[Reacted]) -> bool:
    """
    Return whether *part* holds for an enrolment with *reactions* to its messages.

    *before* is the last step that went out; 0: none did, so nobody clicked it.
    """
    step = part.step or before
    times = sum(
        one.times
        for one in reactions
        if (one.step, one.kind) == (step, part.kind)
        if part.campaign in (None, one.campaign)
    )
    if part.kind in _OUTCOMES:
        return times > 0
    wanted = part.count.times
    return {
        "=": times == wanted, "!=": times != wanted, "<": times < wanted,
        "<=": times <= wanted, ">": times > wanted, ">=": times >= wanted,
    }[part.count.op]  # fmt: skip


def explain_unmet(expression: Expression) -> str:
    """Return in words why *expression* does not hold."""
    if isinstance(expression, tree.Not):
        return tree.explain(expression.part)
    return tree.explain(tree.Not(expression))


def check_steps(
    expression: Expression, known: Collection[str], triggers: Collection[str]
) -> None:
    """Raise NotFoundError for a step of one of *triggers* that is not among the *known*."""
    for name in sorted(tree.list_campaigns(expression) - set(known)):
        if name.partition("/")[0] in triggers:
            raise _build_unknown(name, known)


def _own(
    trigger: Trigger, number: int, campaign: str, asked: tree.OfStep
) -> tree.OfStep | None:
    """Return *asked* of the step that *campaign* names; None: it is another trigger's."""
    name, slash, _ = campaign.partition("/")
    if not slash or name != trigger.name:
        return None
    names: dict[str, tuple[int, str | None]] = {}
    for place, step in enumerate(trigger.steps, 1):
        names[name_step(name, place)] = place, None
        for template in step.templates:
            full = campaign_name(name, place, step, template)
            names.setdefault(full, (place, full if len(step.templates) > 1 else None))
    if campaign not in names:
        raise _build_unknown(campaign, names)
    place, only = names[campaign]
    _check_before(trigger, number, place)
    return replace(asked, step=place, campaign=only)


def _check_before(trigger: Trigger, number: int, step: int) -> None:
    if step < number and (step or number > 1):
        return
    said = f"step {number} of {trigger.name} can't ask about "
    if number == 1:
        raise InputError(f"{said}a message before it: it is the first. Leave it out.")
    name = name_step(trigger.name, step)
    raise InputError(
        f"{said}step {step}, which comes later. Ask about an earlier one, or about earlier "
        f"enrolments with a time: clicked('{name}') within 30d."
    )


def _is_call(trigger: Trigger, step: int) -> bool:
    return bool(step) and trigger.steps[step - 1].channel is not None


def _build_unknown(name: str, known: Collection[str]) -> NotFoundError:
    near = get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "pushctl triggers show lists the steps."
    return NotFoundError(f"no step's campaign is called {name!r}. {hint}")

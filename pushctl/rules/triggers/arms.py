"""The arms of a trigger's step: which one a person gets, and how probable that was."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase

from pushctl.rules.lots import lot
from pushctl.rules.messages.arms import FIRST, Arm, draw, weigh
from pushctl.rules.triggers.trigger import Step, Trigger, template_for


@dataclass(frozen=True, slots=True)
class Fall:
    """
    What a person gets.

    *variant* None: the step is no test. *probability* None: there was no choice.
    """

    template: str
    variant: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What is known of a step's test beside its arms.

    *settled* is the arm that all get since it was decided or stopped. *shares* are a bandit's
    propensities now.
    """

    settled: str | None = None
    shares: Mapping[str, float] | None = None


PLAIN = Standing()


def list_arms(step: Step) -> tuple[Arm, ...]:
    """Return the arms of a step, none where it is no test."""
    whole = len(step.templates) > 1
    names = tuple(ascii_lowercase[: len(step.templates)]) if whole else step.test.variants
    if step.channel is not None or len(names) < 2:
        return ()
    weights = step.test.weights or (1 / len(names),) * len(names)
    return tuple(
        Arm(name, weight, step.templates[number] if whole else None)
        for number, (name, weight) in enumerate(zip(names, weights, strict=True))
    )


def find_fall(
    trigger: Trigger,
    number: int,
    person: str,
    occurrence: str = "",
    standing: Standing = PLAIN,
    kept: tuple[str, float | None] | None = None,
) -> Fall:
    """
    Return what *person*, the word of their lots, gets in a step; *number* counts from 1.

    *kept* is the arm of their first message of this step: who identifies later keeps it. A
    bandit draws anew for each *occurrence*, or the same people would always get the same arm,
    whatever its share.
    """
    step = trigger.steps[number - 1]
    arms = list_arms(step)
    if not arms:
        return Fall(step.templates[0])
    if standing.settled is not None:
        return _fall(step, arms, standing.settled, 1.0)
    name = f"{trigger.name}/{number}"
    if step.test.bandit:
        shares = standing.shares or weigh(arms)
        return _fall(step, arms, *draw(shares, lot("bandit", name, person, occurrence)))
    known = weigh(arms)
    if kept is not None and kept[0] in known:
        return _fall(step, arms, kept[0], kept[1] or known[kept[0]])
    if len(step.templates) > 1 and not step.test.weights:
        # As before there were weights: nobody changes arms.
        template = template_for(trigger, number, person)
        variant = ascii_lowercase[step.templates.index(template)]
        return Fall(template, variant, known[variant])
    if len(step.templates) > 1:
        chance = lot("template", trigger.name, str(number), person)
    else:
        chance = lot("variant", name, person)
    return _fall(step, arms, *draw(known, chance))


def fall_outside(step: Step) -> Fall:
    """Return the arm of who can't be compared: a language without the variants' files."""
    return Fall(step.templates[0], FIRST)


def _fall(step: Step, arms: tuple[Arm, ...], variant: str, probability: float) -> Fall:
    template = next((arm.template for arm in arms if arm.variant == variant), None)
    return Fall(template or step.templates[0], variant, probability)

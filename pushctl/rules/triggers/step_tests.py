"""Reads how a step of a trigger is tested: its variants or templates, weights and rule."""

import math
import re

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules.figures.experiments.decision import OnTie
from pushctl.rules.messages.arms import FIRST
from pushctl.rules.triggers.tables import Table, read_duration, read_flag, read_names
from pushctl.rules.triggers.trigger import StepTest

KEYS = ("variants", "weights", "bandit", "decide_after", "on_tie", "daily_look")

_LETTER = re.compile("[a-z]")


def read_test(read: Table, templates: int) -> StepTest:
    """Return the test of a step with so many *templates*; faults go to *read*."""
    variants = read.read("variants", _read_variants, ())
    count = templates if templates > 1 else len(variants)
    test = StepTest(
        variants=variants if templates == 1 else (),
        weights=read.read("weights", _read_weights, ()),
        bandit=read.read("bandit", read_flag, False),
        decide_after=read.read("decide_after", read_duration, None),
        on_tie=read.read("on_tie", _read_on_tie, OnTie.BEST),
        daily_look=read.read("daily_look", read_flag, False),
    )
    if variants and templates != 1:
        read.blame("variants", "are files of one template", "Leave out variants, or templates.")
    given = [key for key in KEYS[1:] if key in read.values]
    if given and count < 2:
        text = "belongs to a test, and this step has one text"
        read.blame(given[0], text, 'Add variants = ["a", "b"], or several templates.')
    if test.weights and count > 1 and len(test.weights) != count:
        read.blame("weights", f"are not {count} numbers", "Write one for each arm.")
    if test.bandit and (test.decide_after or test.daily_look or test.weights):
        text = "stands beside a decision or weights"
        read.blame("bandit", text, "A bandit has no end and finds its shares itself.")
    if test.daily_look and test.decide_after is None:
        read.blame("daily_look", "has no end", 'Add decide_after = "30d".')
    return test


def _read_variants(value: Json) -> tuple[str, ...]:
    names = tuple(sorted(set(read_names(value))))
    if len(names) < 2 or FIRST not in names or not all(map(_LETTER.fullmatch, names)):
        raise InputError('Write the letters of the files: ["a", "b"] for en.toml, en.b.toml.')
    return names


def _read_weights(value: Json) -> tuple[float, ...]:
    if not isinstance(value, list) or not all(map(_is_weight, value)) or not value:
        raise InputError("Write a number above 0 for each arm: [80, 20].")
    whole = math.fsum(value)
    return tuple(each / whole for each in value)


def _is_weight(value: Json) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value < 1_000_000


def _read_on_tie(value: Json) -> OnTie:
    try:
        return OnTie(value)
    except ValueError:
        raise InputError(f"Write one of: {', '.join(OnTie)}.") from None

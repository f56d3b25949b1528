"""
What the published cases had that pushctl is modelled on, and a user's own baseline.

They stand beside the figures of the same kind: a rate alone says nothing about good or bad.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pushctl.rules.figures.experiments.power import CASE_RATES, INFORMATION, say_share


class Case(NamedTuple):
    """*rates* are fractions: one, or how it grew; *what* is whose share of whom, for people."""

    rates: tuple[float, ...]
    what: str

    @property
    def text(self) -> str:
        """Return "7 %", or "5 to 13 to 22 %"."""
        *grew, last = (say_share(rate) for rate in self.rates)
        return " to ".join([*(each.removesuffix(" %") for each in grew), last])


CASES = {
    "promotion": Case((CASE_RATES["promotion"],), "of the people who got a promotion clicked"),
    "information": Case(
        (CASE_RATES["information"],), "of the people who got news or an article clicked"
    ),
    "trigger": Case((CASE_RATES["trigger"],), "of the people whom a trigger reached acted"),
    "cart_return": Case((0.21,), "of the people who were reminded of a basket came back to it"),
    "cart_bought": Case((0.23,), "of the people who came back to their basket bought"),
    "optin": Case((0.05, 0.13, 0.17, 0.22), "of new visitors subscribed"),
}
# Baskets bought after a reminder, as a multiple of what e-mail brought.
TIMES_EMAIL = 4


def find_kind(topic: str | None, trigger: str | None) -> str:
    """Return which of the cases a campaign is like: trigger, information or promotion."""
    if trigger is not None:
        return "trigger"
    return "information" if topic in INFORMATION else "promotion"


def say(kind: str, baseline: Mapping[str, float | None]) -> str:
    """Return a sentence for people about a *kind* of CASES; *baseline* is the user's own."""
    case, own = CASES[kind], baseline.get(kind)
    said = f"In the published cases {case.text} {case.what}"
    return f"{said}; your own baseline is {say_share(own)}." if own is not None else f"{said}."

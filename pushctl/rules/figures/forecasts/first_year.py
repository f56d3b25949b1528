"""
What a year of web push would bring a site that has none yet: reckoned from published cases.

Each assumption is named with its source and its range. Two cases are behind most of them:
a push service's guide to abandoned baskets, and a software vendor that sends pushes for
four sites in three languages. A rate that a case gives as one number varies between
campaigns by cv .35, as everywhere here.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, quantiles

from pushctl.rules.figures.forecasts.forecast import Range, predict_by_cases, round_sensibly
from pushctl.rules.figures.forecasts.published_cases import CASES

MONTHS = 12
WEEKS = 52
_DRAWS = 10_000  # P10 and P90 are then right to a hundredth
_SEED = 8030  # any: the same numbers bring the same table
_TENTH = NormalDist().inv_cdf(0.9)
# From the first to today's best.
_OPT_IN = CASES["optin"].rates[0], CASES["optin"].rates[1], CASES["optin"].rates[-1]
_MILLION = 1_000_000  # people, to have a rate's own range without the chance of the few


@dataclass(frozen=True, slots=True)
class Assumption:
    """A rate that is assumed, as P10, P50 and P90, and where it is from."""

    name: str
    meaning: str
    range: Range
    source: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One figure of the year; its *range* is None where *lacking* says what is missing."""

    name: str
    meaning: str
    range: Range | None
    lacking: str = ""


def _vary(rate: float) -> Range:
    return predict_by_cases(rate, _MILLION).scale(1 / _MILLION)


_VENDOR = "case of a software vendor"
_REMINDED = "case of a software vendor: baskets reminded after 3 and 90 minutes"


def list_assumptions(
    opt_in: float | None = None, churn: float | None = None
) -> tuple[Assumption, ...]:
    """Return what a forecast of visits assumes; *opt_in* and *churn* are the user's own."""
    own = "given by you"
    return (
        Assumption(
            "opt_in",
            "new visitors who subscribe",
            Range(*_OPT_IN) if opt_in is None else Range(opt_in, opt_in, opt_in),
            f"{_VENDOR}: 5 % at first, 13 % with a better invitation, 17 to 22 % today"
            if opt_in is None
            else own,
        ),
        Assumption(
            "churn",
            "subscribers lost a month",
            Range(0.01, 0.03, 0.08) if churn is None else Range(churn, churn, churn),
            "no case tells it: assumed; 0.4 % a week is called dangerous in the field"
            if churn is None
            else own,
        ),
        Assumption(
            "visit",
            "receivers of a promotion who visit",
            _vary(CASES["promotion"].rates[0]),
            f"{_VENDOR}: 7 %, cv .35 between campaigns",
        ),
        Assumption(
            "cart_return",
            "reminded who return",
            _vary(CASES["cart_return"].rates[0]),
            f"{_REMINDED}: 21 %",
        ),
        Assumption(
            "cart_purchase",
            "returned who buy",
            _vary(CASES["cart_bought"].rates[0]),
            f"{_REMINDED}: 23 %",
        ),
    )


def reckon(
    assumed: Sequence[Assumption],
    visits: float,
    carts: float | None = None,
    order: float | None = None,
) -> tuple[Outcome, ...]:
    """
    Return what twelve months bring.

    *visits* are new visitors a month, *carts* abandoned baskets a month, *order* what an
    order is worth on average. A basket's owner is taken to subscribe as often as others do,
    a message goes out once a week, as the cases advise.
    """
    chance = random.Random(_SEED)
    drawn: dict[str, list[float]] = {}
    for _ in range(_DRAWS):
        rates = {one.name: _draw(one.range, chance) for one in assumed}
        for name, value in _run_year(rates, visits, carts or 0.0, order or 0.0).items():
            drawn.setdefault(name, []).append(value)
    needs = dict.fromkeys(("reminders", "returned", "orders"), "--carts")
    needs["revenue"] = "--carts and --order"
    known = {"--carts": carts is not None, "--carts and --order": None not in (carts, order)}
    return tuple(
        Outcome(
            name,
            meaning,
            _summarize(drawn[name]) if known.get(needs.get(name, ""), True) else None,
            "" if known.get(needs.get(name, ""), True) else f"needs {needs[name]}",
        )
        for name, meaning in _MEANINGS.items()
    )


_MEANINGS = {
    "subscribed": "people who subscribe in the year",
    "subscribers": "subscribers at its end",
    "visits": "visits by a message a week",
    "reminders": "baskets whose owner is reminded",
    "returned": "of them returned",
    "orders": "of them bought",
    "revenue": "worth of these orders",
}


def _run_year(
    rates: Mapping[str, float], visits: float, carts: float, order: float
) -> dict[str, float]:
    joined = visits * rates["opt_in"]
    stays = 1 - rates["churn"]
    stock, clicks = 0.0, 0.0
    for _ in range(MONTHS):
        before = stock
        stock = stock * stays + joined * math.sqrt(stays)  # they join in mid-month
        clicks += (before + stock) / 2 * WEEKS / MONTHS * rates["visit"]
    reminders = carts * MONTHS * rates["opt_in"]
    returned = reminders * rates["cart_return"]
    orders = returned * rates["cart_purchase"]
    values = (joined * MONTHS, stock, clicks, reminders, returned, orders, orders * order)
    return dict(zip(_MEANINGS, values, strict=True))


def _draw(known: Range, chance: random.Random) -> float:
    """Draw a rate whose P10, P50 and P90 are *known*: lognormal on both sides of P50."""
    score = chance.gauss(0, 1) / _TENTH
    far = known.p90 / known.p50 if score > 0 else known.p50 / known.p10
    return min(known.p50 * math.exp(score * math.log(far)), 1.0)


def _summarize(values: Sequence[float]) -> Range:
    tenths = quantiles(values, n=10)
    return Range(*(round(round_sensibly(tenths[place])) for place in (0, 4, 8)))

"""The table of `pushctl stats basket`: a row for each stage, beside what the cases had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushctl.rules import money
from pushctl.rules.figures.basket import Funnel
from pushctl.rules.figures.figure import Bounds, Figure, Row, Table, Unit, Value
from pushctl.rules.figures.forecasts.published_cases import CASES, TIMES_EMAIL
from pushctl.rules.figures.statistics.intervals import (
    Interval,
    divide_shares,
    measure_by_person,
    measure_share,
)
from pushctl.rules.figures.tables.holdout import say_rate, write_bounds
from pushctl.rules.money import Money
from pushctl.rules.wording import counted

STAGE = Figure(
    "stage",
    "abandoned, reminded, returned, bought of returned, bought of abandoned",
    Unit.TEXT,
)
BASKETS = Figure("baskets", "baskets that came to this stage")
OF = Figure("of", "baskets that it is a share of: finished are abandoned or bought", Unit.TEXT)
WHOLE = Figure("whole", "how many those are", heading="Whole")
SHARE = Figure(
    "share", "baskets / whole (Wilson; by person where one has several)", Unit.SHARE,
    bounds=Bounds.GIVEN,
)  # fmt: skip
THEIRS = Figure("cases", "what the published cases had", Unit.TEXT, "The cases")
YOURS = Figure(
    "baseline",
    "your own, of [baseline]: cart_return, cart_bought, and cart_email",
    Unit.SHARE,
    "Yours",
    usual=None,
)
TIMES = Figure(
    "times",
    "how many times your share by e-mail that is (Walter)",
    heading="Times e-mail",
    usual=None,
    bounds=Bounds.GIVEN,
)
REVENUE = Figure(
    "revenue", "what the orders of those baskets are worth, less refunds", Unit.MONEY,
    spare=True, usual=None,
)  # fmt: skip
AVERAGE = Figure(
    "average", "revenue / orders of which the amount is known", Unit.MONEY, "Average order",
    spare=True, usual=None,
)  # fmt: skip
BASKET = Table(
    "stats basket", (STAGE,),
    (BASKETS, OF, WHOLE, SHARE, THEIRS, YOURS, TIMES, REVENUE, AVERAGE),
)  # fmt: skip


CASE_ABANDONED = "60-70 %"  # of baskets, where a case begins
# 21 % of 23 %, and what that was beside e-mail.
CASE_RECOVERED = f"4.8 %, {TIMES_EMAIL} times e-mail"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The own share of abandoned baskets that e-mails bring back; *people* None: not known."""

    rate: float
    people: int | None = None


def fill_stages(
    funnels: Sequence[Funnel],
    orders: Sequence[Money],
    baseline: Mapping[str, float | None] | None = None,
) -> list[Row]:
    """
    Return the rows of ``BASKET``; *funnels* are of one person each.

    *orders* are those of baskets that were bought after they had been abandoned, *baseline*
    the user's own shares by their names in pushctl.toml.
    """
    own = baseline or {}
    back, bought = (CASES[name].text for name in ("cart_return", "cart_bought"))
    rows = [
        _describe("abandoned", "finished", funnels, CASE_ABANDONED),
        _describe("reminded", "abandoned", funnels, None),
        _describe("returned", "abandoned", funnels, back, own.get("cart_return")),
        _describe("bought", "returned", funnels, bought, own.get("cart_bought")),
        _describe("bought", "abandoned", funnels, CASE_RECOVERED, own.get("cart_email")),
    ]
    last = rows[-1]
    if orders:
        last |= {"revenue": _sum_up(orders), "average": _average(orders)}
    email = own.get("cart_email")
    if email:
        recovered, abandoned = last["baskets"], last["whole"]
        assert isinstance(recovered, int) and isinstance(abandoned, int)
        times = compare(Baseline(email), recovered, abandoned) if abandoned else None
        last |= {
            "times": round(times.value, 2) if times and times.value is not None else None,
            **write_bounds("times", _round(times), abandoned),
        }
    return [BASKET.fill(row) for row in rows]


def compare(baseline: Baseline, bought: int, abandoned: int) -> Interval:
    """
    Return how many times the share by e-mail came back.

    Walter's, where it is known of how many people that share is; else it is taken as certain.
    """
    if baseline.people is not None:
        known = round(baseline.rate * baseline.people)
        return divide_shares(known, baseline.people, bought, abandoned)
    share = measure_share(bought, abandoned)
    value = None if share.value is None else share.value / baseline.rate
    return Interval(value, share.low / baseline.rate, share.high / baseline.rate)


def _describe(
    stage: str,
    of: str,
    funnels: Sequence[Funnel],
    cases: str | None,
    baseline: float | None = None,
) -> dict[str, Value]:
    """Return a row; its interval is by person, Wilson's where each has one basket."""
    names = {"bought": "recovered"}
    part = names.get(stage, stage)
    pairs = [(getattr(one, of), getattr(one, part)) for one in funnels]
    whole, events = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    several = any(tries > 1 for tries, _ in pairs)
    share = measure_by_person(pairs) if several else measure_share(events, whole)
    people = sum(tries > 0 for tries, _ in pairs)
    return {
        "stage": stage,
        "baskets": events,
        "of": of,
        "whole": whole,
        "share": share.value,
        **write_bounds("share", share if whole else None, people),
        "cases": cases,
        "baseline": baseline,
    }


def _sum_up(orders: Sequence[Money]) -> tuple[Money, ...]:
    return tuple(money.sum_up(orders))


def _average(orders: Sequence[Money]) -> tuple[Money, ...]:
    """Return the average order of each currency, rounded to its minor unit."""
    counts: dict[str | None, int] = {}
    for one in orders:
        counts[one.currency] = counts.get(one.currency, 0) + 1
    return tuple(
        each._replace(minor=round(each.minor / counts[each.currency]))
        for each in _sum_up(orders)
    )


def _round(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    return Interval(interval.value, round(interval.low, 2), round(interval.high, 2))


def list_remarks(
    total: Funnel,
    reminders: Sequence[str],
    orders: Sequence[Money],
    email: float | None,
) -> list[str]:
    """
    Return what has to be said below the table.

    *reminders* are the basket's triggers, *orders* those of baskets that came back, *email* is
    the own share of baskets that e-mails bring back.
    """
    said = []
    if orders:
        sums, averages = (
            ", ".join(each.spoken for each in one(orders)) for one in (_sum_up, _average)
        )
        said.append(
            f"Orders of baskets that were abandoned and bought: {sums}; {averages} on average."
        )
    if not reminders:
        said.append("No trigger in pushctl.toml reminds of baskets: see docs/triggers.md.")
    if total.fresh:
        said.append(
            f"To {counted(total.fresh, 'abandoned basket')} somebody may still come back: the "
            "day is not over."
        )
    besides = [
        counted(number, f"{what} basket")
        for number, what in ((total.open, "open"), (total.emptied, "emptied"))
        if number
    ]
    if besides:
        said.append(f"Not among them: {' and '.join(besides)}.")
    if email:
        said.append(
            f"Your {say_rate(email)} by e-mail is taken as certain: nobody knows of how many "
            "baskets it is."
        )
    return said

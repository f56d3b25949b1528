"""What a year would bring a site that has nothing yet."""

import pytest

from pushctl.rules.figures.forecasts import first_year


def reckon(
    visits: float, carts: float | None = None, order: float | None = None, **own: float
) -> dict[str, first_year.Outcome]:
    found = first_year.reckon(first_year.list_assumptions(**own), visits, carts, order)
    return {one.name: one for one in found}


def test_known_rates_leave_no_doubt_about_subscribers() -> None:
    found = reckon(1_000, opt_in=0.1, churn=0.05)
    assert found["subscribed"].range is not None and found["subscribers"].range is not None
    assert found["subscribed"].range.levels == (1_200, 1_200, 1_200)
    stock = 0.0
    for _ in range(12):
        stock = stock * 0.95 + 100 * 0.95**0.5
    assert found["subscribers"].range.p50 == pytest.approx(stock, rel=5e-3)  # three digits


def test_ranges_are_those_of_the_cases() -> None:
    range_ = reckon(10_000)["subscribed"].range
    assert range_ is not None
    for found, share in zip(range_.levels, (0.05, 0.13, 0.22), strict=True):
        assert found == pytest.approx(120_000 * share, rel=0.03)


def test_orders_follow_from_baskets() -> None:
    found = reckon(10_000, 1_000, 60, opt_in=0.2)
    reminders, orders, revenue = (
        found[name].range for name in ("reminders", "orders", "revenue")
    )
    assert reminders is not None and orders is not None and revenue is not None
    assert reminders.p50 == 2_400
    # Below 21 % x 23 %: the median of a product that is skewed.
    assert 0.03 < orders.p50 / reminders.p50 < 0.0483
    assert orders.p10 < orders.p50 < orders.p90
    assert revenue.p90 == pytest.approx(60 * orders.p90, rel=0.01)


def test_what_is_not_said_is_unknown_and_not_nothing() -> None:
    found = reckon(10_000, 1_000)
    assert found["orders"].range is not None
    assert (found["revenue"].range, found["revenue"].lacking) == (
        None,
        "needs --carts and --order",
    )
    assert reckon(10_000)["reminders"].lacking == "needs --carts"
    assert reckon(10_000, None, 60)["revenue"].range is None


def test_every_assumption_has_its_source() -> None:
    for one in first_year.list_assumptions(churn=0.02):
        assert one.source
        assert 0 < one.range.p10 <= one.range.p50 <= one.range.p90 < 1
    assert first_year.list_assumptions(churn=0.02)[1].source == "given by you"


def test_the_same_question_has_the_same_answer() -> None:
    assert reckon(10_000, 1_000, 60) == reckon(10_000, 1_000, 60)

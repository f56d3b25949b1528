"""Intervals of revenue against their published values and scipy; sums of money, exactly."""

import random

import pytest
from scipy import stats

from pushctl.rules.figures.revenue import per_person
from pushctl.rules.figures.revenue.per_person import Order
from pushctl.rules.figures.statistics import gamma
from pushctl.rules.money import Money

# methods-figures.md, section 1
ORDERS = [
    12, 15, 18, 19, 20, 22, 25, 25, 28, 30, 30, 33, 35, 40, 42, 48, 55, 60, 75, 90, 120, 240,
]  # fmt: skip


def test_fay_and_feuers_interval_has_the_published_bounds() -> None:
    found = per_person.compute_fay_feuer(ORDERS, 1000)
    assert (found.value, found.low, found.high) == pytest.approx(
        (1.082, 0.540805, 2.22509), rel=2e-6
    )


def test_halls_interval_has_the_published_bounds() -> None:
    found = per_person.compute_hall(ORDERS, 1000)
    assert (found.low, found.high) == pytest.approx((0.603216, 3.62597), rel=2e-6)


def test_a_difference_is_halls_of_one_group_where_the_other_has_no_spread() -> None:
    one = per_person.compute_hall(ORDERS, 1000)
    found = per_person.compute_hall_difference([], 1000, ORDERS, 1000)
    assert found.value == one.value
    assert (found.low, found.high) == pytest.approx((one.low, one.high))


def test_groups_change_sides_with_their_sign() -> None:
    others = [each * 1.3 for each in ORDERS]
    for compare in (per_person.compute_hall_difference, per_person.compute_welch):
        there = compare(ORDERS, 1000, others, 400)
        back = compare(others, 400, ORDERS, 1000)
        assert (there.value, there.low, there.high) == pytest.approx(
            (-(back.value or 0), -back.high, -back.low)
        )


@pytest.mark.parametrize("people", [60, 1000])
def test_welchs_interval_is_scipys(people: int) -> None:
    others = [each * 1.7 for each in ORDERS[:15]]
    found = per_person.compute_welch(ORDERS, people, others, people // 2)
    one = [*ORDERS, *[0] * (people - len(ORDERS))]
    two = [*others, *[0] * (people // 2 - len(others))]
    judged = stats.ttest_ind(two, one, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((judged.low, judged.high), rel=1e-5)


@pytest.mark.parametrize("degrees", [0.3, 1, 2.5, 9.7, 44, 350.5, 20_000, 3e6])
@pytest.mark.parametrize("share", [0.0001, 0.025, 0.5, 0.9, 0.975, 0.999999])
def test_quantiles_of_chi_square_are_scipys(share: float, degrees: float) -> None:
    found = gamma.find_chi_square(share, degrees)
    assert found == pytest.approx(stats.chi2.ppf(share, degrees), rel=1e-9)


@pytest.mark.parametrize("degrees", [20, 31.4, 500])
def test_quantiles_of_t_are_scipys(degrees: float) -> None:
    found = gamma.find_t(0.975, degrees)
    assert found == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-6)


def test_few_buyers_have_no_interval_and_some_a_rough_one() -> None:
    assert per_person.measure_revenue(ORDERS[:19], 1000) is None
    assert per_person.measure_revenue(ORDERS[:20], 1000) is not None
    assert per_person.measure_revenue(ORDERS, 0) is None
    assert per_person.is_rough(59)
    assert not per_person.is_rough(60)


def test_unequal_groups_are_compared_from_a_hundred_buyers_on() -> None:
    many = ORDERS * 5
    assert per_person.compare_revenue(many, 50_000, ORDERS, 1000) is None
    assert per_person.compare_revenue(many, 50_000, many[:99], 1000) is None
    unequal = per_person.compare_revenue(many, 50_000, many[:100], 1000)
    assert unequal == per_person.compute_hall_difference(many, 50_000, many[:100], 1000)
    assert per_person.compare_revenue(ORDERS[:19], 1000, ORDERS, 1000) is None
    equal = per_person.compare_revenue(ORDERS, 1000, ORDERS, 1000)
    assert equal == per_person.compute_welch(ORDERS, 1000, ORDERS, 1000)


def test_sums_keep_currencies_apart_and_take_off_what_was_given_back() -> None:
    orders = [
        Order(1, 4000, 2, "EUR", 1500), Order(1, 999, 2, "EUR", 0), Order(2, 2500, 2, "USD", 0),
        Order(3, 500, 0, "JPY", 500), Order(4, None, None, None, 0),
    ]  # fmt: skip
    sums = per_person.sum_orders(orders)
    assert (sums.orders, sums.buyers, sums.unknown) == (5, 4, 1)
    assert sums.revenue == (Money(3499, 2, "EUR"), Money(0, 0, "JPY"), Money(2500, 2, "USD"))
    assert sums.refunded == (Money(1500, 2, "EUR"), Money(500, 0, "JPY"))
    assert sums.per_thousand(3000) == (
        Money(1166, 2, "EUR"), Money(0, 0, "JPY"), Money(833, 2, "USD")
    )  # fmt: skip
    assert sums.per_thousand(0) == ()
    assert per_person.sum_by_person(orders) == {"EUR": [34.99], "USD": [25.0], "JPY": []}


def test_the_interval_covers_what_it_promises_from_twenty_orders_on() -> None:
    """Lognormal orders, sigma 0.8: 95 % of 95 (methods), within what 400 draws can tell."""
    draw = random.Random(8)
    mean = 0.02 * 2.718281828459045**0.32
    covered = 0
    for _ in range(400):
        buyers = sum(draw.random() < 0.02 for _ in range(1000))
        found = per_person.compute_fay_feuer(
            [draw.lognormvariate(0, 0.8) for _ in range(buyers)], 1000
        )
        covered += found.low <= mean <= found.high
    assert covered >= 0.92 * 400

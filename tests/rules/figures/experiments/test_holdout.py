"""rules.figures.holdout: the check values of its methods, and what is never shown."""

import math
import random

import pytest

from pushctl.rules.figures.experiments.holdout import (
    CASE_RATE,
    BaseRate,
    Cause,
    Group,
    choose_base,
    compare,
    count_weeks,
)
from pushctl.rules.figures.statistics.anytime import weigh_clicks
from pushctl.rules.figures.statistics.intervals import compare_shares
from pushctl.rules.figures.statistics.sample_ratio import check_sample_ratio, compute_exact_p
from pushctl.rules.figures.statistics.sample_size import count_person_periods, find_detectable


def digits(value: float, count: int = 6) -> str:
    return f"{value:.{count}g}"


CASES = BaseRate(CASE_RATE, 0.0, "")


def test_the_increment_and_its_total_are_newcombes() -> None:
    found = compare(Group(1_000, 30), Group(49_000, 1_617), 0.02)
    assert found.cause is Cause.NOT_SEEN
    assert found.increment is not None and found.total is not None
    assert found.increment.value == pytest.approx(0.003)
    assert digits(found.increment.low) == "-0.00959856"
    assert digits(found.increment.high) == "0.0120522"
    assert [round(x or 0) for x in (found.total.value, found.total.low, found.total.high)] == [
        147,
        -470,
        591,
    ]


def test_buyers_are_coins_that_may_be_looked_at_any_time() -> None:
    found = compare(Group(1_000, 30), Group(49_000, 1_617), 0.02).evidence
    assert found is not None
    assert digits(found.evidence) == "0.730298"
    assert (digits(found.low), digits(found.high)) == ("0.701973", "1.85907")
    assert digits(weigh_clicks(90, 120, 0.5).evidence) == "2.43807"
    assert digits(weigh_clicks(900, 1200, 0.5).evidence) == "1.7493e+08"


def test_a_proved_difference_is_seen() -> None:
    assert compare(Group(5_000, 900), Group(5_000, 1_200), 0.5).cause is Cause.SEEN


@pytest.mark.parametrize(("held", "others"), [(19, 2_000), (2_000, 19), (0, 0)])
def test_below_twenty_buyers_it_is_too_early(held: int, others: int) -> None:
    found = compare(Group(50_000, held), Group(50_000, others), 0.5)
    assert found.cause is Cause.TOO_EARLY
    assert found.increment is found.total is found.evidence is None


def test_unequal_groups_are_not_compared() -> None:
    assert digits(check_sample_ratio((9_750, 250), (0.98, 0.02))) == "0.000355039"
    found = compare(Group(250, 100), Group(9_750, 3_000), 0.02)
    assert found.cause is Cause.SAMPLE_RATIO
    assert digits(found.sample_p) == "0.000355039"
    assert found.increment is None and not found.is_shown
    assert digits(check_sample_ratio((5_100, 4_900), (1, 1))) == "0.0455003"
    assert digits(compute_exact_p(((0.5, 12), (0.5, 1)))) == "0.00341797"
    assert digits(check_sample_ratio((197, 8), (0.98, 0.02))) == "0.0713384"
    assert digits(check_sample_ratio((8, 1, 3), (1, 1, 1))) == "0.0536673"


def test_nobody_held_out_is_no_group() -> None:
    assert compare(Group(), Group(100, 50), 0.1).cause is Cause.NO_GROUP


def test_how_many_people_it_takes() -> None:
    needed = [count_person_periods(0.03, 0.033, share) for share in (0.02, 0.1, 0.5)]
    assert needed == [1_297_300, 284_703, 106_416]  # the page of check values rounds
    with pytest.raises(ValueError, match="equal rates"):
        count_person_periods(0.03, 0.03, 0.5)
    with pytest.raises(ValueError, match="both arms"):
        count_person_periods(0.03, 0.033, 1.0)


def test_how_many_periods_it_takes() -> None:
    for share, periods in ((0.02, (317, 26, 5)), (0.1, (70, 6, 1))):
        needed = count_person_periods(0.03, 0.033, share)
        sizes = (4_100, 50_000, 300_000)
        assert tuple(math.ceil(needed / people) for people in sizes) == periods


def test_what_one_period_can_see() -> None:
    found = [find_detectable(0.03, n * 0.02, n * 0.98) for n in (4_100, 50_000, 300_000)]
    assert [f"{100 * (each or 0):.1f}" for each in found] == ["8.4", "4.5", "3.6"]


def test_weeks_of_the_same_people_count_less() -> None:
    # 284,702 x 1.8 / 50,000 = 10.2 weeks of strangers.
    assert count_weeks(50_000, CASES, 0.1) == 11
    assert count_weeks(50_000, BaseRate(0.03, 0.05, ""), 0.1) == 20
    assert count_weeks(50_000, BaseRate(0.03, 0.1, ""), 0.1) is None


def test_two_per_cent_of_fifty_thousand_never_show_it_in_a_year() -> None:
    cases = choose_base(0, 0, 0, 0)
    assert (cases.rate, count_weeks(50_000, cases, 0.02)) == (0.03, None)
    assert count_weeks(300_000, cases, 0.02) == 13
    assert count_weeks(4_100, cases, 0.2) is None
    assert count_weeks(0, cases, 0.1) is None


def test_the_own_rate_stands_before_the_assumption() -> None:
    # 1,000 people in 10 weeks, each buys in a week by a coin of their own weeks: 5 %.
    known = choose_base(1_000, 10, 500, 750)
    assert known.rate == 0.05
    # The variance of a sum of ten independent weeks is 0.475; here it is 0.5.
    assert known.likeness == pytest.approx((0.5 / 0.475 - 1) / 9)
    assert choose_base(1_000, 10, 500, 500).likeness == 0.0  # less than chance is none
    assert choose_base(1_000, 1, 50, 50).likeness == 0.0
    assert choose_base(1_000, 10, 19, 19).rate == CASE_RATE  # too few to know it


def test_newcombe_covers_a_planted_lift_as_often_as_it_promises() -> None:
    chance, inside = random.Random(7), 0
    for _ in range(400):
        held = sum(chance.random() < 0.10 for _ in range(400))
        others = sum(chance.random() < 0.13 for _ in range(1_600))
        found = compare_shares(held, 400, others, 1_600)
        inside += found.low <= 0.03 <= found.high
    assert inside >= 0.925 * 400
    assert inside < 400

"""
rules.figures: the check values of the field's methods, to the digits that are printed.

All of them were computed in two exact ways outside of this program.
"""

import math
import time

import pytest

from pushctl.rules.figures.statistics.anytime import weigh_clicks, weigh_difference
from pushctl.rules.figures.statistics.beta_binomial import Count, compute_greater, rank
from pushctl.rules.figures.statistics.intervals import (
    Interval,
    compare_shares,
    divide_shares,
    measure_by_person,
    measure_share,
)
from pushctl.rules.figures.statistics.sample_ratio import (
    check_sample_ratio,
    compute_chi_square_p,
    compute_exact_p,
    compute_upper_chi_square,
)
from pushctl.rules.figures.statistics.sample_size import count_needed, find_detectable
from pushctl.rules.figures.statistics.thompson import compute_propensities


def digits(value: float, count: int = 6) -> str:
    """Return *value* as the page of check values prints it."""
    return f"{value:.{count}g}"


def bounds(interval: Interval) -> tuple[str, str]:
    return digits(interval.low), digits(interval.high)


A, B, C = Count(90, 1000), Count(120, 1000), Count(105, 1000)
MANY, MORE = Count(350_000, 5_000_000), Count(351_000, 5_000_000)


def test_wilson_gives_the_interval_of_a_share() -> None:
    assert bounds(measure_share(70, 1000)) == ("0.0557764", "0.0875146")
    assert bounds(measure_share(350_000, 5_000_000)) == ("0.0697767", "0.070224")
    assert measure_share(0, 10).low == 0.0
    assert digits(measure_share(0, 10).high) == "0.277533"
    assert measure_share(10, 10).high == 1.0


def test_the_share_of_nobody_is_unknown() -> None:
    assert measure_share(0, 0) == Interval(None, 0.0, 1.0)
    assert compare_shares(0, 0, 1, 2) == Interval(None, -1.0, 1.0)
    assert divide_shares(1, 2, 0, 0) == Interval(None, 0.0, math.inf)
    assert measure_by_person([]) == Interval(None, 0.0, 1.0)
    assert measure_by_person([(4, 1)]) == Interval(0.25, 0.0, 1.0)


def test_newcombe_gives_the_interval_of_a_difference() -> None:
    difference = compare_shares(90, 1000, 120, 1000)
    assert bounds(difference) == ("0.00309605", "0.0570096")
    assert difference.value == pytest.approx(0.03)


def test_walter_gives_the_interval_of_a_ratio() -> None:
    assert bounds(divide_shares(90, 1000, 120, 1000)) == ("1.02854", "1.72368")
    assert bounds(divide_shares(1, 500, 4, 500)) == ("0.474686", "18.9599")


def test_people_with_several_messages_count_once() -> None:
    people = [(4, 1), (4, 0), (4, 2), (3, 0), (4, 4), (1, 0), (2, 1), (4, 0), (3, 1), (4, 0)]
    rate = measure_by_person(people)
    assert rate.value == pytest.approx(0.272727, abs=5e-7)
    assert (rate.high - rate.low) / 2 / 1.959964 == pytest.approx(0.118880, abs=5e-7)


def test_two_arms_have_exact_probabilities_and_losses() -> None:
    assert digits(compute_greater(B, A)) == "0.985599"
    first, second = rank([A, B])
    assert digits(second.loss) == "6.99253e-05"
    assert digits(first.loss) == "0.03001"
    none, three = Count(0, 50), Count(3, 50)
    assert digits(compute_greater(three, none)) == "0.941194"
    assert digits(rank([none, three])[1].loss) == "0.00108696"


def test_three_arms_share_one_grid() -> None:
    found = rank([A, B, C])
    assert [digits(each.best) for each in found] == ["0.00838202", "0.849184", "0.142434"]
    assert [digits(each.loss) for each in found] == ["0.0310281", "0.00108798", "0.016058"]


def test_five_million_people_take_no_longer() -> None:
    before = time.process_time()
    _, second = rank([MANY, MORE])
    greater = compute_greater(MORE, MANY)
    assert time.process_time() - before < 0.5  # 0.03 s; the sum over all clickers takes 1 s
    assert (digits(second.best), digits(second.loss)) == ("0.892249", "8.36539e-06")
    assert digits(greater) == "0.892249"


def test_a_tiny_probability_keeps_its_digits() -> None:
    # Nobody of 30 against all of 30: one way among 62 over 31.
    tiny = compute_greater(Count(0, 30), Count(30, 30))
    assert tiny == pytest.approx(1 / math.comb(62, 31), rel=1e-9)
    assert 0 < tiny < 1e-17


def test_arms_far_apart_fall_between_no_points() -> None:
    found = rank([Count(1, 10), MANY, Count(2_000_000, 5_000_000)])
    assert sum(each.best for each in found) == pytest.approx(1, abs=1e-9)
    # 1 of 10 is above 0.4 with the probability that at most 1 of 11 falls below 0.4.
    assert found[0].best == pytest.approx(0.6**11 + 11 * 0.4 * 0.6**10, rel=1e-4)


def test_a_count_of_more_clickers_than_people_is_refused() -> None:
    with pytest.raises(ValueError, match="11 of 10 people"):
        Count(11, 10)


@pytest.mark.parametrize(
    ("base", "other", "people"),
    [(0.07, 0.08, 10_887), (0.07, 0.084, 5_689), (0.09, 0.12, 1_636), (0.03, 0.033, 53_208)],
)
def test_a_size_is_rounded_up(base: float, other: float, people: int) -> None:
    assert count_needed(base, other) == people
    found = find_detectable(base, people, people)
    assert found is not None
    assert other - 1e-5 < found <= other


def test_the_detectable_rate_is_the_larger_root() -> None:
    def find(base: float, people: float, arms: float = 2) -> float:
        found = find_detectable(base, people / arms, people / arms)
        assert found is not None
        return found

    rates = {n: [find(base, n) * 100 for base in (0.03, 0.07, 0.09, 0.13)] for n in PEOPLE}
    assert [f"{each:.1f}" for each in rates[500]] == ["8.9", "14.7", "17.4", "22.5"]
    assert [f"{each:.1f}" for each in rates[4100]] == ["4.7", "9.4", "11.7", "16.1"]
    assert [f"{each:.2f}" for each in rates[50_000]] == ["3.44", "7.65", "9.73", "13.85"]
    assert [digits(find(0.07, n)) for n in PEOPLE] == ["0.14739", "0.0939848", "0.0765289"]
    assert [digits(find(0.07, n, 3), 3) for n in PEOPLE] == ["0.168", "0.0998", "0.078"]
    assert [digits(find(0.07, n, 10), 3) for n in PEOPLE] == ["0.273", "0.128", "0.085"]
    assert find_detectable(0.5, 3, 3) is None
    assert find_detectable(0.5, 0, 10) is None


PEOPLE = (500, 4_100, 50_000)


def test_the_sample_ratio_has_its_p() -> None:
    assert digits(check_sample_ratio([5100, 4900], [1, 1])) == "0.0455003"
    assert digits(check_sample_ratio([9750, 250], [98, 2])) == "0.000355039"
    assert digits(compute_exact_p([(0.5, 12), (0.5, 1)])) == "0.00341797"
    assert digits(check_sample_ratio([197, 8], [98, 2])) == "0.0713384"
    assert digits(check_sample_ratio([8, 1, 3], [1, 1, 1])) == "0.0536673"
    assert check_sample_ratio([0, 0], [1, 1]) == 1.0


def test_very_small_arms_are_judged_as_one() -> None:
    weights = [900, *[10] * 10]
    assert check_sample_ratio([180, *[2] * 10], weights) == pytest.approx(1.0)
    assert check_sample_ratio([90, *[11] * 10], weights) < 1e-9
    assert compute_chi_square_p([(1.0, 7)]) == 1.0


def test_the_tail_of_chi_square_is_no_difference_from_one() -> None:
    assert compute_upper_chi_square(0.0, 3) == 1.0
    assert digits(compute_upper_chi_square(100.0, 1)) == "1.52397e-23"
    assert digits(compute_upper_chi_square(100.0, 2)) == digits(math.exp(-50))


@pytest.mark.parametrize(
    ("one", "other", "share", "evidence", "low", "high"),
    [
        (90, 120, 0.5, "2.43807", "0.88999", "2.01339"),
        (900, 1200, 0.5, "1.7493e+08", "1.15216", "1.54457"),
        (0, 8, 0.5, "1.2978", "0.550906", "inf"),
        (30, 1617, 0.98, "0.730298", "0.701973", "1.85907"),
    ],
)
def test_clicks_are_coins(
    one: int, other: int, share: float, evidence: str, low: str, high: str
) -> None:
    found = weigh_clicks(one, other, share)
    assert (digits(found.evidence), digits(found.low), digits(found.high)) == (
        evidence,
        low,
        high,
    )
    assert found.decides == (one == 900)


def test_clicks_of_nobody_are_no_evidence() -> None:
    found = weigh_clicks(0, 0, 0.5)
    assert (found.evidence, found.value, found.low, found.high) == (1.0, None, 0.0, math.inf)


def test_evidence_beyond_a_float_is_infinite() -> None:
    found = weigh_clicks(1_000, 9_000, 0.5)
    assert (found.evidence, found.p, found.decides) == (math.inf, 0.0, True)


def test_a_difference_may_be_looked_at_at_any_time() -> None:
    found = weigh_difference(90, 1000, 120, 1000, hoped=0.02)
    assert digits(found.evidence) == "2.87765"
    assert (digits(found.low), digits(found.high)) == ("-0.0144131", "0.0744131")
    assert digits(found.p) == digits(1 / 2.8776548)
    assert weigh_difference(0, 0, 1, 2, hoped=0.02).evidence == 1.0


def test_thompson_sends_what_is_probably_best_and_gives_up_nothing() -> None:
    two = [Count(5, 100), Count(9, 100)]
    assert [digits(each.best) for each in rank(two)] == ["0.141479", "0.858521"]
    assert compute_propensities(two, floor=0.05) == [0.177331, 0.822669]
    four = [Count(0, 0), Count(1, 4), Count(2, 9), Count(30, 300)]
    assert [digits(each.best) for each in rank(four)] == [
        "0.606228",
        "0.25245",
        "0.140451",
        "0.000871438",
    ]
    shares = compute_propensities(four, floor=0.05)
    assert min(shares) >= 0.05
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ValueError, match="3 arms"):
        compute_propensities(four[:3], floor=0.4)

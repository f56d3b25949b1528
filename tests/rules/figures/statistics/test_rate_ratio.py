"""How much more often people leave after something than otherwise."""

import math
import random

import pytest
from scipy import optimize, stats

from pushctl.rules.figures.statistics.rate_ratio import compare


def test_it_has_the_check_values() -> None:
    found = compare(18, 4_000, 90, 60_000)
    assert found is not None
    assert found.ratio == 3
    assert (found.low, found.high) == pytest.approx((1.76163, 4.89146), abs=5e-6)
    assert found.p == pytest.approx(0.000167279, abs=5e-10)
    assert found.excess == 12
    assert (round(found.excess_low, 1), round(found.excess_high, 1)) == (4.6, 23.3)


@pytest.mark.parametrize("seed", range(12))
def test_bounds_and_p_are_those_of_the_binomial(seed: int) -> None:
    chance = random.Random(seed)
    one, other = chance.randrange(1, 400), chance.randrange(1, 3_000)
    days, rest = chance.uniform(10, 9_000), chance.uniform(10, 90_000)
    found, whole = compare(one, days, other, rest), one + other
    assert found is not None

    def tail(share: float, *, above: bool) -> float:
        law = stats.binom(whole, share)
        beyond = law.sf(one) if above else law.cdf(one - 1)
        return float(beyond + law.pmf(one) / 2)

    for value, above in ((found.low, True), (found.high, False)):
        share = optimize.brentq(
            lambda at, above=above: tail(at, above=above) - 0.025, 1e-12, 1 - 1e-12, xtol=1e-15
        )
        assert value == pytest.approx(share / (1 - share) * rest / days, rel=1e-6)
    even = days / (days + rest)
    p = min(1.0, 2 * min(tail(even, above=True), tail(even, above=False)))
    assert found.p == pytest.approx(p, rel=1e-6, abs=1e-280)


def test_nothing_on_one_side_leaves_that_bound_open() -> None:
    none, all_ = compare(0, 10, 5, 100), compare(5, 10, 0, 100)
    assert none is not None and all_ is not None
    assert (none.ratio, none.low) == (0, 0) and math.isfinite(none.high)
    assert math.isinf(all_.ratio) and math.isinf(all_.high) and all_.low > 1
    assert all_.excess == 5


def test_without_events_or_days_nothing_is_known() -> None:
    assert compare(0, 10, 0, 10) is None
    assert compare(1, 0, 3, 10) is None
    assert compare(1, 10, 3, 0) is None

"""rules.figures beside scipy and statsmodels, on counts drawn at random (fixed seed)."""

import importlib
import random
from collections.abc import Callable
from types import ModuleType

import pytest

from pushctl.rules.figures.statistics.anytime import compute_evidence
from pushctl.rules.figures.statistics.beta_binomial import Count, compute_greater, rank
from pushctl.rules.figures.statistics.intervals import compare_shares, measure_share
from pushctl.rules.figures.statistics.sample_ratio import check_sample_ratio, compute_exact_p
from pushctl.rules.figures.statistics.sample_size import count_needed
from pushctl.rules.figures.statistics.thompson import compute_propensities

RANDOM = random.Random(13)


# Loaded by the tests that ask them: two seconds that every process of the tests would take.
@pytest.fixture(scope="module")
def stats() -> ModuleType:
    return importlib.import_module("scipy.stats")


@pytest.fixture(scope="module")
def integrate() -> ModuleType:
    return importlib.import_module("scipy.integrate")


def draw(most: int) -> Count:
    people = RANDOM.randint(1, most)
    return Count(RANDOM.randint(0, min(people, max(5, people // 5))), people)


def test_an_interval_is_wilsons(stats: ModuleType) -> None:
    for _ in range(50):
        one = draw(RANDOM.choice([20, 1_000, 100_000]))
        judge = stats.binomtest(one.clickers, one.people).proportion_ci(method="wilson")
        own = measure_share(one.clickers, one.people)
        assert (own.low, own.high) == pytest.approx((judge.low, judge.high), abs=1e-7)


def test_a_difference_is_newcombes() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for _ in range(20):
        one, two = draw(2_000), draw(2_000)
        own = compare_shares(one.clickers, one.people, two.clickers, two.people)
        judge = proportion.confint_proportions_2indep(
            two.clickers, two.people, one.clickers, one.people, method="newcomb"
        )
        assert (own.low, own.high) == pytest.approx(judge, abs=1e-7)


def integrate_all(
    quad: Callable[..., tuple[float, ...]],
    function: Callable[[float], float],
    points: list[float],
) -> float:
    pieces = zip([0.0, *points], [*points, 1.0], strict=True)
    return sum(quad(function, *each, epsabs=1e-13)[0] for each in pieces)


def test_the_sum_the_grid_and_scipy_agree_about_two_arms(
    stats: ModuleType, integrate: ModuleType
) -> None:
    for _ in range(4):
        one, two = draw(3_000), draw(3_000)
        a, b = stats.beta(*one.shape), stats.beta(*two.shape)
        points = sorted({each.ppf(q) for each in (a, b) for q in (1e-9, 0.5, 1 - 1e-9)})
        greater = integrate_all(integrate.quad, lambda x, a=a, b=b: b.pdf(x) * a.cdf(x), points)
        loss = integrate_all(integrate.quad, lambda x, a=a, b=b: b.cdf(x) * a.sf(x), points)
        assert compute_greater(two, one) == pytest.approx(greater, abs=1e-8)
        assert rank([one, two])[1].best == pytest.approx(greater, abs=1e-8)
        assert rank([one, two])[1].loss == pytest.approx(loss, rel=1e-6, abs=1e-10)


def test_a_sample_ratio_is_chi_square_or_exact(stats: ModuleType) -> None:
    for _ in range(20):
        counts = [RANDOM.randint(40, 80) for _ in range(RANDOM.randint(2, 9))]
        judge = stats.chisquare(counts).pvalue
        assert check_sample_ratio(counts, [1] * len(counts)) == pytest.approx(judge, rel=1e-9)
        few, share = RANDOM.randint(0, 20), RANDOM.uniform(0.05, 0.5)
        exact = stats.binomtest(few, 20, share).pvalue
        assert compute_exact_p([(share, few), (1 - share, 20 - few)]) == pytest.approx(exact)


def test_a_size_is_that_of_the_unpooled_formula() -> None:
    power = pytest.importorskip("statsmodels.stats.proportion").power_proportions_2indep
    for base, other in ((0.07, 0.08), (0.09, 0.12), (0.03, 0.033)):
        people = count_needed(base, other)
        found = power(other - base, base, people, ratio=1, alpha=0.05, return_results=False)
        # statsmodels takes the pooled variance for the first part: within half a percent.
        assert found == pytest.approx(0.8, abs=0.005)


def test_evidence_of_clicks_is_a_mean_over_all_shares(
    stats: ModuleType, integrate: ModuleType
) -> None:
    for _ in range(10):
        clickers, others, share = RANDOM.randint(0, 60), RANDOM.randint(0, 60), 0.3
        spread = 1 / (0.04 * share * (1 - share))
        prior = stats.beta(spread * share, spread * (1 - share))
        planned = stats.binom.pmf(others, clickers + others, share)

        def weigh(x: float, k: int = others, n: int = clickers + others) -> float:
            return float(prior.pdf(x) * stats.binom.pmf(k, n, x) / planned)  # noqa: B023

        judge = integrate.quad(weigh, 0, 1, points=[share], epsrel=1e-9)[0]
        assert compute_evidence(clickers, others, share) == pytest.approx(judge, rel=1e-7)


def test_a_thompson_share_is_how_often_an_arm_is_drawn_best(stats: ModuleType) -> None:
    counts = [Count(5, 100), Count(9, 100), Count(0, 3)]
    draws = [
        stats.beta(*each.shape).rvs(40_000, random_state=n) for n, each in enumerate(counts)
    ]
    numpy = importlib.import_module("numpy")
    drawn = numpy.bincount(numpy.argmax(draws, axis=0), minlength=3) / 40_000
    assert compute_propensities(counts, floor=0) == pytest.approx(list(drawn), abs=0.01)

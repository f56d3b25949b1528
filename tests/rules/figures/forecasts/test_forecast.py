"""Forecasts of campaigns: check values, and what can't be known."""

import math
import random

import pytest
import scoringrules
from scipy import stats

from pushctl.rules.figures.forecasts import accuracy, forecast
from pushctl.rules.figures.forecasts.forecast import Past, Range
from pushctl.rules.figures.statistics.quantiles import (
    find_beta_binomial_quantiles,
    find_student_quantile,
    measure_beta,
)
from pushctl.rules.units import DAY

# The campaigns of methods-figures' check values: clickers and people.
COUNTS = (
    (960, 12_000), (1023, 15_500), (843, 9_800), (1106, 20_100), (1530, 18_000),
    (1485, 22_500), (2150, 25_000), (1963, 30_200),
)  # fmt: skip


def make_pasts(topic: str = "sale", factor: float = 1.0, every: int = 7) -> list[Past]:
    return [
        Past(topic, place * every * DAY, events * factor, people)
        for place, (events, people) in enumerate(COUNTS)
    ]


def find_level(pasts: list[Past], topic: str = "sale", now: int = 0) -> forecast.Level:
    level = forecast.find_level(pasts, topic, now)
    assert level is not None
    return level


def test_log_t_of_one_topic() -> None:
    level = find_level(make_pasts())
    assert round(math.sqrt(level.scatter), 6) == 0.168576
    told = level.predict(40_000)
    assert [round(each, 2) for each in told.levels] == [2259.99, 2910.58, 3748.45]
    assert (level.own, level.others, level.freedom) == (8, 0, 7)


def test_without_a_history_the_cases_rate() -> None:
    assert forecast.predict_by_cases(0.07, 40_000).levels == (1628, 2693, 4111)
    many = forecast.predict_by_cases(0.07, 4_000_000)
    beta = stats.beta(0.07 * 107.4548105, 0.93 * 107.4548105)
    for each, level in zip(many.levels, forecast.LEVELS, strict=True):
        assert each == pytest.approx(beta.ppf(level) * 4_000_000, rel=1e-3)
    with pytest.raises(ValueError, match="no Beta"):
        forecast.predict_by_cases(0.999, 100)


@pytest.mark.parametrize("freedom", [0.7, 1, 2.5, 7, 40, 3000])
def test_student_quantiles_as_scipy_has_them(freedom: float) -> None:
    for level in (0.001, 0.1, 0.3, 0.5, 0.9, 0.975):
        expected = stats.t.ppf(level, freedom)
        assert find_student_quantile(level, freedom) == pytest.approx(expected, rel=1e-9)
    for level, freedom_ in ((0.0, 3.0), (1.0, 3.0), (0.5, 0.0)):
        with pytest.raises(ValueError, match="level"):
            find_student_quantile(level, freedom_)


def test_incomplete_beta_and_beta_binomial_as_scipy_has_them() -> None:
    for x, a, b in ((0.2, 3, 0.5), (0.9, 3, 0.5), (0.5, 200, 180), (0, 1, 1), (1, 1, 1)):
        assert measure_beta(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-10)
    found = find_beta_binomial_quantiles((0.1, 0.5, 0.9), 500, 2.2, 30)
    assert found == tuple(stats.betabinom.ppf([0.1, 0.5, 0.9], 500, 2.2, 30))
    assert find_beta_binomial_quantiles((0.5, 0.999999), 3, 50, 0.01) == (3, 3)


def test_a_small_campaign_scatters_more_than_its_forerunners() -> None:
    level = find_level(make_pasts())
    large, small = level.predict(40_000), level.predict(400)
    assert small.p50 == pytest.approx(large.p50 / 100)
    assert small.p10 / small.p50 < 0.9 * large.p10 / large.p50
    # s^2 + 1/(N rate) - mean 1/k, as the definition has it.
    chance = sum(1 / (events + 0.5) for events, _ in COUNTS) / 8
    more = level.scatter + 1 / small.p50 - chance
    expected = small.p50 * math.exp(stats.t.ppf(0.9, 7) * math.sqrt(more * 9 / 8))
    assert small.p90 == pytest.approx(expected)


def test_a_topic_with_few_campaigns_is_drawn_towards_the_others() -> None:
    others = [*make_pasts("a"), *make_pasts("b", 0.8), *make_pasts("c", 1.2)]
    new = [Past("new", 60 * DAY, 40, 10_000)]
    alone, drawn = math.log(40.5 / 10_001), find_level([*others, *new], "new").log
    usual = find_level(others, "unknown").log
    assert alone < drawn < usual
    much = [Past("new", place * DAY, 40 + place, 10_000) for place in range(40)]
    assert find_level([*others, *much], "new").log < (alone + drawn) / 2


def test_an_unknown_topic_is_less_sure_than_a_known_one() -> None:
    others = [*make_pasts("a"), *make_pasts("b", 0.5), *make_pasts("c", 1.5)]
    known, unknown = (find_level(others, one).predict(9_000) for one in ("a", "d"))
    assert unknown.p90 / unknown.p10 > 1.5 * known.p90 / known.p10


def test_fewer_than_three_campaigns_tell_nothing() -> None:
    assert forecast.find_level(make_pasts()[:2], "sale", 0) is None
    assert find_level(make_pasts()[:3]).own == 3
    level = find_level(make_pasts("other"), "sale")
    assert (level.own, level.others) == (0, 8)
    assert level == find_level([*make_pasts("other")], "sale")


def test_campaigns_alike_by_accident_promise_no_certainty() -> None:
    level = find_level([Past("sale", 0, 100, 1_000)] * 3)
    assert level.scatter > 0
    told = find_level([Past("sale", 0, 0, 1_000)] * 3).predict(1_000)
    assert 0 < told.p10 < told.p50 < told.p90 < 1_000


def test_old_campaigns_weigh_less_where_levels_drift() -> None:
    chance = random.Random(3)
    drifting = [
        Past("sale", place * 7 * DAY, round(2_000 * math.exp(-place / 20)), 20_000)
        for place in range(40)
    ]
    steady = [Past(one.topic, one.at, chance.gauss(1_400, 200), 20_000) for one in drifting]
    assert forecast.choose_half_life(drifting) < 60
    assert forecast.choose_half_life(steady) == math.inf
    now = drifting[-1].at + 7 * DAY
    assert find_level(drifting, now=now).predict(20_000).p50 < 450  # the last: 285


def test_reach_stays_below_everybody() -> None:
    pasts = [Past("", 0, shown, 1_000) for shown in (980, 992, 999, 985)]
    told = forecast.predict_share(pasts, 500)
    assert told is not None
    assert 460 < told.p10 < told.p50 < told.p90 < 500
    assert forecast.predict_share(pasts[:2], 500) is None
    better = forecast.predict_share(pasts, 500, shift=-2.0)
    assert better is not None and better.p50 < told.p50


def test_people_are_compared_by_what_they_are() -> None:
    cells = {("Firefox", 0): (1_000, 950), ("Chrome", 0): (1_000, 650)}
    same = forecast.compare_cells(cells, {("Firefox", 0): 5, ("Chrome", 0): 5}, 50)
    assert same == pytest.approx(0)
    more = forecast.compare_cells(cells, {("Firefox", 0): 9, ("Chrome", 0): 1}, 1e-9)
    here = 0.9 * 0.95 + 0.1 * 0.65
    assert more == pytest.approx(math.log(here / (1 - here)) - math.log(0.8 / 0.2))
    older = forecast.compare_cells(cells, {("Firefox", 1): 9, ("Chrome", 1): 1}, 1e-9)
    assert older == pytest.approx(more)  # as their browser
    assert forecast.compare_cells(cells, {("Safari", 0): 3}, 50) == pytest.approx(0)
    assert forecast.compare_cells({}, {("Safari", 0): 3}, 50) == 0
    assert forecast.compare_cells({("Safari", 0): (9, 9)}, {("Safari", 0): 3}, 50) == 0


def test_the_mean_of_the_last_three() -> None:
    pasts = make_pasts()
    last = [events / people for events, people in COUNTS[-3:]]
    found = forecast.average_last(pasts[::-1], "sale", 600)
    assert found == pytest.approx(200 * sum(last))
    assert forecast.average_last(pasts, "news", 600) is None


def test_scores() -> None:
    told = Range(2200, 2800, 3500)

    def lose(came: float) -> list[float]:
        pairs = zip(forecast.LEVELS, told.levels, strict=True)
        return [round(accuracy.measure_pinball(level, each, came), 6) for level, each in pairs]

    assert lose(3900) == [170, 550, 360]
    assert lose(2500) == [30, 150, 100]
    assert round(accuracy.measure_crps(told, 2500), 3) == 186.667
    assert accuracy.covers(told, 3500) and not accuracy.covers(told, 3501)
    for came in (1800.0, 2500.0, 3900.0):
        judged = [
            scoringrules.quantile_score(came, each, level)
            for level, each in zip(forecast.LEVELS, told.levels, strict=True)
        ]
        assert lose(came) == pytest.approx(judged)
        assert accuracy.measure_crps(told, came) == pytest.approx(2 * sum(judged) / 3)

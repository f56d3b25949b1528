"""Planted effects are found in small histories; docs/proofs.md has the long run."""

from pathlib import Path

import numpy as np

from pushctl import config as configs
from pushctl.demo.history import planted
from pushctl.demo.history.generate import make
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.send_times import best_time
from pushctl.rules.figures.send_times import best_hours, random_hours
from pushctl.rules.figures.send_times.best_hours import Count
from pushctl.store import Store
from tests.proofs import planted as proof

NOW = int(proof.UNTIL.timestamp() * 1000)


def test_more_leave_after_frequent_messages_as_often_as_planted(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    make(folder, people=6000, deliveries=110_000, events=40_000, orders=1000, seed=3,
         until=proof.UNTIL, days=120)  # fmt: skip
    config = configs.load(folder / configs.FILE, {})
    with Store(config.database) as store:
        found = list(proof.find_churn(store, config, Filter(now=NOW)))
    assert len(found) == 2
    for one in found:
        assert one.holds, str(one)
    assert any(one.low > 1 for one in found)  # not by chance


def test_rates_by_hour_are_those_planted_and_too_little_is_not_named(tmp_path: Path) -> None:
    proof.make_hours(tmp_path / "hours", 3500, 7, 50)
    found = proof.ask_best_time(tmp_path / "hours")
    assert found.hours.best is None
    assert "Too little to name a block" in " ".join(best_time.describe(found))
    assert found.hours.shrunk is not None
    base = found.hours.shrunk.mean / float(np.mean(planted.HOURS))
    rates = [one.rate for one in found.hours.measured]
    pairs = zip(rates, planted.HOURS, strict=True)
    held = sum(one.low <= base * factor <= one.high for one, factor in pairs)
    assert held >= 20  # of 24, in intervals of 95 %: fewer come once in 160 times
    night = max(rates[hour].high for hour in range(5))
    assert rates[planted.BEST_HOUR].low > night


def test_with_enough_sends_the_best_hour_is_named() -> None:
    """The measuring alone, on as many sends as `best-time` asks for: rows take minutes."""
    draw = np.random.default_rng(7)
    sends = round(1.2 * best_hours.SENDS_FOR_HOURS)
    hour, campaign = draw.integers(0, 24, sends), draw.integers(0, 10, sends)
    text = np.exp(draw.normal(0, 0.35, 10))
    rate = planted.TOPICS["promotion"] * np.array(planted.HOURS)[hour] * text[campaign]
    clicked = draw.random(sends) < np.minimum(rate, 1)
    measured = random_hours.measure_slots(
        24, hour, campaign, np.arange(1, sends + 1), clicked, np.full(sends, 1 / 24)
    )
    counts = [one.count if one.count.sends >= 200 else Count(0, 0) for one in measured]
    assert best_hours.balance([one.sends for one in counts]) >= best_hours.SENDS_FOR_HOURS
    assert best_hours.choose(best_hours.shrink(counts), counts) == planted.BEST_HOUR

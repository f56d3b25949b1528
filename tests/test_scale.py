"""The model of docs/scale.md: the least limit is the rate, and measurements are held to it."""

from dataclasses import replace

import pytest

from benchmarks.scale import Costs, Setting, check, count_saturating, predict, size_up

COSTS = Costs(coordinator_us=25.0, worker_us=175.0, sync_ms=0.0, message_bytes=131)


@pytest.mark.parametrize(
    ("setting", "rate", "limit"),
    [
        # 500 letters take a worker 87.5 ms, and 80 ms more until the last is answered.
        (Setting(1, 0.0, 8), 5_714, "workers"),
        (Setting(1, 0.08, 8), 2_985, "workers"),
        (Setting(4, 0.0, 2), 10_000, "cores"),
        (Setting(4, 0.0, 2, others_us=50.0), 8_000, "cores"),
        (Setting(64, 0.08, 0, apart=True), 40_000, "coordinator"),
        # Of nine processes that want two cores each gets a fifth of one.
        (Setting(64, 0.08, 2, rivals=9.0), 8_000, "coordinator"),
    ],
)
def test_the_least_limit_is_the_rate(setting: Setting, rate: int, limit: str) -> None:
    found, name = predict(COSTS, setting)
    assert (round(found), name) == (rate, limit)


def test_waits_for_the_disk_count_once_a_turn() -> None:
    slow = replace(COSTS, sync_ms=5.0)
    rate, _ = predict(slow, Setting(64, 0.0, 0, apart=True))
    assert round(rate) == round(1_000_000 / (25 + 2 * 5_000 / 2_000))


def test_one_coordinator_keeps_as_many_workers_busy_as_it_can_feed() -> None:
    assert count_saturating(COSTS, 0.0) == 7
    assert count_saturating(COSTS, 0.08) == 14


def test_sizes_grow_with_the_subscribers() -> None:
    small, large = (size_up(COSTS, size, 8) for size in (1_000_000, 10_000_000))
    assert small.keys() == large.keys()
    assert (small["each broadcast adds"], large["each broadcast adds"]) == (
        "0.13 GB",
        "1.31 GB",
    )


def test_measured_rates_are_held_to_the_model() -> None:
    free = {"workers": 1, "latency": 0.0, "rate": 20_000, "load": 1.0}
    posted = {"workers": 4, "latency": 0.0, "rate": 8_000, "load": 2.0}
    report = {
        "rows": [free | {"cpu_total": 25.0, "worker_cpu": 20.0}],
        "posted": [posted | {"cpu_total": 200.0, "sink_cpu": 50.0}],
        "circumstances": {"cores": 2, "sync_ms": 0.0},
    }
    accepting, posting = check(report)
    assert (accepting["predicted"], accepting["limit"]) == (40_000, "coordinator")
    assert accepting["error"] == 1.0
    assert (posting["predicted"], posting["error"]) == (8_000, 0.0)

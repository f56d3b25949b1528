"""
G1 and G2: whoever is killed, nobody gets a message twice and none is lost.

A few kills in every run; the long form is `tests/faults/kill.py --kills 200`.
"""

from pathlib import Path

import pytest

from tests.faults.kill import holds, kill_often

KILLS = 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "faults"),
    # A bad service takes a hundred a second or two: enough for all kills to strike a pool.
    [pytest.param(10_000, False, id="good"), pytest.param(3_000, True, id="bad")],
)
def test_kills_send_nothing_twice_and_lose_nothing(
    tmp_path: Path, people: int, faults: bool, seed: int
) -> None:
    figures = kill_often(tmp_path, kills=KILLS, people=people, seed=seed, faults=faults)
    assert holds(figures), figures
    assert figures.in_flight > 0, "no kill struck while anything was under way"

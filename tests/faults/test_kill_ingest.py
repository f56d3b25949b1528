"""
Imports and drains killed: nothing lost, nothing twice.

A few of each in every run; the long form is `tests/faults/kill_ingest.py --kills 200`.
"""

import pytest

from tests.faults.kill_ingest import run

KILLS = 6


@pytest.mark.slow
def test_kills_lose_nothing_and_do_nothing_twice(seed: int) -> None:
    found = run(kills=KILLS, seed=seed, people=4_000, rounds=15)
    assert (found["lost"], found["twice"], found["broken"]) == (0, 0, []), found
    assert found["kills"] == 2 * KILLS

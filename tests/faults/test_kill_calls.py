"""
Calls killed: no program runs twice for anybody, every event is told under one id.

A few in every run; the long form is `tests/faults/kill_calls.py --kills 200`.
"""

from tests.faults.kill_calls import run

KILLS = 5


def test_kills_call_nobody_twice_and_tell_everything() -> None:
    found = run(KILLS, seed=7)
    assert found.kills == KILLS
    assert (found.twice, found.lost, found.renamed) == (0, 0, 0), found

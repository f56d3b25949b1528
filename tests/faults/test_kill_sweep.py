"""A few killed sweeps in every test run; `kill_sweep.py --kills 200` is the long form."""

import pytest

from tests.faults import kill_sweep


@pytest.mark.slow
def test_killed_sweeps_remind_nobody_twice_and_forget_nobody(seed: int) -> None:
    figures = kill_sweep.run(5, seed=seed)
    assert (figures["duplicates"], figures["lost"], figures["unread"]) == (0, 0, 0)
    assert figures["integrity"] == "ok"

"""Twenty imports and twenty drains killed: nothing lost, nothing twice."""

import pytest

from tests.faults.kill_ingest import run


@pytest.mark.slow
def test_kills_lose_nothing_and_do_nothing_twice() -> None:
    found = run(kills=20, seed=2711, people=4_000, rounds=15)
    assert (found["lost"], found["twice"], found["broken"]) == (0, 0, []), found
    assert found["kills"] == 40

"""
Mixed faults for half a minute: neither memory nor file handles grow.

The long form is `tests/faults/soak.py --minutes 60`.
"""

from pathlib import Path

import pytest

from tests.faults.soak import Load, bound, soak
from tests.faults.soak_watch import slope

pytestmark = pytest.mark.alone

WARM_UP = 24.0  # seconds
SMALL = Load(people=6_000, workers=2, window=50, sprint=0.8 * WARM_UP)


@pytest.mark.slow
def test_faults_leave_memory_and_handles_as_they_were(tmp_path: Path, seed: int) -> None:
    figures = soak(tmp_path, seconds=45, warm_up=WARM_UP, load=SMALL, seed=seed)
    assert figures.find_breaches() == [], figures
    assert figures.messages > 5_000
    assert figures.outcomes["in_doubt"] > 0, "no fault struck"


def test_a_slope_is_in_megabytes_an_hour() -> None:
    assert slope([0, 1, 2, 3], [10, 11, 12, 13]) == pytest.approx(3600)
    assert slope([0, 60, 120], [5.0, 5.0, 5.0]) == 0


def test_a_long_run_is_held_to_a_megabyte_an_hour() -> None:
    assert bound(3600, noise=0.5) == 1.0
    assert bound(36, noise=0.5) == 50.0

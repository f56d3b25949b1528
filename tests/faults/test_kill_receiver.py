"""
G3: what the receiver acknowledged is on disk, whenever it is killed.

A few kills in every run; the long form is `tests/faults/kill_receiver.py --kills 200`.
"""

from pathlib import Path

import pytest

from tests.faults.kill_receiver import kill_often


@pytest.mark.slow
def test_nothing_acknowledged_is_missing_after_kills(tmp_path: Path, seed: int) -> None:
    figures = kill_often(tmp_path, kills=6, clients=16, seed=seed)
    assert figures["missing"] == figures["with_two_ids"] == 0, figures
    assert figures["acknowledged"] > 1_000, figures

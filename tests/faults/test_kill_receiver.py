"""G3: what the receiver acknowledged is on disk, whenever it is killed."""

from pathlib import Path

import pytest

from tests.faults.kill_receiver import kill_often


@pytest.mark.slow
def test_nothing_acknowledged_is_missing_after_twenty_kills(tmp_path: Path) -> None:
    figures = kill_often(tmp_path, kills=20, clients=16, seed=20)
    assert figures["missing"] == 0, figures
    assert figures["acknowledged"] > 1_000, figures

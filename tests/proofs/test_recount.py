"""Figures counted twice on random histories, a few of them; all in tests/proofs/recount.py."""

from pathlib import Path

import pytest

from tests.proofs import recount
from tests.support.histories import make_random_history


@pytest.mark.parametrize("seed", [2, 5])
def test_every_cell_is_what_a_slow_count_says(seed: int, tmp_path: Path) -> None:
    history = make_random_history(seed, tmp_path / "history")
    found = recount.check(history)
    history.close()
    assert set(found) == set(recount.CHECKS)


def test_a_random_history_has_everything_odd_in_it(tmp_path: Path) -> None:
    history = make_random_history(5, tmp_path / "history", people=80)
    odd = {
        "somebody was erased": "deliveries WHERE subscription_id IS NULL",
        "a test": "campaigns WHERE is_test",
        "another channel": "campaigns WHERE options ->> '$.channel' IS NOT NULL",
        "in doubt, then shown": "deliveries WHERE cause = 'shown' AND status = 'accepted'",
        "another service's worker": "foreign_deliveries",
        "thanked": "thanked",
        "old": "deliveries WHERE status = 'accepted' AND sent_at IS NULL",
        "held out": "enrolments WHERE state = 'holdout'",
        "two devices": "subscriptions GROUP BY alias HAVING count(*) > 1 AND alias NOT NULL",
        "refunded": "orders WHERE refunded_minor > 0",
        "no amount": "orders WHERE minor IS NULL",
    }
    missing = [
        name
        for name, rows in odd.items()
        if history.store.connection.execute(f"SELECT 1 FROM {rows}").fetchone() is None
    ]
    assert missing == []
    assert history.store.connection.execute("PRAGMA foreign_key_check").fetchall() == []
    history.close()

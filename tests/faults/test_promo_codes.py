"""A small version of promo_codes.py, with a fixed seed."""

from pathlib import Path

from tests.faults import promo_codes


def test_senders_that_are_killed_give_no_code_twice_and_lose_none(tmp_path: Path) -> None:
    found = promo_codes.run(tmp_path, senders=3, people=24, kills=4, seed=7)
    assert (found.twice, found.lost, found.changed, found.without) == (0, 0, 0, 0)
    assert (found.kills, found.bound) == (4, 3 * 18)
    assert found.messages > 0

"""Backups under load, restored: a small version."""

from tests.proofs import restores


def test_what_is_restored_sends_nothing_unasked_and_nobody_gets_it_twice() -> None:
    figures = restores.run(2, 7)
    assert figures.good, figures
    assert (figures.restores, figures.messages > 10) == (2, True)

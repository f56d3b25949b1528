"""A/B tests through the real ledger: how often equal arms have a winner, and better ones."""

import random

import pytest

from tests.proofs import winners

TESTS, PEOPLE, BASE = 200, 120, 0.25


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> winners.World:
    folder = tmp_path_factory.mktemp("winners")
    return winners.build(folder, PEOPLE, BASE, random.Random(7), "ab")


def check(found: winners.Found) -> None:
    """What must never be, and shares within four standard deviations."""
    assert (found.torn, found.strays, found.changed) == (0, 0, 0)
    assert found.alarms <= 2  # one in a thousand is promised
    people = found.assigned.total()
    assert people == TESTS * PEOPLE
    assert abs(found.assigned["b"] - people / 2) < 4 * (people / 4) ** 0.5


def test_equal_arms_have_a_winner_in_one_test_of_twenty(world: winners.World) -> None:
    found = winners.prove(world, "equal", TESTS, lift=1.0)
    check(found)
    # 5 % of 200 are 10; more than 18 or less than 2 are drawn once in a hundred.
    assert 2 <= found.winners.total() <= 18


def test_a_difference_of_the_promised_size_is_seen_in_four_tests_of_five(
    world: winners.World,
) -> None:
    lift = winners.find_lift(world, BASE)
    found = winners.prove(world, "better", TESTS, lift)
    check(found)
    assert found.winners["a"] == 0
    assert 0.72 <= found.share <= 0.88

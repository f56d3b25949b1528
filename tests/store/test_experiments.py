"""Experiments in the database: counts by person, what waits, what a step's next one leaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.errors import NotFoundError
from pushctl.model import CampaignStatus, InteractionKind
from pushctl.rules.messages.arms import Arm, Differ
from pushctl.store import Store, restoring
from pushctl.store.experiment_rows import ArmCounts
from pushctl.store.experiments import State
from pushctl.store.interactions import Interaction
from tests.support import DAY, HOUR, NOON, database
from tests.support.people import Human, settle

ARMS = (Arm("a", 0.5), Arm("b", 0.5))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with database.create(tmp_path / "pushctl.db") as made:
        yield made


def broadcast(store: Store, people: int, held: int = 0) -> tuple[int, list[int]]:
    """Plan a campaign for *people*, the last *held* of whom wait; return it and its rows."""
    store.sites.sync({"shop": "https://shop.example"})
    campaign = store.campaigns.create(
        name="sale", template="sale", audience="everyone", sources={}, options={}, now=NOON,
        expires_at=None,
    )  # fmt: skip
    rows = settle(store, [Human() for _ in range(people)])
    store.deliveries.plan(campaign.id, rows, now=NOON, expires_after=DAY)
    numbers = [row for (row,) in store.connection.execute("SELECT id FROM deliveries")]
    with store.write() as connection:
        for number in numbers[people - held :]:
            sql = "UPDATE deliveries SET cause = 'awaits_winner', next_attempt_at = ?"
            connection.execute(f"{sql} WHERE id = ?", (NOON + HOUR, number))
    return campaign.id, numbers


def fall(store: Store, delivery: int, variant: str, probability: float | None = 0.5) -> None:
    """Let a message fall to an arm and be accepted."""
    sql = """
        UPDATE deliveries SET variant = ?, variant_probability = ?, status = 'accepted'
         WHERE id = ?
    """
    with store.write() as connection:
        connection.execute(sql, (variant, probability, delivery))


def click(store: Store, delivery: int) -> None:
    one = Interaction(delivery, InteractionKind.CLICKED, None, NOON, f"click {delivery}")
    store.interactions.add(one)


def test_people_are_counted_once_whatever_their_devices(store: Store) -> None:
    campaign, rows = broadcast(store, 6)
    number = store.experiments.add(
        name="sale", campaign=campaign, arms=ARMS, differ=Differ.TEXT, rule="fixed",
        seed="sale", now=NOON,
    )  # fmt: skip
    for row, variant in zip(rows[:4], "aabb", strict=True):
        fall(store, row, variant)
    fall(store, rows[4], "a", None)  # no choice was there
    fall(store, rows[5], "b", 1.0)  # the winner
    for row in (rows[2], rows[3], rows[4], rows[5]):
        click(store, row)
    with store.write() as connection:  # two devices of one person
        connection.execute(
            "UPDATE subscriptions SET alias = 'mia', alias_trusted = 1 WHERE id IN (3, 4)"
        )
        connection.execute(
            "UPDATE subscriptions SET state = 'unsubscribed', state_at = ? WHERE id = 1",
            (NOON + HOUR,),
        )
    assert store.experiments.count_arms(number) == {
        "a": ArmCounts(assigned=2, accepted=2, unsubscribed=1),
        "b": ArmCounts(assigned=1, accepted=1, shown=1, clickers=1),
    }
    assert store.experiments.count_others(number) == {
        "outside": 1, "waiting": 0, "winner": 1,
    }  # fmt: skip


def test_what_waits_for_a_winner_is_not_claimed_before(store: Store) -> None:
    campaign, rows = broadcast(store, 5, held=2)
    late = NOON + 2 * HOUR
    assert store.deliveries.claim_due(campaign, 10, late) == ([], 0)
    assert store.experiments.release(campaign, "b", late) == 2
    claimed, count = store.deliveries.claim_due(campaign, 10, late)
    assert [(row.id, row.variant) for row in claimed] == [(rows[3], "b"), (rows[4], "b")]
    assert count == 2
    assert store.experiments.drop(campaign, "nobody won", late) == 0


def test_a_restored_database_sends_nothing_that_waited_for_a_winner(store: Store) -> None:
    """A person can have picked one early, after the backup."""
    broadcast(store, 3, held=2)
    assert restoring.hold_back(store, NOON) == 3


def test_a_test_is_decided_once(store: Store) -> None:
    campaign, _ = broadcast(store, 2)
    number = store.experiments.add(
        name="sale", campaign=campaign, arms=ARMS, differ=Differ.TEXT, rule="fixed",
        seed="sale", decide_at=NOON + HOUR, look_at=NOON + HOUR, now=NOON,
    )  # fmt: skip
    assert store.experiments.list_due(NOON) == []
    assert [one.id for one in store.experiments.list_due(NOON + HOUR)] == [number]
    assert store.experiments.end(number, "b", "won", "b is better", NOON + HOUR)
    assert not store.experiments.end(number, "a", "picked", "by hand", NOON + DAY)
    found = store.experiments.get("sale")
    assert (found.state, found.winner, found.arms) == (State.DECIDED, "b", ARMS)
    assert store.experiments.list_due(NOON + DAY) == []


def test_a_paused_campaign_is_not_decided(store: Store) -> None:
    campaign, _ = broadcast(store, 2)
    store.experiments.add(
        name="sale", campaign=campaign, arms=ARMS, differ=Differ.TEXT, rule="fixed",
        seed="sale", look_at=NOON, now=NOON,
    )  # fmt: skip
    store.campaigns.change_status(campaign, CampaignStatus.PAUSED, NOON)
    assert store.experiments.list_due(NOON) == []


def test_a_steps_next_experiment_replaces_the_one_before(store: Store) -> None:
    def begin(arms: tuple[Arm, ...]) -> int:
        return store.experiments.add(
            name="basket/1", trigger="basket", step=1, arms=arms, differ=Differ.TEXT,
            rule="bandit", seed="basket/1", now=NOON,
        )  # fmt: skip

    first, second = begin(ARMS), begin((*ARMS, Arm("c", 0.5)))
    assert store.experiments.get("basket/1").id == second
    assert list(store.experiments.load_steps()) == [("basket", 1)]
    states = {one.id: one.state for one in store.experiments.list_all()}
    assert states == {first: State.REPLACED, second: State.TESTING}


def test_propensities_have_versions(store: Store) -> None:
    number = store.experiments.add(
        name="basket/1", trigger="basket", step=1, arms=ARMS, differ=Differ.TEXT,
        rule="bandit", seed="basket/1", now=NOON,
    )  # fmt: skip
    assert store.experiments.load_propensities(number) is None
    add = store.experiments.add_propensities
    assert add(number, {"a": 0.5, "b": 0.5}, {"a": [0, 0], "b": [0, 0]}, NOON) == 1
    assert add(number, {"a": 0.2, "b": 0.8}, {"a": [9, 0], "b": [9, 3]}, NOON + HOUR) == 2
    assert store.experiments.load_propensities(number) == (NOON + HOUR, {"a": 0.2, "b": 0.8})


def test_an_unknown_name_lists_the_latest(store: Store) -> None:
    with pytest.raises(NotFoundError, match="There is none yet"):
        store.experiments.get("sale")


def test_a_look_reads_the_rows_of_its_own_campaign_alone(store: Store) -> None:
    campaign, rows = broadcast(store, 10)
    number = store.experiments.add(
        name="sale", campaign=campaign, arms=ARMS, differ=Differ.TEXT, rule="fixed",
        seed="sale", now=NOON,
    )  # fmt: skip
    for row in rows:
        fall(store, row, "b")

    def count_steps() -> int:
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        store.connection.set_progress_handler(count, 10)
        store.experiments.count_arms(number)
        store.experiments.count_others(number)
        store.connection.set_progress_handler(None, 0)
        return steps

    before = count_steps()
    with store.write() as connection:
        connection.execute(
            "INSERT INTO campaigns (name, status, template, audience, sources, created_at)"
            " VALUES ('other', 'finished', 'sale', 'everyone', '{}', 1)"
        )
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO deliveries (campaign_id, status, changed_at)"
            " SELECT (SELECT max(id) FROM campaigns), 'accepted', 1 FROM n"
        )
    assert count_steps() < 2 * before


def test_devices_known_by_one_address_are_one_person(store: Store) -> None:
    campaign, rows = broadcast(store, 6)
    number = store.experiments.add(
        name="sale", campaign=campaign, arms=ARMS, differ=Differ.TEXT, rule="fixed",
        seed="sale", now=NOON,
    )  # fmt: skip
    for row in rows:
        fall(store, row, "b")
    for row in rows[:3]:
        click(store, row)
    with store.write() as connection:  # 1 and 2: an address; 3 and 4: its other one is signed
        for device, address, alias in ((1, b"x", None), (2, b"x", None), (3, b"y", None),
                                       (4, b"y", "mia"), (5, None, "mia")):  # fmt: skip
            connection.execute(
                "UPDATE subscriptions SET email_hash = ?, alias = ?, alias_trusted = ?"
                " WHERE id = ?",
                (address and address * 32, alias, alias is not None, device),
            )
    assert store.experiments.count_arms(number) == {
        "b": ArmCounts(assigned=3, accepted=3, shown=2, clickers=2)
    }

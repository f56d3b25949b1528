"""Messages and people as columns: what figures are counted from."""

import numpy as np
import pytest

from pushctl.jobs.figures.columns import messages
from pushctl.jobs.figures.columns.messages import (
    STATUSES,
    load_messages,
    load_people,
    measure_rate,
)
from pushctl.model import DeliveryStatus, InteractionKind
from pushctl.rules.figures.statistics.intervals import measure_by_person, measure_share
from pushctl.store.interactions import Interaction
from tests.support import NOON
from tests.support.sending import Field


def send(sender: Field, name: str, people: int = 4) -> list[int]:
    made = sender.freeze(name=name)
    rows, _ = sender.store.deliveries.claim_fresh(made.id, 0, 100, NOON)
    found = [row.id for row in rows]
    sender.store.deliveries.accept(found[:people], 201, "en", NOON)
    return found


def click(sender: Field, row: int, key: str, action: str | None = None) -> None:
    one = Interaction(row, InteractionKind("clicked"), action, NOON, f"{row}:{key}")
    sender.store.interactions.add(one)


def test_each_message_is_an_entry_of_each_column(sender: Field) -> None:
    sender.people(4)
    first, second = send(sender, "one", 3), send(sender, "two", 4)
    click(sender, first[0], "a")
    click(sender, first[0], "b")
    sender.store.interactions.add_thanks(first[1], NOON)
    sender.store.deliveries.note_foreign([second[0], second[1]])
    click(sender, second[1], "a")
    sql = "SELECT subscription_id FROM deliveries WHERE id = ?"
    erased = sender.store.connection.execute(sql, [second[3]]).fetchone()[0]
    sender.store.erasure.erase([erased], NOON)
    found = load_messages(sender.store)
    assert len(found) == 8
    assert found.delivery.tolist() == first + second
    assert found.campaign.tolist() == [1] * 4 + [2] * 4
    accepted = STATUSES.index(DeliveryStatus.ACCEPTED)
    assert (found.status == accepted).tolist() == [True] * 3 + [False] + [True] * 4
    quarter = NOON // messages.QUARTER
    assert found.sent.tolist() == [quarter] * 3 + [-1] + [quarter] * 4
    assert np.flatnonzero(found.shown).tolist() == [0, 5]
    assert np.flatnonzero(found.clicked).tolist() == [0, 5]
    assert np.flatnonzero(found.bought).tolist() == [1]
    assert np.flatnonzero(found.unreported).tolist() == [4]
    assert found.clicks.tolist() == [2, 0, 0, 0, 0, 1, 0, 0]
    assert found.subscription[7] == 0 and (found.subscription[:7] > 0).sum() >= 6
    words = [found.languages[code] for code in found.language]
    assert words == ["en"] * 3 + [None] + ["en"] * 4


def test_tests_and_calls_on_other_channels_are_not_among_them(sender: Field) -> None:
    sender.people(2)
    send(sender, "one")
    send(sender, "call")
    send(sender, "test")
    with sender.store.write() as connection:
        connection.execute(
            "UPDATE campaigns SET options = '{\"channel\": \"exec\"}' WHERE name = 'call'"
        )
        connection.execute("UPDATE campaigns SET is_test = 1 WHERE name = 'test'")
    assert set(load_messages(sender.store).campaign.tolist()) == {1}
    assert set(load_messages(sender.store, [3]).campaign.tolist()) == {3}


def test_only_what_was_asked_for_is_there(sender: Field) -> None:
    sender.people(1)
    send(sender, "one")
    found = load_messages(sender.store, columns=["status"])
    assert found.status.dtype == np.uint8
    with pytest.raises(AttributeError):
        found.clicks  # noqa: B018
    assert len(load_messages(sender.store, [])) == 0


def test_devices_of_one_person_share_a_number(sender: Field) -> None:
    sender.people(7)
    ids = [one for (one,) in sender.store.connection.execute("SELECT id FROM subscriptions")]
    with sender.store.write() as connection:
        for row, alias, trusted, hashed in (
            (ids[0], "ann", 1, b"a"),
            (ids[1], "ann", 1, None),
            (ids[2], None, 0, b"a"),  # ann's address
            (ids[3], "ann", 0, None),  # a page only claims so
            (ids[4], None, 0, b"b"),
            (ids[5], None, 0, b"b"),
        ):
            sql = (
                "UPDATE subscriptions SET alias = ?, alias_trusted = ?, email_hash = ? "
                "WHERE id = ?"
            )
            connection.execute(sql, [alias, trusted, hashed, row])
    person = load_people(sender.store, ["person"]).person
    assert person[ids].tolist() == [
        ids[0], ids[0], ids[0], ids[3], ids[4], ids[4], ids[6],
    ]  # fmt: skip


def test_only_who_shares_an_alias_or_address_is_looked_at_for_persons(sender: Field) -> None:
    """Most people share none: millions of them would be read to find nothing."""
    rows = sender.people(200)
    with sender.store.write() as connection:
        connection.execute("UPDATE subscriptions SET alias = 'a' || id, alias_trusted = 1")
        connection.execute("UPDATE subscriptions SET email_hash = CAST(id AS BLOB)")
        connection.execute("UPDATE subscriptions SET alias = 'ann' WHERE id <= 2")
    assert [row for row, *_ in sender.store.message_rows.read_persons()] == rows[:2]


def test_people_are_indexed_by_their_number(sender: Field) -> None:
    sender.people(3)
    with sender.store.write() as connection:
        connection.execute("UPDATE subscriptions SET country = 'DE', city = NULL WHERE id = 2")
        connection.execute("UPDATE subscriptions SET state = 'gone' WHERE id = 3")
    people = load_people(sender.store, ["country", "city", "site", "active", "subscribed_at"])
    assert people.words["country"][people.country[2]] == "DE"
    assert people.words["city"][people.city[2]] is None
    assert people.words["site"][people.site[1]] is not None
    assert people.active.tolist() == [False, True, True, False]
    assert people.words["site"][people.site[0]] is None
    with pytest.raises(KeyError):
        load_people(sender.store, ["endpoint"])


def test_a_rate_with_one_message_each_has_the_interval_of_wilson() -> None:
    clicked = np.array([1, 0, 0, 1, 0], bool)
    people = np.array([1, 2, 3, 0, 0])
    assert measure_rate(clicked, np.ones(5, bool), people) == measure_share(2, 5)


def test_a_rate_with_several_messages_is_counted_by_person() -> None:
    rng = np.random.default_rng(7)
    person = rng.integers(0, 30, 400)
    sent = rng.random(400) < 0.8
    clicked = sent & (rng.random(400) < 0.2)
    found = measure_rate(clicked, sent, person)
    by_person = [
        (int(sent[person == one].sum()), int(clicked[person == one].sum()))
        for one in range(1, 30)
    ]
    erased = [
        (int(a), int(b)) for a, b in zip(sent[person == 0], clicked[person == 0], strict=True)
    ]
    expected = measure_by_person([*by_person, *erased])
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=1e-12
    )


def test_the_rate_of_nobody_is_unknown() -> None:
    none = np.zeros(2, bool)
    assert measure_rate(none, none, np.array([1, 2])).value is None

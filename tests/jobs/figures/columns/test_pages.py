"""Kept pages: the same after any change of a row, whoever made it, and never needed."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.jobs.figures.columns import page_cache, pages
from pushctl.jobs.figures.columns.messages import load_people
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.recount import check_kept
from pushctl.jobs.figures.tables import basket, holdout, triggers
from pushctl.store import Store, kept_pages
from pushctl.store.kept_pages import PEOPLE
from tests.support import effects
from tests.support.effects import DAY, Shop


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of which all is kept."""
    folder = tmp_path_factory.mktemp("shop")
    made = effects.build(folder, 4, people=20)
    with made.store.write() as connection:
        connection.execute(
            "INSERT INTO subscription_changes (subscription_id, kind, at)"
            " VALUES (2, 'gone', 9), (1, 'revived', 8), (1, 'unsubscribed', 7)"
        )
    count(made)
    made.store.close()
    return folder


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(built, tmp_path / "shop")
    config = configs.load(tmp_path / "shop" / "pushctl.toml", {})
    with Store(config.database) as store:
        yield Shop(config, store, random.Random(4))


def dump(shop: Shop) -> dict[str, object]:
    """Return all that pages give, as lists, with the words."""
    store = shop.store
    found: dict[str, object] = {"person": load_people(store, ["person"]).person.tolist()}
    orders, currencies = pages.load_orders(store)
    enrolments, names = pages.load_enrolments(store)
    for name, columns in (
        ("orders", orders),
        ("enrolments", enrolments),
        ("subscriptions", pages.load_subscriptions(store)),
        ("lots", pages.load_lots(store, "spring")),
    ):
        found |= {f"{name} {word}": column.tolist() for word, column in columns.items()}
    events = pages.load_events(store, ["purchase", "cart_updated"])
    people = load_people(store, list(PEOPLE))
    for name in PEOPLE:
        values = getattr(people, name).tolist()
        words = people.words.get(name)
        found[name] = values if words is None else [words[value] for value in values]
    changes, kinds = pages.load_changes(store)
    found |= {f"changes {word}": column.tolist() for word, column in changes.items()}
    found["changes kind"] = [kinds[one] for one in changes["kind"]]
    # In no order: each name has its own pages.
    found["events"] = sorted(zip(*(one.tolist() for one in events.values()), strict=True))
    found["orders currency"] = [currencies[one] for one in orders["currency"]]
    found["enrolments trigger"] = [names[one] for one in enrolments["trigger"]]
    return found


def count(shop: Shop) -> list[object]:
    asked = Filter(now=shop.now)
    late = Filter(now=shop.now, since=shop.now - 60 * DAY)
    return [
        holdout.load(shop.store, shop.config, asked),
        triggers.load(shop.store, shop.config, asked),
        basket.load(shop.store, shop.config, late),
        dump(shop),
    ]


def count_kept(shop: Shop) -> int:
    return int(shop.store.connection.execute("SELECT count(*) FROM kept_pages").fetchone()[0])


def test_what_was_kept_is_read_and_gives_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count(shop)
    monkeypatch.setattr(page_cache, "_build_pages", None)
    monkeypatch.setattr("pushctl.jobs.figures.columns.people._group_persons", None)
    assert count(shop) == before


def test_deleting_what_is_kept_changes_no_figure(shop: Shop) -> None:
    before = count(shop)
    shop.store.kept_pages.drop()
    assert count_kept(shop) == 0
    assert count(shop) == before


_ORDER = "(SELECT min(id) FROM orders WHERE subscription_id IS NOT NULL AND state = 'paid')"
_PERSON = "(SELECT min(id) FROM subscriptions WHERE state = 'active')"
_EVENT = "(SELECT min(id) FROM events WHERE name = 'purchase')"
_CHANGES = {
    "new event": "INSERT INTO events (subscription_id, name, at, received_at, dedupe_key)"
    " VALUES (1, 'purchase', 5, 5, 'x')",
    "event": f"UPDATE events SET at = at + 1 WHERE id = {_EVENT}",
    "event deleted": f"DELETE FROM events WHERE id = {_EVENT}",
    "new order": "INSERT INTO orders (site_id, source, number, state, at, received_at,"
    " subscription_id) VALUES (1, 'page', 'new', 'paid', 5, 5, 1)",
    "order's state": f"UPDATE orders SET state = 'cancelled' WHERE id = {_ORDER}",
    "order's test": f"UPDATE orders SET test = 1 WHERE id = {_ORDER}",
    "order's amount": f"UPDATE orders SET minor = 77, exponent = 1 WHERE id = {_ORDER}",
    "order's refund": f"UPDATE orders SET minor = 9, exponent = 2, refunded_minor = 3"
    f" WHERE id = {_ORDER}",
    "order's currency": f"UPDATE orders SET currency = 'KWD' WHERE id = {_ORDER}",
    "order's time": f"UPDATE orders SET at = 6 WHERE id = {_ORDER}",
    "order's buyer": f"UPDATE orders SET subscription_id = NULL WHERE id = {_ORDER}",
    "order deleted": f"DELETE FROM orders WHERE id = {_ORDER}",
    "new enrolment": "INSERT INTO enrolments (trigger, subscription_id, occurrence, state,"
    " entered_at, changed_at) VALUES ('basket', 1, 'new', 'finished', 5, 5)",
    "enrolment's group": "UPDATE enrolments SET state = iif(state = 'holdout', 'finished',"
    " 'holdout') WHERE id = 1",
    "enrolment's time": "UPDATE enrolments SET entered_at = 5 WHERE id = 1",
    "enrolment's trigger": "UPDATE enrolments SET trigger = 'other' WHERE id = 1",
    "enrolment deleted": "DELETE FROM enrolments WHERE id = 1",
    "person left": "UPDATE subscriptions SET state = 'gone', state_at = 7"
    f" WHERE id = {_PERSON}",
    "person joined": f"UPDATE subscriptions SET subscribed_at = 7 WHERE id = {_PERSON}",
    "person's site": f"UPDATE subscriptions SET site_id = 3 - site_id WHERE id = {_PERSON}",
    "person's id": f"UPDATE subscriptions SET public_id = 'other' WHERE id = {_PERSON}",
    "alias": "UPDATE subscriptions SET alias = 'same', alias_trusted = 1 WHERE id IN (2, 5)",
    "address": "UPDATE subscriptions SET alias_trusted = 0, email_hash = zeroblob(16),"
    " site_id = 1 WHERE id IN (2, 5)",
    "site's name": "UPDATE sites SET name = 'renamed' WHERE id = 1",
    **{
        name: f"UPDATE subscriptions SET {name} = 'xx' WHERE id = {_PERSON}"
        for name in ("country", "city", "browser", "os", "language", "source")
    },
    "timezone": f"UPDATE subscriptions SET timezone = 'Asia/Riyadh' WHERE id = {_PERSON}",
    "device": "UPDATE subscriptions SET attributes = '{\"device\": \"phone\"}'"
    f" WHERE id = {_PERSON}",
    "landing": "UPDATE subscriptions SET attributes = '{\"landing_page\": \"/a\"}'"
    f" WHERE id = {_PERSON}",
    "verified": f"UPDATE subscriptions SET verified_at = 7 WHERE id = {_PERSON}",
    "new person": "INSERT INTO subscriptions (public_id, site_id, endpoint, endpoint_hash,"
    " p256dh, auth, key_id, state_at, subscribed_at, last_seen_at) SELECT 'new', site_id,"
    " endpoint, x'ff112233445566778899aabbccddeeff', p256dh, auth, key_id,"
    " 5, 5, 5 FROM subscriptions WHERE id = 1",
    "imported person": "INSERT INTO subscriptions (id, public_id, site_id, endpoint,"
    " endpoint_hash, p256dh, auth, key_id, state_at, subscribed_at, last_seen_at, country)"
    " SELECT 21, 'new', site_id, endpoint, x'00112233445566778899aabbccddeeff', p256dh, auth,"
    " key_id, 5, 5, 5, 'xx' FROM subscriptions WHERE id = 1",
    "new change": "INSERT INTO subscription_changes (subscription_id, kind, at)"
    " VALUES (1, 'gone', 3)",
    "change": "UPDATE subscription_changes SET kind = 'gone' WHERE id = 2",
    "change's time": "UPDATE subscription_changes SET at = at + 1 WHERE id = 1",
    "change's person": "UPDATE subscription_changes SET subscription_id = 3 WHERE id = 1",
    "change deleted": "DELETE FROM subscription_changes WHERE id = 1",
    "person deleted": "DELETE FROM subscriptions WHERE id ="
    " (SELECT min(subscription_id) FROM enrolments)",
}  # fmt: skip


@pytest.mark.parametrize("what", _CHANGES)
def test_whoever_changes_a_row_has_its_figures_counted_anew(shop: Shop, what: str) -> None:
    """Also a program that is not ours: it does so by a connection of its own."""
    before = dump(shop)
    with closing(sqlite3.connect(shop.store.path)) as other, other:
        other.execute("PRAGMA foreign_keys = ON")
        other.execute(_CHANGES[what])
    after = dump(shop)
    assert after != before
    shop.store.kept_pages.drop()
    assert dump(shop) == after


def test_rows_on_many_pages_are_read_in_their_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(shop)
    shop.store.kept_pages.drop()
    # What triggers delete does not matter here: nothing changes.
    monkeypatch.setattr(page_cache, "BITS", dict.fromkeys(kept_pages.BITS, 2))
    assert dump(shop) == before
    assert count_kept(shop) > 30
    assert dump(shop) == before


def test_figures_are_counted_where_nothing_can_be_kept(shop: Shop) -> None:
    before = dump(shop)
    shop.store.kept_pages.drop()
    with shop.store.snapshot():
        shop.store.connection.execute("SELECT 1 FROM sites").fetchone()
        assert dump(shop) == before
    with closing(sqlite3.connect(shop.store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert dump(shop) == before
    assert count_kept(shop) == 0


def test_a_page_of_another_version_is_not_used(shop: Shop) -> None:
    before = dump(shop)
    sql = "UPDATE kept_pages SET about = json_replace(about, '$.version', 0), data = x'00'"
    with shop.store.write() as connection:
        connection.execute(sql)
    assert dump(shop) == before


def test_check_finds_a_page_that_is_wrong_and_deletes_it(shop: Shop) -> None:
    assert check_kept.check(shop.store, shop.config)[1] == []
    before = dump(shop)
    sql = """
        UPDATE kept_pages SET about = json_replace(about, '$.columns[0][1]', 9)
         WHERE source = 'orders'
    """
    with shop.store.write() as connection:
        connection.execute(sql)
    (found,) = check_kept.check(shop.store, shop.config)[1]
    assert str(found).startswith("orders: sum of people of page 0: ")
    assert dump(shop) == before


def test_every_column_of_people_is_among_these_changes() -> None:
    """One that a page has and no trigger knows would stay as it was for ever."""
    others = {"site": "person's site", "subscribed_at": "person joined", "state": "person left"}
    assert {others.get(name, name) for name in PEOPLE} <= _CHANGES.keys()


def list_people_kept(shop: Shop) -> set[str]:
    sql = "SELECT name FROM kept_pages WHERE source = 'people'"
    return {name for (name,) in shop.store.connection.execute(sql)}


def test_a_state_that_changes_leaves_the_other_columns(shop: Shop) -> None:
    assert list_people_kept(shop) == set(PEOPLE)
    with shop.store.write() as connection:
        connection.execute(_CHANGES["person left"])
        connection.execute("UPDATE subscriptions SET last_seen_at = 99, failures = 1")
    assert list_people_kept(shop) == set(PEOPLE) - {"state"}


@pytest.mark.parametrize("name", ["country", "state", "subscribed_at"])
def test_check_finds_a_column_of_people_that_is_wrong(shop: Shop, name: str) -> None:
    before = dump(shop)
    value = {"country": "'xx'", "state": "'quarantined'", "subscribed_at": "77"}[name]
    with shop.store.write() as connection:
        for trigger in ("kept_people_changed", "kept_people_state"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(f"UPDATE subscriptions SET {name} = {value} WHERE id = 3")
    assert dump(shop)[name] == before[name]
    found = [str(one) for one in check_kept.check(shop.store, shop.config)[1]]
    assert any(one.startswith(f"people: {name} ") for one in found)
    assert dump(shop)[name] != before[name]


def test_after_a_restore_pages_without_rows_are_not_looked_for(shop: Shop) -> None:
    before = dump(shop)
    with shop.store.write() as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = seq + 1000000000")
    assert dump(shop) == before
    assert count_kept(shop) < 40

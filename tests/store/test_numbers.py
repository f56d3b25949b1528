"""A row's number is never another's later: after an erasure, a pruning or a restore."""

import re
from pathlib import Path

import pytest

from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.rendering import context
from pushctl.jobs.delivery.results.outcomes import OutcomeBatch
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.store import Store, restoring
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.store.subscriptions import Registration
from tests import support
from tests.support import DAY, MINUTE, NOON, sending
from tests.support.files import load, person
from tests.support.posting import Project
from tests.support.shop import Shop


def erase(store: Store, *rows: int) -> None:
    store.erasure.erase(rows, NOON)


def newest(store: Store, table: str) -> int:
    (row,) = store.connection.execute(f"SELECT max(id) FROM {table}").fetchone()
    return int(row)


def test_every_table_that_numbers_its_rows_gives_each_number_once(store: Store) -> None:
    """A new table needs AUTOINCREMENT: what names its rows may outlive them."""
    tables = store.connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite_%'"
    ).fetchall()
    numbered = {name for name, sql in tables if re.search(r"\bINTEGER PRIMARY KEY\b", sql)}
    once = {name for name, sql in tables if "INTEGER PRIMARY KEY AUTOINCREMENT" in sql}
    assert len(once) >= 13
    assert numbered == once
    counted = {name for (name,) in store.connection.execute("SELECT name FROM sqlite_sequence")}
    assert once <= counted  # a restore moves all of them on


def test_who_comes_after_an_erasure_gets_numbers_of_their_own(swept_shop: Shop) -> None:
    shop, store = swept_shop, swept_shop.store
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    before = {name: newest(store, name) for name in ("subscriptions", "events", "enrolments")}
    erase(store, ann)
    bob = shop.person()
    shop.fill(bob, NOON)
    shop.sweep(NOON + MINUTE)
    for name, number in before.items():
        assert newest(store, name) > number, name


def test_events_after_an_erasure_of_the_newest_begin_enrolments(swept_shop: Shop) -> None:
    """The sweep goes on from a number; a stranger could post many events and erase them."""
    shop, store = swept_shop, swept_shop.store
    bob, stranger = shop.person(), shop.person()
    for _ in range(20):
        shop.event(stranger, "page_view", NOON)
    shop.sweep(NOON)
    erase(store, stranger)
    shop.fill(bob, NOON + MINUTE)
    shop.sweep(NOON + MINUTE)
    assert [one.trigger for one in store.enrolments.list_all(bob)] == ["basket"]


def test_events_after_a_pruning_begin_enrolments_anew(swept_shop: Shop) -> None:
    """An event's number is an enrolment's cause, which outlives the event."""
    shop, store = swept_shop, swept_shop.store
    ann, stranger = shop.person(), shop.person()
    for day in range(3):
        shop.fill(ann, NOON + day * DAY)
        shop.sweep(NOON + day * DAY)
        shop.sweep(NOON + day * DAY + 3 * MINUTE)
    shop.event(stranger, "page_view", NOON + 3 * DAY)
    shop.sweep(NOON + 9 * DAY)
    store.pruning.run(NOON + 9 * DAY, ["basket"])
    erase(store, stranger)  # nothing is left of the events, so their numbers were free
    shop.fill(ann, NOON + 10 * DAY)
    shop.sweep(NOON + 10 * DAY)
    assert [one.active for one in store.enrolments.list_all(ann)][-1]


def test_imported_people_get_numbers_of_their_own(inbox_project: Project) -> None:
    store = inbox_project.store
    load(inbox_project, person(1), person(2))
    last = newest(store, "subscriptions")
    erase(store, last)
    load(inbox_project, person(3), person(4))
    rows = store.connection.execute("SELECT id FROM subscriptions ORDER BY id").fetchall()
    assert [row for (row,) in rows] == [last - 1, last + 1, last + 2]


# --- late answers ---------------------------------------------------------------------------


def answer(store: Store, person: int, kind: Answer, cause: Cause | None) -> OutcomeBatch:
    """Return the answer to a letter that is on its way to *person*, as they are now."""
    (one,) = store.subscriptions.get_many([person])
    letter = Letter(1, one.endpoint, b"", b"", "k", b"", 60, "normal", None)
    row = RenderedRow(letter, ("https://push.example", "k"), 1, None, person, "en", 1)
    batch = OutcomeBatch(NOON)
    outcome = Outcome(1, kind, "late", 410, cause=cause)
    batch.add([outcome], {1: row}, Throttle({}))
    return batch


def move(store: Store, person: int) -> None:
    """The browser brings a new endpoint."""
    fresh = Registration(
        1, support.endpoint(99), bytes(16), support.p256dh(), support.auth(), "k"
    )
    store.subscriptions.move(person, fresh, "new endpoint", NOON)


ANSWERS = [
    (Answer.GONE, Cause.GONE),
    (Answer.QUARANTINE, Cause.UNEXPECTED),
    (Answer.TOO_LARGE, Cause.TOO_LARGE),
    (Answer.ACCEPTED, None),
]


def facts(store: Store) -> list[tuple[object, ...]]:
    sql = "SELECT id, state, failures, failing_since, small_payload FROM subscriptions"
    return store.connection.execute(sql).fetchall()


@pytest.mark.parametrize(("kind", "cause"), ANSWERS)
def test_a_late_answer_for_an_erased_person_changes_nobody(
    swept_shop: Shop, kind: Answer, cause: Cause | None
) -> None:
    store = swept_shop.store
    ann = swept_shop.person()
    late = answer(store, ann, kind, cause)
    erase(store, ann)
    swept_shop.person()
    with store.write():
        store.connection.execute("UPDATE subscriptions SET failures = 2, failing_since = 1")
    before = facts(store)
    late.write_subscriptions(store)
    assert facts(store) == before


@pytest.mark.parametrize(("kind", "cause"), ANSWERS)
def test_a_late_answer_about_an_old_endpoint_changes_nothing_of_the_new_one(
    swept_shop: Shop, kind: Answer, cause: Cause | None
) -> None:
    store = swept_shop.store
    ann = swept_shop.person()
    late = answer(store, ann, kind, cause)
    move(store, ann)
    with store.write():
        store.connection.execute("UPDATE subscriptions SET failures = 2, failing_since = 1")
    before = facts(store)
    late.write_subscriptions(store)
    assert facts(store) == before
    # The same answer about the new one counts.
    answer(store, ann, kind, cause).write_subscriptions(store)
    assert facts(store) != before


def test_a_report_of_an_erased_person_shows_nobody_elses_step(swept_shop: Shop) -> None:
    """Even where a number came again, before this build or by a hand in the database."""
    shop, store = swept_shop, swept_shop.store
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    shop.sweep(NOON + 3 * MINUTE, show=False)
    (sent,) = shop.sent
    erase(store, ann)
    bob = shop.person()
    shop.fill(bob, NOON + 4 * MINUTE)
    shop.sweep(NOON + 4 * MINUTE)
    shop.sweep(NOON + 7 * MINUTE, show=False)
    with store.write():
        store.connection.execute("UPDATE enrolments SET id = ?", [sent.enrolment])
    shop.report(sent.delivery, NOON + 8 * MINUTE)
    shop.sweep(NOON + 8 * MINUTE, show=False)
    assert [one.shown_at for one in store.enrolments.list_all(bob)] == [None]


def test_a_message_holds_no_basket_but_its_persons(swept_shop: Shop) -> None:
    shop, store = swept_shop, swept_shop.store
    ann, bob = shop.person(), shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    (enrolment,) = store.enrolments.list_all(ann)
    ours, theirs = (enrolment.id, ann), (enrolment.id, bob)
    assert store.enrolments.load_contexts([ours, theirs]).keys() == {enrolment.id}
    assert store.enrolments.load_contexts([theirs]) == {}
    row = ClaimedRow(1, bob, enrolment.id, *(None,) * (len(ClaimedRow._fields) - 3))  # type: ignore[arg-type]
    assert context._load_enrolments(store, [row]) == {}


def test_the_cursor_of_reports_never_goes_back(swept_shop: Shop) -> None:
    store = swept_shop.store
    assert store.enrolments.list_shown(7) == (7, [])


# --- between choosing and writing -----------------------------------------------------------


@pytest.mark.parametrize("wish", [{}, {"over": "1h"}, {"at": "2030-01-01 10:00"}])
def test_who_is_erased_before_a_campaign_is_frozen_gets_none_and_stops_none(
    sender: sending.Field, wish: dict[str, str]
) -> None:
    from pushctl.jobs.campaigns import broadcast
    from pushctl.jobs.campaigns.draft import Draft

    people = sender.people(3)
    made = broadcast.plan(
        sender.store,
        sender.config,
        Draft(everyone=True, template="sale", **wish),  # type: ignore[arg-type]
        NOON,
    )
    erase(sender.store, people[2])
    sender.people(1, first=7)  # comes while `send` asks its question
    campaign = broadcast.freeze(sender.store, made, NOON)
    sql = "SELECT subscription_id FROM deliveries WHERE campaign_id = ? ORDER BY id"
    rows = sender.store.connection.execute(sql, [campaign.id]).fetchall()
    assert [row for (row,) in rows] == people[:2]


def test_who_is_erased_before_a_tag_is_put_on_gets_none_and_stops_none(
    swept_shop: Shop,
) -> None:
    store = swept_shop.store
    ann, bob = swept_shop.person(), swept_shop.person()
    erase(store, ann)
    assert store.tags.add([ann, bob], "Sale", NOON) == 1
    assert store.tags.add([ann], "Nobody's", NOON) == 0
    assert (store.tags.find("Nobody's"), swept_shop.tags(bob, NOON)) == (None, ("Sale",))


# --- after a restore ------------------------------------------------------------------------


def test_numbers_given_after_a_backup_are_not_given_again(swept_shop: Shop) -> None:
    """Browsers hold tokens of messages that the restored database does not know."""
    shop, store = swept_shop, swept_shop.store
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    shop.sweep(NOON + 3 * MINUTE)
    tables = ("subscriptions", "events", "enrolments", "deliveries", "interactions")
    before = {name: newest(store, name) for name in tables}
    restoring.hold_back(store, NOON + 4 * MINUTE)
    bob = shop.person()
    shop.fill(bob, NOON + 5 * MINUTE)
    shop.sweep(NOON + 5 * MINUTE)
    shop.sweep(NOON + 8 * MINUTE)
    assert shop.got(bob) == [("basket/1", NOON + 8 * MINUTE)]
    for name, number in before.items():
        assert newest(store, name) > number + restoring.SKIPPED_NUMBERS, name


def test_a_number_that_was_skipped_still_fits_everywhere(tmp_path: Path) -> None:
    """A thousand restores later: JavaScript and SQLite are exact up to 2**53."""
    assert 1000 * restoring.SKIPPED_NUMBERS < 2**53


def test_tables_that_are_written_most_have_their_numbers_first(store: Store) -> None:
    """SQLite reads sqlite_sequence from its beginning at each INSERT: it has no index."""
    rows = store.connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY rowid")
    names = [name for name, _ in rows]
    assert names[:5] == [
        "events", "deliveries", "interactions", "subscriptions", "attribution_changes",
    ]  # fmt: skip
    assert len(set(names)) == len(names)


def test_what_a_browser_says_again_is_not_written_again(inbox_project: Project) -> None:
    """Each event says it: else indexes and triggers would look at it for nothing."""
    store = inbox_project.store
    load(inbox_project, person(1))
    row = newest(store, "subscriptions")
    about = {"language": "tr", "browser": "Firefox", "source": "page", "os": None}
    store.subscriptions.refresh(row, about, NOON)
    for more, changes in (
        ({}, 0), ({"os": "Android"}, 1), ({"source": "other"}, 0), ({"language": "de"}, 1),
    ):  # fmt: skip
        before = store.connection.total_changes
        store.subscriptions.refresh(row, {**about, **more}, NOON)
        assert store.connection.total_changes - before == changes, more
        about = {**about, **more, "source": "page"}
    store.subscriptions.refresh(row, about, NOON + MINUTE)
    store.subscriptions.refresh(row, about, NOON)
    sql = "SELECT last_seen_at, language, browser, os, source FROM subscriptions WHERE id = ?"
    found = store.connection.execute(sql, [row]).fetchone()
    assert found == (NOON + MINUTE, "de", "Firefox", "Android", "page")

"""When a message was sent, shown and clicked: state, written by every path that changes it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from pushctl.model import Cause, InteractionKind, Millis
from pushctl.store import Store, restoring
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import FinishedRow, ReleasedRow
from pushctl.store.schema import migrations
from tests.support import MINUTE, NOON
from tests.support.sending import Field

LATER = NOON + 5 * MINUTE


def claim(sender: Field) -> list[int]:
    """Claim three messages at noon."""
    sender.people(3)
    made = sender.freeze(name="sale")
    rows, _ = sender.store.deliveries.claim_fresh(made.id, 0, 10, NOON)
    return [row.id for row in rows]


def read(store: Store, row: int) -> tuple[Millis | None, Millis | None, Millis | None]:
    sql = "SELECT sent_at, shown_at, clicked_at FROM deliveries WHERE id = ?"
    times: tuple[Millis | None, ...] = store.connection.execute(sql, [row]).fetchone()
    return times[0], times[1], times[2]


def report(store: Store, row: int, kind: str, at: Millis, key: str = "") -> None:
    one = Interaction(row, InteractionKind(kind), None, at, f"{row}:{kind}:{key}")
    store.interactions.add(one)


def test_a_message_was_sent_when_the_service_answered(sender: Field) -> None:
    accepted, gone, refused = claim(sender)
    store = sender.store
    assert read(store, accepted) == (None, None, None)
    store.deliveries.accept([accepted], 201, "en", LATER)
    rows = [
        FinishedRow(gone, "gone", "404", Cause.GONE),
        FinishedRow(refused, "rejected", "400", Cause.BAD_REQUEST),
    ]
    store.deliveries.finish(rows, LATER)
    assert [read(store, row)[0] for row in (accepted, gone, refused)] == [LATER] * 3


def test_in_doubt_and_what_a_dead_process_learnt_left_when_they_were_claimed(
    sender: Field,
) -> None:
    doubted, accepted, gone = claim(sender)
    store = sender.store
    store.deliveries.finish(
        [FinishedRow(doubted, "in_doubt", "?", Cause.SENDER_STOPPED)], LATER, late=True
    )
    store.deliveries.finish([FinishedRow(gone, "gone", "404", Cause.GONE)], LATER, late=True)
    store.deliveries.accept([accepted], 201, None, LATER, late=True)
    assert [read(store, row)[0] for row in (doubted, accepted, gone)] == [NOON] * 3
    store.doubts.assume_sent(None, LATER + MINUTE)
    assert read(store, doubted)[0] == NOON


@pytest.mark.parametrize("status", ["planned", "expired", "skipped"])
def test_what_goes_out_again_or_never_was_not_sent(sender: Field, status: str) -> None:
    row, held, refused = claim(sender)
    store = sender.store
    cause = Cause.SERVICE_FAULT
    store.deliveries.finish([FinishedRow(row, status, "503", cause)], LATER)
    store.deliveries.finish([FinishedRow(refused, "rejected", "", Cause.NO_MESSAGE)], LATER)
    store.deliveries.release([ReleasedRow(held)], LATER)
    assert [read(store, one)[0] for one in (row, held, refused)] == [None] * 3


def test_what_is_sent_again_by_hand_was_not_sent_yet(sender: Field) -> None:
    doubted, refused, _ = claim(sender)
    store = sender.store
    campaign = store.campaigns.get("sale").id
    store.deliveries.finish(
        [
            FinishedRow(doubted, "in_doubt", "?", Cause.SENDER_STOPPED),
            FinishedRow(refused, "rejected", "400", Cause.BAD_REQUEST),
        ],
        LATER,
    )
    everybody = [one for (one,) in store.connection.execute("SELECT id FROM subscriptions")]
    store.doubts.send_again(campaign, LATER)
    store.doubts.send_rejected_again(campaign, everybody, LATER, LATER + MINUTE)
    assert [read(store, row)[0] for row in (doubted, refused)] == [None] * 2


def test_a_report_tells_when_it_was_shown_and_clicked(sender: Field) -> None:
    row, lost, early = claim(sender)
    store = sender.store
    store.deliveries.accept([row], 201, None, NOON)
    report(store, row, "shown", LATER)
    report(store, row, "clicked", LATER + 2, "second")
    report(store, row, "clicked", LATER + 1, "first")
    assert read(store, row) == (NOON, LATER, LATER + 1)
    # The process died, so the report is what says that it left: after the claim.
    report(store, lost, "closed", LATER)
    assert read(store, lost) == (NOON, LATER, None)
    # Its "shown" got lost: the click is the first that is known.
    report(store, early, "clicked", LATER)
    assert read(store, early) == (NOON, LATER, LATER)


def test_thanks_are_neither_shown_nor_clicked(sender: Field) -> None:
    row = claim(sender)[0]
    sender.store.interactions.add_thanks(row, LATER)
    assert read(sender.store, row) == (NOON, None, None)


def test_after_a_restore_only_what_was_claimed_may_have_left_then(sender: Field) -> None:
    claimed, planned, _ = claim(sender)
    store = sender.store
    store.deliveries.release([ReleasedRow(planned)], NOON)
    restoring.hold_back(store, LATER)
    assert [read(store, row)[0] for row in (claimed, planned)] == [NOON, None]


def test_an_erasure_leaves_the_times(sender: Field) -> None:
    row = claim(sender)[0]
    store = sender.store
    store.deliveries.accept([row], 201, None, NOON)
    report(store, row, "clicked", LATER)
    sql = "SELECT subscription_id FROM deliveries WHERE id = ?"
    store.erasure.erase([store.connection.execute(sql, [row]).fetchone()[0]], LATER)
    assert read(store, row) == (NOON, LATER, LATER)
    assert store.connection.execute(sql, [row]).fetchone() == (None,)


# What m038 makes of rows of before it: state and cause -> whether it knows when it was sent.
_BEFORE = {
    ("accepted", None): True,
    ("accepted", "by_hand"): False,
    ("accepted", "shown"): False,
    ("accepted", "thanked"): False,
    ("accepted", "recalled"): False,
    ("gone", "gone"): True,
    ("rejected", "bad_request"): True,
    ("rejected", "no_message"): False,
    ("in_doubt", "timeout"): False,
    ("in_doubt", "database_restored"): False,
    ("planned", "service_fault"): False,
    ("expired", "time_over"): False,
    ("skipped", "cancelled"): False,
    ("sending", None): False,
}


def test_an_upgrade_knows_when_a_message_was_sent_only_where_nothing_came_after(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pushctl.db"
    with closing(Database(path)) as old:
        migrations.apply(old, stop_before="m038_times")
        old.execute(
            "INSERT INTO campaigns (id, name, status, template, audience, sources, created_at)"
            " VALUES (1, 'sale', 'finished', 't', 'x', '{}', 1)"
        )
        for number, (status, cause) in enumerate(_BEFORE, 1):
            old.execute(
                "INSERT INTO deliveries (id, campaign_id, status, cause, changed_at)"
                " VALUES (?, 1, ?, ?, 1000)",
                [number, status, cause],
            )
        for kind, at in (("clicked", 30), ("clicked", 20), ("closed", 10)):
            old.execute(
                "INSERT INTO interactions (delivery_id, kind, at, dedupe_key)"
                " VALUES (1, ?, ?, ?)",
                [kind, at, f"{kind}{at}"],
            )
        old.conn.commit()
    Store(path).close()
    with closing(sqlite3.connect(path)) as new:
        rows = new.execute("SELECT status, cause, sent_at FROM deliveries ORDER BY id")
        assert {(status, cause): at == 1000 for status, cause, at in rows} == _BEFORE
        sql = "SELECT id, shown_at, clicked_at FROM deliveries WHERE shown_at OR clicked_at"
        assert new.execute(sql).fetchall() == [(1, 10, 20)]

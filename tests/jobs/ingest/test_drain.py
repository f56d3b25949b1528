"""jobs.ingest: every line is applied exactly once, bad ones stop nothing; reports."""

import threading
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from pushctl import inbox, lock
from pushctl.errors import BusyError
from pushctl.inbox import Writer
from pushctl.jobs.figures.tables import funnels
from pushctl.jobs.ingest.drain import MOST_REASONS, drain
from pushctl.model import SubscriptionState
from pushctl.rules import tokens
from tests import support
from tests.support import NOON
from tests.support.posting import SECRET, Browser, Project, events_of


def state_of(inbox_project: Project, browser: Browser) -> SubscriptionState:
    found = inbox_project.get(browser)
    assert found is not None
    return found.state


# --- reports -------------------------------------------------------------------------------


@pytest.fixture
def delivery(inbox_project: Project, ann: Browser) -> int:
    return inbox_project.plan(ann)


def interactions(inbox_project: Project) -> list[str]:
    sql = "SELECT kind FROM interactions ORDER BY kind"
    return [kind for (kind,) in inbox_project.store.connection.execute(sql)]


def test_one_display_and_many_clicks_are_counted(
    inbox_project: Project, ann: Browser, delivery: int
) -> None:
    inbox_project.drain(
        ann.report(delivery, "shown", id="1"),
        ann.report(delivery, "shown", id="2"),
        ann.report(delivery, "clicked", id="3", action="buy"),
        ann.report(delivery, "clicked", id="3", action="buy"),
        ann.report(delivery, "clicked", id="4"),
        ann.report(delivery, "closed", id="5"),
    )
    assert interactions(inbox_project) == ["clicked", "clicked", "closed", "shown"]


def test_a_report_makes_the_subscription_a_verified_one(
    inbox_project: Project, ann: Browser, delivery: int
) -> None:
    inbox_project.drain(ann.report(delivery, "shown", id="1"))
    sql = "SELECT verified_at FROM subscriptions"
    assert inbox_project.store.connection.execute(sql).fetchone() == (NOON,)


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("in_doubt", ("accepted", "shown")),
        ("sending", ("accepted", "shown")),
        ("accepted", ("accepted", "201")),
        ("rejected", ("rejected", "201")),
    ],
)
def test_a_display_settles_what_was_in_doubt(
    inbox_project: Project, ann: Browser, delivery: int, status: str, after: tuple[str, str]
) -> None:
    with inbox_project.store.write() as connection:
        connection.execute("UPDATE deliveries SET status = ?, reason = '201'", [status])
    inbox_project.drain(ann.report(delivery, "shown", id="1"))
    sql = "SELECT status, reason FROM deliveries"
    assert inbox_project.store.connection.execute(sql).fetchone() == after


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("in_doubt", ("accepted", "bought meanwhile, and was thanked", "thanked")),
        ("accepted", ("accepted", "201", None)),
    ],
)
def test_who_bought_meanwhile_was_thanked_and_saw_no_message(
    inbox_project: Project, ann: Browser, delivery: int, status: str, after: tuple[str, ...]
) -> None:
    with inbox_project.store.write() as connection:
        connection.execute("UPDATE deliveries SET status = ?, reason = '201'", [status])
    inbox_project.drain(
        ann.report(delivery, "bought", id="1"), ann.report(delivery, "bought", id="2")
    )
    assert interactions(inbox_project) == []
    query = inbox_project.store.connection.execute
    assert query("SELECT delivery_id FROM thanked").fetchall() == [(delivery,)]
    assert query("SELECT status, reason, cause FROM deliveries").fetchone() == after
    (row,) = funnels.load_funnel(inbox_project.store)
    assert (row["bought"], row["shown"], row["clicked"]) == (1, 0, 0)


def test_a_forged_token_counts_nothing(
    inbox_project: Project, ann: Browser, delivery: int
) -> None:
    token = tokens.message_token(b"guessed", delivery)
    forged = ann.record("/v1/reports", {"message": token, "kind": "clicked", "id": "1"})
    report = inbox_project.drain(forged, ann.report(delivery + 1, "shown", id="2"))
    assert dict(report.refused) == {"message token is not ours": 1, "unknown message": 1}
    assert interactions(inbox_project) == []


# --- the drain itself ----------------------------------------------------------------------


def test_bad_records_stop_nothing(inbox_project: Project, ann: Browser) -> None:
    bad = [
        ann.record("/v1/nothing", {}),
        ann.record("/v1/events", "no json"),
        ann.record("/v1/events", "[]"),
        ann.record("/v1/events", '{"endpoint": "\\ud800"}'),
        ann.post("/v1/events", events="x"),
        ann.post("/v1/events", events=[{"name": "a\u0000b"}]),
        ann.post("/v1/events", events=[{"name": "a", "properties": {"x": "\u0000"}}]),
        ann.post("/v1/events", events=[{"name": "a", "properties": deep(50)}]),
        ann.post("/v1/events", events=[{"name": "a", "properties": {"n": 2**60}}]),
        ann.post("/v1/tags", add=[5]),
        ann.post("/v1/tags", add=[""]),
        ann.post("/v1/tags", add=["\x1b[31m"]),
        ann.post("/v1/identify", alias="x" * 300),
        ann.record("/v1/reports", {"message": "1.x", "kind": "eaten"}),
        Browser(1, inbox_project.key, site="nowhere").post("/v1/unsubscribe"),
    ]
    before = inbox_project.get(ann)
    report = inbox_project.drain(
        *bad, ann.post("/v1/events", events=[{"id": "1", "name": "ok"}])
    )
    assert report.quarantined.total() == len(bad)
    assert not any(reason.startswith("bug") for reason in report.quarantined)
    assert dict(report.applied) == {"events": 1}
    assert before is not None
    kept = list((inbox_project.config.inbox / "quarantine").glob("*.jsonl"))
    lines = [orjson.loads(line) for path in kept for line in path.read_bytes().splitlines()]
    assert len(lines) == len(bad)
    assert all(line["reason"] for line in lines)


def test_reasons_that_strangers_choose_are_told_of_up_to_a_point(
    inbox_project: Project,
) -> None:
    strangers = [
        Browser(number, tokens.encode(support.p256dh(number))).subscribe()
        for number in range(MOST_REASONS + 30)
    ]
    report = inbox_project.drain(*strangers)
    assert len(report.quarantined) == MOST_REASONS + 1
    assert report.quarantined["other reasons"] == 30


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"x": value}
    return value


def test_a_half_applied_record_is_undone_as_a_whole(inbox_project: Project) -> None:
    browser = Browser(1, inbox_project.key)
    report = inbox_project.drain(
        browser.subscribe(events=[{"id": "1", "name": "ok"}, {"name": ""}])
    )
    assert report.quarantined.total() == 1
    assert inbox_project.get(browser) is None


def test_drained_segments_go_and_nothing_is_applied_twice(
    inbox_project: Project, ann: Browser
) -> None:
    writer = Writer(inbox_project.config.inbox)
    writer.append([ann.post("/v1/events", events=[{"name": "first"}])])
    assert inbox_project.drain().lines == 1
    assert len(inbox.list_segments(inbox_project.config.inbox)) == 1  # its writer lives
    writer.append([ann.post("/v1/events", events=[{"name": "second"}])])
    writer.close()
    assert inbox_project.drain().lines == 1
    assert inbox.list_segments(inbox_project.config.inbox) == []
    assert inbox_project.drain().lines == 0
    assert sorted(events_of(inbox_project, ann)) == ["first", "second"]


def test_a_receivers_folder_copied_over_once_more_is_not_applied_once_more(
    inbox_project: Project, ann: Browser
) -> None:
    # An event without an id of its own: only the cursor keeps it from coming twice.
    inbox_project.post(ann.post("/v1/events", events=[{"name": "purchase"}]))
    (name,) = inbox.list_segments(inbox_project.config.inbox)
    copy = (inbox_project.config.inbox / name).read_bytes()
    inbox_project.drain()
    (inbox_project.config.inbox / name).write_bytes(copy)
    assert inbox_project.drain().lines == 0
    assert events_of(inbox_project, ann) == ["purchase"]
    assert inbox.list_segments(inbox_project.config.inbox) == []


def test_an_event_follows_its_subscription_in_anothers_segment(inbox_project: Project) -> None:
    browser = Browser(4, inbox_project.key)
    one, two = Writer(inbox_project.config.inbox), Writer(inbox_project.config.inbox)
    one.append([Browser(5, inbox_project.key).subscribe(at=NOON)])
    two.append([browser.subscribe(at=NOON + 1)])
    one.append([browser.post("/v1/events", at=NOON + 2, events=[{"name": "purchase"}])])
    report = inbox_project.drain()
    assert dict(report.applied) == {"subscribed": 2, "events": 1}


def test_a_second_drain_at_the_same_time_is_refused(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.post(ann.subscribe())
    held = lock.hold(inbox_project.config.inbox / "drain.lock", "a sweep")
    with held, pytest.raises(BusyError, match="a sweep"):
        inbox_project.drain()


def test_a_person_waits_for_the_moment_that_a_watch_takes(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.post(ann.subscribe())
    held = ExitStack()
    held.enter_context(lock.hold(inbox_project.config.inbox / "drain.lock", "a watch"))
    ending = threading.Timer(0.1, held.close)
    ending.start()
    now = NOON + 60_000
    report = drain(inbox_project.store, inbox_project.config, SECRET, now, patience=60)
    assert report.applied.total() == 1
    ending.join()


def test_an_empty_inbox_needs_no_keys(inbox_project: Project) -> None:
    for path in inbox_project.config.keys.iterdir():
        path.unlink()
    assert inbox_project.drain().lines == 0


def test_what_was_sent_before_an_erasure_brings_nobody_back(inbox_project: Project) -> None:
    browser = Browser(1, inbox_project.key)
    hashed = tokens.endpoint_hash(browser.endpoint)
    inbox_project.store.tombstones.add(SECRET, hashed, NOON)
    report = inbox_project.drain(browser.subscribe(at=NOON - 1))
    assert dict(report.refused) == {"sent before the person was forgotten": 1}
    assert inbox_project.get(browser) is None
    # A page that tells its subscription by itself brings nobody back either.
    report = inbox_project.drain(browser.subscribe(at=NOON + 1))
    assert dict(report.refused) == {"the person was forgotten": 1}
    # Who comes by own will afterwards is a new subscriber.
    chosen = browser.subscribe(at=NOON + 2, chosen=True)
    assert dict(inbox_project.drain(chosen).applied) == {"subscribed": 1}
    assert dict(inbox_project.drain(browser.subscribe(at=NOON + 3)).applied) == {
        "seen again": 1
    }


def test_a_new_endpoint_brings_no_forgotten_person_back(inbox_project: Project) -> None:
    old, new = Browser(1, inbox_project.key), Browser(2, inbox_project.key)
    inbox_project.drain(old.subscribe(), old.post("/v1/forget", at=NOON + 1))
    moved = new.subscribe(at=NOON + 2, previous=old)
    assert dict(inbox_project.drain(moved).refused) == {"the person was forgotten": 1}
    # The page took the answer for a yes, and tells it without the old one next time.
    again = inbox_project.drain(new.subscribe(at=NOON + 3))
    assert dict(again.refused) == {"the person was forgotten": 1}
    chosen = new.subscribe(at=NOON + 4, chosen=True)
    assert dict(inbox_project.drain(chosen).applied) == {"subscribed": 1}

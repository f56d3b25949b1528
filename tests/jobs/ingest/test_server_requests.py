"""Requests of the server API, applied: each once, item by item, with a result to read."""

import json
import shutil
from collections import Counter
from typing import Any

import pytest

from pushctl import apikeys, status
from pushctl.jobs.ingest import api_log, server_requests, tracking
from pushctl.jobs.ingest.drain import IngestReport, drain
from pushctl.jobs.project import check_shares
from pushctl.model import InboxRecord, Millis, SubscriptionState
from pushctl.receiver.api.setup import find_status
from pushctl.rules.web import request_ids
from pushctl.store.orders import UNTRACKED
from tests.support import DAY, HOUR, NOON
from tests.support.posting import SECRET, Browser, Project, sign_alias

numbers = iter(range(1_000_000))
ALIAS = {"alias": "customer-7"}
KEY = bytes(32)  # the hash of the API key that sends all


@pytest.fixture
def ann(inbox_project: Project, ann: Browser) -> Browser:
    """Ann, as the shop knows her."""
    signed = {"alias": "customer-7", "signature": sign_alias("customer-7")}
    body = {"endpoint": ann.endpoint, **signed}
    inbox_project.drain(ann.record("/v1/identify", body, NOON - DAY))
    return ann


def send(
    route: str, items: Any, request: str = "", at: Millis = NOON, site: str = "shop"
) -> InboxRecord:
    """Return a request as the receiver writes it."""
    name = request or request_ids.make(KEY, at, next(numbers).to_bytes(7, "big"))
    body = {"request": name, "key": "abcdefgh", "items": items}
    path = f"/v1/server/{route}"
    return InboxRecord(f"i{next(numbers)}", at, path, site, json.dumps(body))


def result(project: Project, record: InboxRecord) -> dict[str, Any]:
    """Return what the receiver tells of a request."""
    name = json.loads(record.body)["request"]
    found = find_status(project.config.status, name, request_ids.read_time(name))
    assert found is not None
    return dict(found)


def apply(project: Project, route: str, *items: Any, **more: Any) -> list[str | None]:
    """Apply a request; return why each item was refused, None where it was applied."""
    record = send(route, list(items), **more)
    project.drain(record)
    told = result(project, record)
    assert told["applied"] == len(items) - len(told["refused"])
    reasons: list[str | None] = [None] * len(items)
    for one in told["refused"]:
        reasons[one["index"]] = one["reason"]
    return reasons


def list_events(project: Project) -> list[tuple[Any, ...]]:
    sql = "SELECT name, at, received_at, properties FROM events WHERE name <> 'subscribed'"
    return project.store.connection.execute(f"{sql} ORDER BY id").fetchall()


def test_an_event_is_the_persons(inbox_project: Project, ann: Browser) -> None:
    item = {**ALIAS, "name": "Cart_Updated", "properties": {"total": 49}}
    assert apply(inbox_project, "events", item) == [None]
    assert list_events(inbox_project) == [("cart_updated", NOON, NOON, '{"total":49}')]


def test_times_in_the_past_are_kept(inbox_project: Project, ann: Browser) -> None:
    long_ago = NOON - 700 * DAY
    item = {**ALIAS, "name": "visited", "at": long_ago}
    iso = {**ALIAS, "name": "visited", "at": "2024-02-29T10:00:00+02:00"}
    late = {**ALIAS, "name": "visited", "at": NOON + 2 * DAY}
    reasons = apply(inbox_project, "events", item, iso, late)
    assert reasons == [None, None, "at is not between 1970 and now"]
    assert [row[1] for row in list_events(inbox_project)] == [long_ago, 1_709_193_600_000]


def test_what_is_wrong_in_one_item_leaves_the_others(
    inbox_project: Project, ann: Browser
) -> None:
    good = {**ALIAS, "name": "visited"}
    assert apply(inbox_project, "events", good, {"alias": "nobody", "name": "visited"}, 7) == [
        None,
        "nobody has its alias",
        "it is no object",
    ]
    assert len(list_events(inbox_project)) == 1


def test_a_request_that_comes_twice_is_applied_once(
    inbox_project: Project, ann: Browser
) -> None:
    items = [{**ALIAS, "name": "visited"}]
    name = request_ids.make_repeatable(KEY, "order-1007")
    first, again = (send("events", items, name) for _ in range(2))
    other = send("events", [*items, *items], name)
    report = inbox_project.drain(first, again)
    assert dict(report.applied) == {"API events": 1, "API request known already": 1}
    report = inbox_project.drain(other, now=NOON + 120_000)
    assert dict(report.refused) == {"another API request with the same Idempotency-Key": 1}
    assert len(list_events(inbox_project)) == 1
    assert result(inbox_project, first)["items"] == 1
    (refused,) = api_log.load(inbox_project.config, inbox_project.store, refused=True)
    assert (refused["reason"], refused["key"]) == ("idempotency", "abcdefgh")


def test_a_purchase_becomes_an_order(inbox_project: Project, ann: Browser) -> None:
    bought = {"order": "1007", "total": 49.9, "currency": "EUR", "coupon": "MAY"}
    stranger = {"alias": "nobody", "name": "purchase", "properties": {**bought, "order": "8"}}
    item = {**ALIAS, "name": "purchase", "properties": bought}
    assert apply(inbox_project, "events", item, item, stranger) == [None] * 3
    assert list_orders(inbox_project) == [
        ("1007", "api", 4990, 1, None),
        ("8", "api", 4990, 0, "nobody has its alias"),
    ]
    # One event, with all that the server told; a page's report of it is the same.
    ((name, _, _, properties),) = list_events(inbox_project)
    assert (name, json.loads(properties)) == ("purchase", bought)
    event = {"id": "p", "name": "purchase", "at": NOON, "properties": bought}
    page = {"endpoint": ann.endpoint, "events": [event]}
    inbox_project.drain(ann.record("/v1/events", page, NOON + 5_000))
    assert len(list_events(inbox_project)) == 1
    assert len(list_orders(inbox_project)) == 2


def test_a_server_tells_of_placed_cancelled_and_refunded_orders(
    inbox_project: Project, ann: Browser
) -> None:
    def tell(name: str, number: str, minutes: int, **more: Any) -> dict[str, Any]:
        properties = {"order": number, "currency": "KWD", **more.pop("properties", {})}
        at = NOON - HOUR + minutes * 60_000
        return {**ALIAS, "name": name, "at": at, "properties": properties, **more}

    total, part = {"total": 12.5}, {"value": 2.25}
    first = tell("refund", "1", 9, id="r1", properties=part)
    items = [
        first,  # before its purchase, and twice
        tell("Order_Pending", "1", 0, properties=total),
        tell("purchase", "1", 1, properties=total),
        first,
        tell("refund", "1", 9, id="r2", properties={"value": 1}),
        tell("refund", "2", 5),  # without an amount: all of it
        tell("purchase", "2", 1, properties=total),
        tell("order_cancelled", "3", 5, properties=total),
        tell("order_pending", "3", 1, properties=total),
        tell("order_pending", "4", 1, properties=total),
    ]
    assert apply(inbox_project, "events", *items) == [None] * 10
    assert apply(inbox_project, "events", first) == [None]
    found = inbox_project.store.connection.execute(
        "SELECT number, state, minor, exponent, refunded_minor FROM orders ORDER BY number"
    ).fetchall()
    assert found == [
        ("1", "paid", 12_500, 3, 3_250), ("2", "refunded", 12_500, 3, 12_500),
        ("3", "cancelled", 12_500, 3, 0), ("4", "pending", 12_500, 3, 0),
    ]  # fmt: skip
    names = Counter(name for name, *_ in list_events(inbox_project))
    assert names.pop("payment_failed") == 1  # of the one that nobody has paid for an hour
    assert names == {"refund": 3, "order_pending": 3, "purchase": 2, "order_cancelled": 1}


def test_a_refund_that_could_count_twice_or_as_another_sum_is_refused(
    inbox_project: Project, ann: Browser
) -> None:
    def refund(**more: Any) -> dict[str, Any]:
        return {**ALIAS, "name": "refund", "properties": {"order": "1", **more}, "id": "r"}

    unnamed = {key: one for key, one in refund(value=2).items() if key != "id"}
    assert apply(
        inbox_project, "events", unnamed, refund(value="x"), refund(value=0), refund(total=-1)
    ) == [
        "a refund with an amount needs an id: told twice it would count twice",
        "the amount of a refund can't be read",
        "a refund gives back nothing",
        "the amount of a refund can't be read",
    ]
    assert list_orders(inbox_project) == list_events(inbox_project) == []


def test_a_purchase_told_after_its_payment_was_called_failed_is_after_that(
    inbox_project: Project, ann: Browser
) -> None:
    def tell(name: str, at: Millis, received: Millis) -> None:
        item = {**ALIAS, "name": name, "at": at, "properties": {"order": "7", "total": 5}}
        record = send("events", [item], at=received)
        inbox_project.drain(record, now=received + 10_000)

    tell("order_pending", NOON - HOUR, NOON)
    tell("purchase", NOON - 50 * 60_000, NOON + 60_000)
    times = {name: at for name, at, *_ in list_events(inbox_project)}
    assert times["purchase"] == NOON + 10_000 > times["payment_failed"]


def test_an_order_waits_for_its_alias(inbox_project: Project, ann: Browser) -> None:
    item = {"alias": "new-9", "name": "purchase", "properties": {"order": "9", "total": 5}}
    apply(inbox_project, "events", item)
    known = inbox_project.get(ann)
    assert known is not None
    who = {"subscriber": known.public_id, "alias": "new-9"}
    assert apply(inbox_project, "aliases", who) == [None]
    assert [row[3] for row in list_orders(inbox_project)] == [1]


def test_nothing_is_kept_of_people_who_refuse_tracking(
    inbox_project: Project, ann: Browser
) -> None:
    no = ann.record("/v1/preferences", {"endpoint": ann.endpoint, "tracking": False}, NOON - 9)
    inbox_project.drain(no)
    bought = {"order": "1007", "total": 49.9, "currency": "EUR"}
    events = (
        {**ALIAS, "name": "visited"},
        {**ALIAS, "name": "purchase", "properties": bought},
    )
    assert apply(inbox_project, "events", *events) == [tracking.NOT_KEPT] * 2
    assert list_events(inbox_project) == []
    assert list_orders(inbox_project) == [("1007", "api", 4990, 0, UNTRACKED)]
    attributes = {**ALIAS, "attributes": {"points": 1}}
    assert apply(inbox_project, "attributes", attributes) == [tracking.NOT_KEPT]
    assert apply(inbox_project, "tags", {**ALIAS, "add": ["VIP"]}) == [tracking.NOT_KEPT]
    assert apply(inbox_project, "tags", {**ALIAS, "remove": ["VIP"]}) == [None]
    found = inbox_project.get(ann)
    assert found is not None
    assert found.tags == ("News",)


def list_orders(project: Project) -> list[tuple[Any, ...]]:
    sql = "SELECT number, source, minor, subscription_id IS NOT NULL, unmatched FROM orders"
    return project.store.connection.execute(f"{sql} ORDER BY id").fetchall()


def test_tags_attributes_and_aliases_are_set(inbox_project: Project, ann: Browser) -> None:
    known = inbox_project.get(ann)
    assert known is not None
    assert known.tags == ("News",)
    who = {"subscriber": known.public_id}
    change = {**who, "add": ["VIP"], "remove": ["news"]}
    mine = {**who, "add": ["pushctl:paused"]}
    assert apply(inbox_project, "tags", change, mine) == [
        None,
        "only pushctl itself sets tags that begin with pushctl:",
    ]
    values = {"first_name": "Ann", "points": 120}
    assert apply(inbox_project, "attributes", {**ALIAS, "attributes": values}) == [None]
    assert apply(inbox_project, "aliases", {**who, "alias": "customer-8"}) == [None]
    after = inbox_project.get(ann)
    assert after is not None
    assert (after.tags, after.alias, after.alias_trusted) == (("VIP",), "customer-8", True)
    assert after.attributes == {"device": "desktop", **values}


def test_a_key_reaches_its_own_site_alone(inbox_project: Project, ann: Browser) -> None:
    reasons = apply(inbox_project, "tags", {**ALIAS, "add": ["VIP"]}, site="blog")
    assert reasons == ["nobody has its alias"]
    assert apply(inbox_project, "erase", ALIAS, site="blog") == [
        "nobody was found, and no order"
    ]
    assert inbox_project.get(ann) is not None


def test_people_are_unsubscribed_and_erased(inbox_project: Project, ann: Browser) -> None:
    assert apply(inbox_project, "unsubscribe", ALIAS, {"alias": "nobody"}) == [
        None,
        "nobody has its alias",
    ]
    known = inbox_project.get(ann)
    assert known is not None
    assert known.state is SubscriptionState.UNSUBSCRIBED
    assert apply(inbox_project, "erase", ALIAS) == [None]
    assert inbox_project.get(ann) is None
    # What was sent before can't bring her back.
    inbox_project.drain(ann.subscribe(at=NOON - 5_000))
    assert inbox_project.get(ann) is None


def test_an_erasure_reaches_orders_of_nobody(inbox_project: Project, ann: Browser) -> None:
    item = {"alias": "gone-1", "name": "purchase", "properties": {"order": "3", "total": 5}}
    apply(inbox_project, "events", item)
    assert apply(inbox_project, "erase", {"alias": "gone-1"}) == [None]
    sql = "SELECT alias, lines, unmatched FROM orders"
    assert inbox_project.store.connection.execute(sql).fetchall() == [(None, "[]", "erased")]


def test_rows_and_results_name_nobody(inbox_project: Project, ann: Browser) -> None:
    apply(inbox_project, "events", {"alias": "nobody-7", "name": "visited"}, {"alias": 5})
    apply(inbox_project, "tags", {"alias": "nobody-7", "add": ["VIP"]})
    rows = inbox_project.store.connection.execute("SELECT * FROM api_requests").fetchall()
    files = [path.read_text() for path in inbox_project.config.status.glob("*.json")]
    assert not list(inbox_project.config.status.glob("applied-*"))
    assert len(files) == len(rows) == 2
    assert "nobody-7" not in repr((rows, files))


def test_results_are_published_again_after_a_power_loss(
    inbox_project: Project, ann: Browser
) -> None:
    record = send("events", [{**ALIAS, "name": "visited"}, 7])
    inbox_project.drain(record)
    name = json.loads(record.body)["request"]
    file = inbox_project.config.status / f"{name}.json"
    file.write_bytes(b"")  # its name was on disk, its content not yet
    assert status.find_request(inbox_project.config.status, name) is None
    inbox_project.store.meta.set("api.boot", "an earlier start of the machine")
    apply(inbox_project, "events", {**ALIAS, "name": "visited"})
    assert result(inbox_project, record)["applied"] == 1


def test_a_drain_that_dies_before_its_commit_is_repeated(
    inbox_project: Project, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = send("events", [{**ALIAS, "name": "visited"}, 7])
    inbox_project.post(record)
    published = server_requests.publish

    def die(*given: Any) -> None:
        published(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(server_requests, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            inbox_project.drain()
    assert list_events(inbox_project) == []
    inbox_project.drain()
    assert len(list_events(inbox_project)) == 1
    assert result(inbox_project, record)["refused"] == [
        {"index": 1, "reason": "it is no object"}
    ]


def test_what_is_applied_whole_takes_no_file(inbox_project: Project, ann: Browser) -> None:
    folder = inbox_project.config.status
    items = [{**ALIAS, "name": "visited"}] * 3
    named = send(
        "attributes", [{**ALIAS, "attributes": {}}], request_ids.make_repeatable(KEY, "x")
    )
    records = [send("events", items) for _ in range(5)] + [named]
    inbox_project.drain(*records)
    (path,) = folder.glob("applied-*")
    assert path.stat().st_size == 6 * 36
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob("*.json"))
    path.write_bytes(path.read_bytes()[:-20])  # a kill tore the last one
    inbox_project.drain(late := send("unsubscribe", [ALIAS], at=NOON + 1), now=NOON + 90_000)
    for record in (*records[:5], late):
        told, sent = result(inbox_project, record), json.loads(record.body)
        route = record.path.rpartition("/")[2]
        assert told == {
            "id": sent["request"], "state": "applied", "at": record.at, "route": route,
            "items": len(sent["items"]), "applied": len(sent["items"]), "refused": [],
        }  # fmt: skip
    assert find_status(folder, json.loads(named.body)["request"], None) is None


def test_many_large_requests_are_applied_in_several_transactions(
    inbox_project: Project, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushctl.jobs.ingest.drain.MAX_BATCH_BYTES", 2_000)
    items = [{**ALIAS, "name": "visited"}] * 20
    steps: list[int] = []
    inbox_project.post(*(send("events", items) for _ in range(6)))
    drain(inbox_project.store, inbox_project.config, SECRET, NOON + 60_000, steps.append)
    assert len(steps) > 2
    assert len(list_events(inbox_project)) == 120


def test_the_log_has_requests_reads_and_refused_calls(
    inbox_project: Project, ann: Browser
) -> None:
    keys = inbox_project.config.keys
    key, _ = apikeys.create(keys, "shop-server", ["events"], "shop", NOON - 100 * DAY)
    calls = [[key.id, "/v1/requests/{id}", "read", 3], ["", "/v1/server/tags", "no key", 2]]
    body = json.dumps({"calls": calls})
    line = InboxRecord("c1", NOON, "/v1/server/calls", "shop", body)
    report: IngestReport = inbox_project.drain(send("events", [7]), line)
    assert dict(report.applied) == {"API events": 1, "API calls": 1}
    config, store = inbox_project.config, inbox_project.store
    shown = api_log.load(config, store)
    assert {(row["state"], row["items"], row["reason"]) for row in shown} == {
        ("refused", 1, "it is no object"),
        ("read", 3, None),
        ("not taken", 2, "no key"),
    }
    assert [row["state"] for row in api_log.load(config, store, refused=True)] == [
        "refused",
        "not taken",
    ]
    assert [row["state"] for row in api_log.load(config, store, key="shop-server")] == ["read"]


def test_what_is_old_is_deleted_and_unused_keys_are_named(
    inbox_project: Project, ann: Browser
) -> None:
    config, store = inbox_project.config, inbox_project.store
    for label, age in (("old", 100), ("young", 10)):
        apikeys.create(config.keys, label, ["events"], "shop", NOON - age * DAY)
    assert [one["label"] for one in api_log.list_unused(config, store, NOON)] == ["old"]
    assert store.api_requests.list_last_uses() == {}
    lines = [
        InboxRecord(f"c{n}", NOON - n * DAY, "/v1/server/calls", "shop", json.dumps({"calls": [
            [f"reading{n}", "/v1/requests/{id}", "read", 1], ["wrong", "/x", "scope", 1],
        ]}))
        for n in (1, 2)
    ]  # fmt: skip
    inbox_project.drain(*lines, send("events", [7], at=NOON - DAY), send("events", [7]))
    minute = 60_000
    assert store.api_requests.list_last_uses() == {
        "abcdefgh": NOON,
        "reading1": (NOON - DAY) // minute * minute,
        "reading2": (NOON - 2 * DAY) // minute * minute,
    }
    apply(inbox_project, "events", {**ALIAS, "name": "visited"})
    files = [*config.status.glob("*.json"), *config.status.glob("applied-*")]
    api_log.prune(config, store, NOON + 89 * DAY)
    assert len(api_log.load(config, store)) == 5  # of the last 90 days
    assert all(file.exists() for file in files)
    made = max(file.stat().st_mtime_ns // 1_000_000 for file in files)
    api_log.prune(config, store, max(made, NOON) + 91 * DAY)
    assert api_log.load(config, store) == []
    assert not any(file.exists() for file in files)


def test_a_folder_of_results_that_cant_be_written_stops_nothing(
    inbox_project: Project, ann: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """Two imports go on beside it, each logs it once; the third one publishes all of it."""
    project, config, store = inbox_project, inbox_project.config, inbox_project.store
    folder = config.status
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("not a folder")
    bonus = {**ALIAS, "name": "bonus"}
    whole, partly = send("events", [bonus]), send("events", [bonus, {"name": "bonus"}])
    for one in (whole, partly):
        assert project.drain(one).applied == {"API events": 1}
    assert len(list_events(project)) == 2
    assert [one.message for one in caplog.records].count("status not published") == 2
    api_log.prune(config, store, NOON)
    assert [area for area, *_ in check_shares.find_notes(config, store, NOON)] == ["status"]

    folder.unlink()
    project.drain()
    assert result(project, whole)["applied"] == 1
    assert len(result(project, partly)["refused"]) == 1
    assert status.is_published(folder)
    assert list(check_shares.find_notes(config, store, NOON)) == []

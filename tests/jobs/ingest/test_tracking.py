"""Somebody's no to tracking: a state of the subscription, which every door respects."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from pushctl.jobs.ingest import tracking
from pushctl.jobs.subscribers import exports, personal_data
from pushctl.jobs.subscribers.imports import import_file
from pushctl.jobs.triggers import enrol, load_facts
from pushctl.jobs.triggers.types import Run
from pushctl.model import InboxRecord, NoTracking
from pushctl.rules import wording
from pushctl.rules.audience.expression import EVERYONE
from pushctl.rules.money import Money
from pushctl.rules.shops import order
from pushctl.rules.shops.told import Clues
from pushctl.store.events import Event
from tests.support import MINUTE, NOON, endpoint
from tests.support import receiving as r
from tests.support.posting import Browser, Project, events_of, sign_alias
from tests.support.shop import Shop
from tests.support.telling import record, tell_order

LATER = NOON + MINUTE
ITEM = {"id": "lamp", "name": "Lamp", "price": 20, "quantity": 1}


def with_gpc(record: InboxRecord) -> InboxRecord:
    return replace(record, hints={**record.hints, "gpc": "1"})


def event(name: str, number: str, at: int = NOON) -> dict[str, object]:
    return {"id": number, "name": name, "at": at, "properties": {"items": [ITEM]}}


def state(project: Project, ann: Browser) -> NoTracking | None:
    found = project.get(ann)
    assert found is not None
    return found.no_tracking


def stops(project: Project) -> list[str]:
    return [one.name for one in project.store.tracking.list_stops()]


def test_the_newest_requests_word_about_privacy_control_holds(
    inbox_project: Project, ann: Browser
) -> None:
    assert state(inbox_project, ann) is None
    inbox_project.drain(with_gpc(ann.post("/v1/tags", add=["Chosen"])))
    assert state(inbox_project, ann) is NoTracking.GPC
    inbox_project.drain(with_gpc(ann.subscribe(at=LATER)), now=LATER)
    assert state(inbox_project, ann) is NoTracking.GPC
    inbox_project.drain(ann.post("/v1/tags", at=LATER + 1000, add=["Lamps"]), now=2 * LATER)
    assert state(inbox_project, ann) is None


def test_a_report_can_only_say_that_there_is_privacy_control(
    inbox_project: Project, ann: Browser
) -> None:
    # A worker's requests may lack what the pages' have.
    row = inbox_project.plan(ann)
    inbox_project.drain(with_gpc(ann.report(row, "shown", id="a")))
    assert state(inbox_project, ann) is NoTracking.GPC
    inbox_project.drain(ann.report(row, "clicked", id="b", at=LATER), now=LATER)
    assert state(inbox_project, ann) is NoTracking.GPC


def test_who_cannot_sign_changes_nobodys_wish(inbox_project: Project, ann: Browser) -> None:
    stranger = Browser(1, inbox_project.key, keys=2)
    report = inbox_project.drain(
        with_gpc(stranger.post("/v1/tags", add=["a"])),
        stranger.post("/v1/preferences", tracking=False),
        stranger.subscribe(tracking=False),
    )
    assert report.refused.total() == 3
    assert state(inbox_project, ann) is None


def test_a_no_stands_until_a_yes_whatever_else_comes(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(ann.post("/v1/preferences", tracking=False))
    inbox_project.drain(ann.subscribe(at=LATER), ann.post("/v1/preferences", pause=0))
    assert state(inbox_project, ann) is NoTracking.CONSENT
    # It was sent before the no.
    inbox_project.drain(ann.subscribe(at=NOON - 1000, tracking=True))
    assert state(inbox_project, ann) is NoTracking.CONSENT
    inbox_project.drain(ann.subscribe(at=LATER + 1000, tracking=True), now=2 * LATER)
    assert state(inbox_project, ann) is None


def test_a_wish_that_is_none_is_put_aside(inbox_project: Project, ann: Browser) -> None:
    report = inbox_project.drain(ann.post("/v1/preferences", tracking="no"))
    assert report.quarantined == {"tracking is neither true nor false": 1}


def test_nothing_of_what_they_do_is_kept(inbox_project: Project, ann: Browser) -> None:
    before = inbox_project.get(ann)
    inbox_project.drain(
        ann.post("/v1/preferences", tracking=False),
        ann.post("/v1/events", events=[event("cart_updated", "a")]),
        ann.post("/v1/identify", alias="customer-7"),
        ann.post("/v1/identify", alias="customer-7", signature=sign_alias("customer-7")),
        ann.subscribe(
            at=NOON + 1000, source="banner", attributes={"plan": "gold"},
            events=[event("product_viewed", "b")], tags=["Chosen"], language="de",
        ),
    )  # fmt: skip
    found = inbox_project.get(ann)
    assert before is not None
    assert found is not None
    assert events_of(inbox_project, ann) == []
    assert (found.alias, found.source, found.attributes) == (None, None, before.attributes)
    assert (found.language, found.tags) == ("de", ("Chosen", "News"))
    assert stops(inbox_project) == []


def test_who_says_no_at_once_leaves_no_trace_of_the_visit(inbox_project: Project) -> None:
    ben = Browser(2, inbox_project.key)
    page = "https://shop.example/clinic?utm_source=news"
    inbox_project.drain(ben.subscribe(tracking=False, page=page, source="banner"))
    found = inbox_project.get(ben)
    assert found is not None
    assert found.attributes == {"device": "desktop"}
    assert (found.source, found.no_tracking) == (None, NoTracking.CONSENT)


def test_the_wish_moves_with_the_endpoint(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(ann.post("/v1/preferences", tracking=False))
    moved = Browser(2, inbox_project.key)
    inbox_project.drain(moved.subscribe(at=LATER, previous=ann, source="banner"), now=LATER)
    found = inbox_project.get(moved)
    assert found is not None
    assert (found.source, found.no_tracking) == (None, NoTracking.CONSENT)


def test_other_doors_learn_what_may_be_kept(inbox_project: Project, ann: Browser) -> None:
    ben = Browser(2, inbox_project.key)
    inbox_project.drain(ben.subscribe(), ann.post("/v1/preferences", tracking=False))
    rows = []
    for browser in (ann, ben):
        found = inbox_project.get(browser)
        assert found is not None
        rows.append(found.id)
    assert tracking.find_untracked(inbox_project.store, rows) == {rows[0]}
    events = [
        Event(row, name, NOON, NOON, {"order": "7"}, f"{row}:{name}")
        for row in rows
        for name in ("purchase", "viewed")
    ]
    kept = tracking.admit_events(inbox_project.store, events)
    assert [one.subscription for one in kept] == [rows[1]] * 2
    (stop,) = inbox_project.store.tracking.list_stops()
    assert stop == (rows[0], "purchase", NOON)


def test_an_order_of_theirs_counts_and_is_nobodys(inbox_project: Project, ann: Browser) -> None:
    signature = sign_alias("customer-7")
    inbox_project.drain(ann.post("/v1/identify", alias="customer-7", signature=signature))
    inbox_project.drain(ann.post("/v1/preferences", NOON + 1, tracking=False))
    line = order.Line("lamp", "Lamp", 1.0, Money(2000, 2, "EUR"))
    told = tell_order(
        "7", "paid", NOON + 2, 2000, lines=(line,), clues=Clues(alias="customer-7")
    )
    inbox_project.drain(record(told))
    store = inbox_project.store
    (kept,) = store.orders.list()
    assert (kept["minor"], kept["currency"], kept["lines"]) == (2000, "EUR", "[]")
    assert kept["subscriber"] is None
    assert store.orders.list(unmatched=True) == []  # nobody looks for them


def test_what_they_buy_ends_their_reminders_and_leaves_nothing(swept_shop: Shop) -> None:
    ann, ben = swept_shop.person(), swept_shop.person()
    for person in (ann, ben):
        swept_shop.fill(person, NOON)
    swept_shop.store.tracking.set_refused(ann, NOON + 1)
    bought = [
        Event(one, "purchase", NOON + MINUTE, NOON + MINUTE, {}, f"{one}:p")
        for one in (ann, ben)
    ]
    # Their baskets, too, are taken in by this sweep only.
    swept_shop.store.events.add(tracking.admit_events(swept_shop.store, bought))
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.sent == []
    assert swept_shop.why(ann)[-1] == ("finish", "goal reached: purchase")
    assert swept_shop.store.tracking.list_stops() == []
    names = [one.name for one in swept_shop.store.events.list_newest(ann)]
    assert "purchase" not in names


def test_a_purchase_waits_until_the_basket_before_it_is_taken(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.store.tracking.set_refused(ann, NOON)
    bought = Event(ann, "purchase", NOON, NOON, {}, "p")
    tracking.end_reminders(swept_shop.store, [bought])
    settings = load_facts.load_settings(swept_shop.config, swept_shop.store)
    run = Run(swept_shop.store, settings, NOON)
    swept_shop.fill(swept_shop.person(), NOON)
    enrol.take_events(run, lambda: True)
    assert swept_shop.store.tracking.list_stops() != []
    enrol.take_events(run, lambda: False)
    assert swept_shop.store.tracking.list_stops() == []
    assert swept_shop.why(ann)[-1] == ("finish", "goal reached: purchase")


def test_the_wish_is_exported_shown_and_imported_again(
    inbox_project: Project, ann: Browser
) -> None:
    store, config = inbox_project.store, inbox_project.config
    inbox_project.drain(ann.post("/v1/preferences", tracking=False))
    lines = list(exports.export(store, EVERYONE, NOON, as_csv=False))
    assert orjson.loads(lines[0])["no_tracking"] == "consent"
    found = inbox_project.get(ann)
    assert found is not None
    (data,) = orjson.loads(personal_data.render(store, [found], NOON, keys=False))["browsers"]
    assert data["tracking_refused_at"] == wording.iso(NOON)
    assert exports.describe(store, found)["no_tracking"] == "consent"

    file = config.file.with_name("people.jsonl")
    changed = {**orjson.loads(lines[0]), "attributes": {"plan": "gold"}, "tags": ["VIP"]}
    file.write_bytes(orjson.dumps({**changed, "alias": "customer-7"}))
    report = import_file(store, config, file, NOON)
    assert (report.updated, report.untracked) == (1, 1)
    assert inbox_project.get(ann) == found  # nothing of it was taken

    store.erasure.erase([found.id], NOON)
    assert import_file(store, config, file, NOON).added == 1
    assert state(inbox_project, ann) is NoTracking.CONSENT


@pytest.mark.parametrize(("path", "kept"), [("/v1/tags", True), ("/v1/prompts", False)])
def test_the_receiver_notes_privacy_control_with_each_signed_request(
    tmp_path: Path, path: str, kept: bool
) -> None:
    bodies = {
        "/v1/tags": {"endpoint": endpoint(1), "add": ["a"]},
        "/v1/prompts": {"variant": "a", "stage": "seen"},
    }
    with r.running(tmp_path) as port:
        assert r.post(port, path, bodies[path], number=1, Sec_GPC="1").status == 204
        assert r.post(port, path, bodies[path], number=1).status == 204
        first, second = r.records(tmp_path)
        assert ("gpc" in first.hints, "gpc" in second.hints) == (kept, False)

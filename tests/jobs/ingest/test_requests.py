"""jobs.apply: who is believed, and what stays as it was."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from pushctl.jobs.ingest import shares
from pushctl.jobs.subscribers import unsubscribe
from pushctl.jobs.triggers import leads
from pushctl.model import InboxRecord, SubscriptionState
from pushctl.rules import limits, tokens
from tests import support
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.files import load, person
from tests.support.posting import SECRET, Browser, Project, events_of, sign_alias


def state_of(inbox_project: Project, browser: Browser) -> SubscriptionState:
    found = inbox_project.get(browser)
    assert found is not None
    return found.state


# --- subscribing ---------------------------------------------------------------------------


def test_a_browser_subscribes_with_everything_it_tells(inbox_project: Project) -> None:
    browser = Browser(1, inbox_project.key)
    record = browser.subscribe(
        language="pt_BR",
        timezone="Europe/Istanbul",
        referrer="https://news.example/article",
        tags=["Abandoned  basket 1"],
        attributes={"plan": "gold"},
        events=[{"id": "e1", "name": "page_view", "properties": {"page": "/"}}],
    )
    report = inbox_project.drain(replace(record, hints={"country": "tr"}))
    assert dict(report.applied) == {"subscribed": 1}
    found = inbox_project.get(browser)
    assert found is not None
    assert len(found.public_id) == 22
    assert (found.site, found.state, found.key_id) == ("shop", "active", key_id(inbox_project))
    assert (found.p256dh, found.auth) == (browser.p256dh, browser.auth)
    assert (found.language, found.timezone, found.country) == ("pt-BR", "Europe/Istanbul", "TR")
    assert (found.browser, found.os, found.source) == ("Firefox", "Linux", "news.example")
    assert found.tags == ("Abandoned basket 1",)
    assert found.attributes == {"plan": "gold", "device": "desktop"}
    assert (found.subscribed_at, found.last_seen_at) == (NOON, NOON)
    assert events_of(inbox_project, browser) == ["page_view"]


def key_id(inbox_project: Project) -> str:
    return next(iter(inbox_project.config.keys.glob("vapid-*.pem"))).stem.removeprefix("vapid-")


# What the receiver takes, too (test_receiver.py).
@pytest.mark.parametrize(
    ("language", "timezone", "kept"),
    [
        ("<script>", "../../etc/passwd", (None, None)),
        ("tr_TR", "UTC+03:00", ("tr-TR", "Etc/GMT-3")),
        ("en-US@posix", "GMT+3 (Türkiye)", (None, None)),
        ("", "", (None, None)),
    ],
)
def test_wrong_language_and_zone_lose_nobody(
    inbox_project: Project, language: str, timezone: str, kept: tuple[str | None, str | None]
) -> None:
    browser = Browser(1, inbox_project.key)
    inbox_project.drain(browser.subscribe(language=language, timezone=timezone, source=""))
    found = inbox_project.get(browser)
    assert found is not None
    assert (found.language, found.timezone, found.source) == (*kept, None)


def test_a_visit_of_the_same_browser_refreshes_it(inbox_project: Project, ann: Browser) -> None:
    report = inbox_project.drain(ann.subscribe(language="en"))
    found = inbox_project.get(ann)
    assert dict(report.applied) == {"seen again": 1}
    assert found is not None
    assert (found.language, found.last_seen_at) == ("en", NOON)
    assert found.subscribed_at == NOON - DAY


def test_a_known_endpoint_is_never_given_other_keys(
    inbox_project: Project, ann: Browser
) -> None:
    thief = Browser(1, inbox_project.key, keys=2)
    report = inbox_project.drain(thief.subscribe(language="xx", tags=["stolen"]))
    found = inbox_project.get(ann)
    assert dict(report.refused) == {"other keys for a known endpoint": 1}
    assert found is not None
    assert (found.auth, found.p256dh, found.language) == (ann.auth, ann.p256dh, "tr")
    assert found.tags == ("News",)


@pytest.mark.parametrize("state", ["unsubscribed", "gone", "quarantined"])
def test_nor_when_it_is_not_active(inbox_project: Project, ann: Browser, state: str) -> None:
    found = inbox_project.get(ann)
    assert found is not None
    inbox_project.store.subscriptions.mark(
        [found.id], SubscriptionState(state), "test", NOON - 1
    )
    report = inbox_project.drain(Browser(1, inbox_project.key, keys=2).subscribe())
    assert report.refused.total() == 1
    assert state_of(inbox_project, ann) == state


@pytest.mark.parametrize(("state", "wish"), [("unsubscribed", {"chosen": True}), ("gone", {})])
def test_the_same_keys_revive_who_had_left(
    inbox_project: Project, ann: Browser, state: str, wish: dict[str, bool]
) -> None:
    found = inbox_project.get(ann)
    assert found is not None
    inbox_project.store.subscriptions.mark(
        [found.id], SubscriptionState(state), "test", NOON - 1
    )
    report = inbox_project.drain(ann.subscribe(**wish))
    assert dict(report.applied) == {"revived": 1}
    assert state_of(inbox_project, ann) == "active"
    kinds = [
        change["kind"] for change in inbox_project.store.subscriptions.list_changes(found.id)
    ]
    assert kinds == [state, "revived"]


def test_a_visit_from_before_the_end_revives_nobody(
    inbox_project: Project, ann: Browser
) -> None:
    found = inbox_project.get(ann)
    assert found is not None
    inbox_project.store.subscriptions.mark(
        [found.id], SubscriptionState.GONE, "410 unsubscribed", NOON + MINUTE
    )

    report = inbox_project.drain(ann.subscribe(at=NOON))

    assert dict(report.applied) == {"seen again": 1}
    assert state_of(inbox_project, ann) is SubscriptionState.GONE


def test_a_browser_keeps_its_id_through_a_new_endpoint(
    inbox_project: Project, ann: Browser
) -> None:
    before = inbox_project.get(ann)
    after = Browser(2, inbox_project.key)
    report = inbox_project.drain(after.subscribe(previous=ann))
    found = inbox_project.get(after)
    assert dict(report.applied) == {"moved": 1}
    assert found is not None
    assert before is not None
    assert (found.public_id, found.tags) == (before.public_id, ("News",))
    assert (found.auth, found.endpoint) == (after.auth, after.endpoint)
    assert inbox_project.get(ann) is None
    assert [c["kind"] for c in inbox_project.store.subscriptions.list_changes(found.id)] == [
        "moved"
    ]


def test_who_only_knows_an_endpoint_can_not_take_its_place(
    inbox_project: Project, ann: Browser
) -> None:
    thief = Browser(2, inbox_project.key)
    unproven = thief.subscribe(previous=Browser(1, inbox_project.key, keys=2))
    report = inbox_project.drain(unproven)
    old, new = inbox_project.get(ann), inbox_project.get(thief)
    assert dict(report.applied) == {"subscribed": 1}
    assert old is not None
    assert new is not None
    assert (old.endpoint, old.state) == (ann.endpoint, "active")
    assert new.public_id != old.public_id
    assert new.tags == ()


def test_a_proof_for_one_new_endpoint_does_not_serve_for_another(
    inbox_project: Project, ann: Browser
) -> None:
    proof = orjson.loads(Browser(2, inbox_project.key).subscribe(previous=ann).body)
    thief = Browser(3, inbox_project.key)
    body = orjson.loads(thief.subscribe().body) | {
        "previous": proof["previous"],
        "previous_signature": proof["previous_signature"],
    }
    inbox_project.drain(thief.record("/v1/subscribe", body))
    old = inbox_project.get(ann)
    assert old is not None
    assert old.state == "active"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"endpoint": "https://evil.example/x"}, "not among the allowed push hosts"),
        ({"endpoint": "http://fcm.googleapis.com/x"}, "no plain https URL"),
        ({"endpoint": 5}, "endpoint is no text"),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "p256dh has 3 bytes"),
        ({"keys": None}, "keys is no object"),
    ],
)
def test_what_is_no_subscription_goes_to_the_quarantine(
    inbox_project: Project, change: dict[str, Any], reason: str
) -> None:
    browser = Browser(1, inbox_project.key)
    body = orjson.loads(browser.subscribe().body)
    body["subscription"] |= change
    good = Browser(2, inbox_project.key).subscribe()
    report = inbox_project.drain(browser.record("/v1/subscribe", body), good)
    assert [reason in found for found in report.quarantined] == [True]
    assert dict(report.applied) == {"subscribed": 1}


def test_a_foreign_application_server_key_is_no_subscriber_of_ours(
    inbox_project: Project,
) -> None:
    foreign = tokens.encode(support.p256dh(9))
    report = inbox_project.drain(Browser(1, foreign).subscribe())
    assert "not in the keys folder" in next(iter(report.quarantined))
    assert inbox_project.get(Browser(1, foreign)) is None


def test_a_bad_application_server_key_is_named_as_such(inbox_project: Project) -> None:
    report = inbox_project.drain(Browser(1, "BA" + "A" * 85).subscribe())
    assert list(report.quarantined) == [
        "the application server key is not a point on the curve P-256"
    ]


def test_reserved_tags_can_not_be_set_from_a_browser(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(
        ann.subscribe(tags=["pushctl:in-trigger", "Pushctl:Staff"]),
        ann.post("/v1/tags", add=["PUSHCTL:x", "fine"]),
    )
    found = inbox_project.get(ann)
    assert found is not None
    assert found.tags == ("fine", "News")


def test_reserved_attributes_can_not_be_set_from_a_browser(
    inbox_project: Project, ann: Browser
) -> None:
    forged = {
        "pushctl:note": "pays in advance", "PushCtl:x": 1, "address": "1.2.3.4",
        " Device": "phone", "landing_page": "/won", "plan": "gold",
    }  # fmt: skip
    bob = Browser(2, inbox_project.key)
    page = "https://shop.example/lamps"
    report = inbox_project.drain(
        ann.subscribe(attributes=forged), bob.subscribe(page=page, attributes=forged)
    )
    assert dict(report.left_out) == {"attributes of reserved names": 2}
    for browser, landed in ((ann, {}), (bob, {"landing_page": "/lamps", "device": "desktop"})):
        found = inbox_project.get(browser)
        assert found is not None
        known = dict(found.attributes)
        known.pop("device", None) if browser is ann else None
        assert known == {"plan": "gold", **landed}
    row = inbox_project.get(ann)
    assert row is not None
    leads.note(inbox_project.store, row.id, "call her")
    inbox_project.drain(ann.subscribe(attributes={"pushctl:note": None}))
    again = inbox_project.get(ann)
    assert again is not None
    assert again.attributes["pushctl:note"] == "call her", "nor removed"


# --- changing what is known ----------------------------------------------------------------


ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/unsubscribe", {}),
    ("/v1/tags", {"add": ["x"], "remove": ["News"]}),
    ("/v1/identify", {"alias": "customer-7"}),
    ("/v1/events", {"events": [{"id": "e", "name": "purchase"}]}),
]


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.parametrize("how", ["unsigned", "wrong key", "old", "other path", "other body"])
def test_nothing_changes_without_a_signature_that_holds(
    inbox_project: Project, ann: Browser, path: str, body: dict[str, Any], how: str
) -> None:
    good = ann.post(path, **body)
    record = {
        "unsigned": ann.post(path, sign=b"", **body),
        "wrong key": ann.post(path, sign=support.auth(2), **body),
        "old": _resigned(good, ann.post(path, at=NOON - 6 * MINUTE, **body)),
        "other path": _resigned(good, ann.post("/v1/other", **body)),
        "other body": _resigned(good, ann.post(path, more=1, **body)),
    }[how]
    before = inbox_project.get(ann)
    report = inbox_project.drain(record)
    assert dict(report.refused) == {"signature missing or wrong": 1}
    assert inbox_project.get(ann) == before
    assert events_of(inbox_project, ann) == []


def _resigned(record: InboxRecord, other: InboxRecord) -> InboxRecord:
    return replace(record, signature=other.signature)


@pytest.mark.parametrize(("path", "body"), ROUTES)
def test_another_sites_page_changes_nothing(
    inbox_project: Project, ann: Browser, path: str, body: dict[str, Any]
) -> None:
    elsewhere = Browser(1, inbox_project.key, site="blog")
    before = inbox_project.get(ann)
    report = inbox_project.drain(elsewhere.post(path, **body))
    assert dict(report.refused) == {"subscription of another site": 1}
    assert inbox_project.get(ann) == before


@pytest.mark.parametrize(("path", "body"), ROUTES)
def test_an_unknown_subscription_is_counted(
    inbox_project: Project, path: str, body: dict[str, Any]
) -> None:
    report = inbox_project.drain(Browser(5, inbox_project.key).post(path, **body))
    assert dict(report.refused) == {"unknown subscription": 1}


def test_unsubscribing(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(ann.post("/v1/unsubscribe"))
    assert state_of(inbox_project, ann) == "unsubscribed"


def test_tags_go_on_and_off(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(ann.post("/v1/tags", add=["Basket 1", "basket  1"], remove=["NEWS"]))
    found = inbox_project.get(ann)
    assert found is not None
    assert found.tags == ("Basket 1",)


def test_a_browser_can_not_heap_up_tags(inbox_project: Project, ann: Browser) -> None:
    for part in range(3):
        inbox_project.drain(ann.post("/v1/tags", add=[f"t{part}-{n}" for n in range(90)]))
    found = inbox_project.get(ann)
    assert found is not None
    assert len(found.tags) <= 200


def test_tags_that_are_there_may_be_told_again_however_many(
    inbox_project: Project, ann: Browser
) -> None:
    for part in range(2):
        inbox_project.drain(ann.post("/v1/tags", add=[f"t{part}-{n}" for n in range(99)]))
    again = [{"name": f"t1-{n}", "seconds": 3600} for n in range(99)]
    assert dict(inbox_project.drain(ann.post("/v1/tags", add=again)).applied) == {"tagged": 1}
    found = inbox_project.get(ann)
    assert found is not None
    assert len(found.tags) == 199


def test_browsers_can_not_fill_the_list_of_tags(
    inbox_project: Project, ann: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TAG_NAMES", 5)
    bob = Browser(2, inbox_project.key)
    inbox_project.drain(
        ann.post("/v1/tags", add=[f"junk {number}" for number in range(9)]),
        bob.subscribe(tags=["VIP", "junk 1"]),
    )
    assert inbox_project.store.tags.count_names() == 5
    found = inbox_project.get(bob)
    assert found is not None, "nobody is lost for it"
    assert inbox_project.store.tags.list_held([found.id], ["junk 1"], NOON)


def test_a_visitors_clock_makes_no_message_seen_before_it_was_sent(
    inbox_project: Project, ann: Browser
) -> None:
    row = inbox_project.plan(ann)
    inbox_project.store.deliveries.accept([row], 201, "en", NOON)
    token = tokens.message_token(SECRET, row)
    body = {"message": token, "kind": "shown", "at": NOON - 2 * HOUR, "id": "i1"}
    inbox_project.drain(ann.record("/v1/reports", body, NOON + MINUTE, b""), now=NOON + HOUR)
    who = inbox_project.get(ann)
    assert who is not None
    (report,) = inbox_project.store.interactions.list_newest(who.id)
    assert report[3] == NOON


def test_attributes_of_somebody_new_are_bounded_too(inbox_project: Project) -> None:
    bob = Browser(2, inbox_project.key)
    many = {f"a{n}": "x" * 1000 for n in range(17)}
    report = inbox_project.drain(bob.subscribe(attributes=many))
    assert any("more than 16 KiB" in reason for reason in report.quarantined)
    assert inbox_project.get(bob) is None


def test_attributes_stay_bounded(inbox_project: Project, ann: Browser) -> None:
    reports = [
        inbox_project.drain(ann.subscribe(at=NOON + n, attributes={f"a{n}": "x" * 1000}))
        for n in range(20)
    ]
    assert any("more than 16 KiB" in reason for r in reports for reason in r.quarantined)


def test_an_alias_that_the_shop_signed_is_trusted(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(ann.post("/v1/identify", alias="c7", signature=sign_alias("c7")))
    found = inbox_project.get(ann)
    assert found is not None
    assert (found.alias, found.alias_trusted) == ("c7", True)


def test_a_word_for_nothing_is_no_alias(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(
        *(ann.post("/v1/identify", alias=word) for word in ("undefined", "null", "NaN"))
    )
    found = inbox_project.get(ann)
    assert found is not None and found.alias is None


def test_an_alias_without_signature_is_a_label_only(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(ann.post("/v1/identify", alias="c7"))
    found = inbox_project.get(ann)
    assert found is not None
    assert (found.alias, found.alias_trusted) == ("c7", False)


@pytest.mark.parametrize("signature", [sign_alias("c8"), sign_alias("c7", b"guessed"), "", 5])
def test_an_alias_with_a_wrong_signature_is_refused(
    inbox_project: Project, ann: Browser, signature: object
) -> None:
    report = inbox_project.drain(ann.post("/v1/identify", alias="c7", signature=signature))
    found = inbox_project.get(ann)
    ((reason, count),) = report.refused.items()
    assert (reason.partition(":")[0], count) == ("alias with a wrong signature", 1)
    assert found is not None
    assert found.alias is None


def test_a_signed_alias_is_not_overwritten_by_an_unsigned_one(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(ann.post("/v1/identify", alias="c7", signature=sign_alias("c7")))
    inbox_project.drain(ann.post("/v1/identify", alias="victim"))
    found = inbox_project.get(ann)
    assert found is not None
    assert (found.alias, found.alias_trusted) == ("c7", True)


def test_no_alias_is_trusted_where_the_shop_has_no_key(
    inbox_project: Project, ann: Browser
) -> None:
    (inbox_project.config.keys / "alias_secret").unlink()
    report = inbox_project.drain(
        ann.post("/v1/identify", alias="c7", signature=sign_alias("c7"))
    )
    assert report.refused.total() == 1


def test_events_come_in_once_whatever_is_sent_again(
    inbox_project: Project, ann: Browser
) -> None:
    basket = {"id": "a", "name": "cart_updated", "properties": {"count": 1}}
    events = [basket, {"id": "b", "name": "purchase"}]
    inbox_project.drain(ann.post("/v1/events", events=events))
    report = inbox_project.drain(ann.post("/v1/events", events=events))
    assert dict(report.applied) == {"events known already": 1}
    assert sorted(events_of(inbox_project, ann)) == ["cart_updated", "purchase"]


def test_nobody_can_use_up_anothers_event_ids(inbox_project: Project, ann: Browser) -> None:
    eve = Browser(2, inbox_project.key)
    inbox_project.drain(
        eve.subscribe(), eve.post("/v1/events", events=[{"id": "a", "name": "x"}])
    )
    inbox_project.drain(ann.post("/v1/events", events=[{"id": "a", "name": "purchase"}]))
    assert events_of(inbox_project, ann) == ["purchase"]


@pytest.mark.parametrize("wrong", [-4 * MINUTE, -10_000, 0, 4 * MINUTE])
def test_a_browsers_clock_that_is_off_by_minutes_is_put_right(
    inbox_project: Project, ann: Browser, wrong: int
) -> None:
    """Ten seconds ago, says a clock that is *wrong*, and signs by it."""
    event: dict[str, Any] = {"id": "e", "name": "cart_updated", "at": NOON + wrong - 10_000}
    event["properties"] = {"count": 1}
    body = orjson.dumps({"endpoint": ann.endpoint, "events": [event]}).decode()
    record = ann.record("/v1/events", body)
    signature = tokens.sign_request(
        ann.auth, "/v1/events", (NOON + wrong) // 1000, body.encode()
    )
    inbox_project.drain(replace(record, signature=signature))
    found = inbox_project.get(ann)
    assert found is not None
    (kept,) = (
        one
        for one in inbox_project.store.events.list_newest(found.id)
        if one.name == "cart_updated"
    )
    assert kept.at == NOON - 10_000


def test_an_events_time_stays_within_what_can_be_true(
    inbox_project: Project, ann: Browser
) -> None:
    times = {"future": NOON + DAY, "ancient": 0, "real": NOON - 5 * MINUTE}
    events = [{"id": n, "name": n, "at": at} for n, at in times.items()]
    inbox_project.drain(ann.post("/v1/events", events=events))
    found = inbox_project.get(ann)
    assert found is not None
    kept = {event.name: event.at for event in inbox_project.store.events.list_newest(found.id)}
    del kept["subscribed"]
    assert kept == {"future": NOON, "ancient": NOON - 30 * DAY, "real": NOON - 5 * MINUTE}


# --- unsubscribed by the shop --------------------------------------------------------------


def test_whom_the_shop_has_unsubscribed_comes_back_only_by_asking(
    inbox_project: Project, ann: Browser
) -> None:
    found = inbox_project.get(ann)
    assert found is not None
    assert unsubscribe.unsubscribe(inbox_project.store, [found.id], NOON) == 1
    assert unsubscribe.unsubscribe(inbox_project.store, [found.id], NOON) == 0
    inbox_project.drain(ann.subscribe(at=NOON + 1))
    assert state_of(inbox_project, ann) == "unsubscribed", "a visit is no wish"
    moved = Browser(8, inbox_project.key)
    inbox_project.drain(moved.subscribe(at=NOON + 2, previous=ann))
    assert state_of(inbox_project, moved) == "unsubscribed", "nor is a new endpoint"
    inbox_project.drain(moved.subscribe(at=NOON + 3, chosen=True))
    assert state_of(inbox_project, moved) == "active"
    inbox_project.drain(moved.post("/v1/unsubscribe", at=NOON + 4))
    inbox_project.drain(moved.subscribe(at=NOON + 5))
    assert state_of(inbox_project, moved) == "unsubscribed", "nor where the browser asked"
    inbox_project.drain(moved.subscribe(at=NOON + 6, chosen=True))
    assert state_of(inbox_project, moved) == "active"


@pytest.mark.parametrize("known_before", [False, True])
def test_who_left_elsewhere_comes_back_only_by_asking(
    inbox_project: Project, known_before: bool
) -> None:
    """Imported as unsubscribed: at once, as an export of ours is, or after they were active."""
    if known_before:
        load(inbox_project, person(1))
    load(inbox_project, person(1, state="unsubscribed"))
    old, new = (Browser(n, inbox_project.key) for n in (1, 8))
    inbox_project.drain(old.subscribe(at=NOON + 1))
    assert state_of(inbox_project, old) == "unsubscribed", "a visit is no wish"
    asked_before = new.subscribe(at=NOON - 1, previous=old, chosen=True)
    inbox_project.drain(asked_before)
    assert state_of(inbox_project, new) == "unsubscribed", "nor is what was wished before"
    newest = Browser(9, inbox_project.key)
    inbox_project.drain(newest.subscribe(at=NOON + 2000, previous=new))
    assert state_of(inbox_project, newest) == "unsubscribed", "nor is a new endpoint"
    kinds = [one["kind"] for one in inbox_project.store.subscriptions.list_changes(1)]
    assert (kinds.count("moved"), kinds.count("revived")) == (2, 0)
    last = Browser(10, inbox_project.key)
    inbox_project.drain(last.subscribe(at=NOON + 4000, previous=newest, chosen=True))
    assert state_of(inbox_project, last) == "active"


def test_a_wrong_signature_is_named_by_its_mistake(
    inbox_project: Project, ann: Browser
) -> None:
    right = sign_alias("customer-7")
    report = inbox_project.drain(
        ann.post("/v1/identify", alias="customer-7", signature=tokens.decode(right).hex()),
        ann.post("/v1/identify", alias="customer-8", signature=right),
    )
    assert dict(report.refused) == {
        "alias with a wrong signature: as hex; it has to be base64url": 1,
        "alias with a wrong signature: it belongs to another alias or to another secret": 1,
    }
    assert len(shares.load_left_out(inbox_project.store, NOON)) == 2, "for `check`"
    decomposed = "mu\u0308ller"
    inbox_project.drain(
        ann.post("/v1/identify", alias=decomposed, signature=sign_alias(decomposed))
    )
    found = inbox_project.get(ann)
    assert found is not None
    assert (found.alias, found.alias_trusted) == ("m\u00fcller", True)

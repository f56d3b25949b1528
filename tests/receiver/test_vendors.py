"""Other services' addresses on a real receiver: their own clients, their own errors."""

import base64
import json
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import onesignal
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from onesignal.api.default_api import DefaultApi
from onesignal.model.include_aliases import IncludeAliases
from onesignal.model.notification import Notification

from pushctl import apikeys
from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import api_messages
from pushctl.jobs.delivery import deliver
from pushctl.jobs.ingest.drain import drain
from pushctl.push import vapid
from pushctl.rules.vendors import onesignal as rules
from tests.support import NOON, sending, vendors
from tests.support import receiving as r
from tests.support.pushservice import decrypt
from tests.support.sending import Field

APP = "shop"
LABEL = "the old program"
TO_ANN = {"include_aliases": {"external_id": ["ann"]}, "target_channel": "push"}


@dataclass
class Shop:
    """A project with one subscriber, Ann, its receiver, and a key for a program of before."""

    field: Field
    arrived: "queue.SimpleQueue[Any]"
    subscriber: str
    secret: str
    port: int

    def sweep(self) -> None:
        """Do what a sweep does: import, plan, send, look what became of it."""
        config, store, now = self.field.config, self.field.store, int(time.time() * 1000)
        drain(store, config, config.secret(), now)
        api_messages.work_off(store, config, now)
        list(deliver.run_due(store, config, now))
        api_messages.work_off(store, config, now + 2_000)

    def get_shown(self) -> dict[str, Any]:
        """Return the next notification that comes to Ann's browser."""
        sealed = self.arrived.get(timeout=10).body
        return dict(json.loads(decrypt(sealed, 0))["notification"])

    def call(
        self, method: str, path: str, body: Any = None, *, auth: str = "", **heads: str
    ) -> r.Answered:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        heads = {"Content-Type": "application/json", **heads}
        return r.request(self.port, method, path, raw, {"Authorization": auth, **heads})

    def gravitec(self, method: str, path: str, body: Any = None, **more: Any) -> r.Answered:
        user = more.pop("user", LABEL)
        pair = f"{user}:{more.pop('password', self.secret)}"
        basic = base64.b64encode(pair.encode()).decode()
        return self.call(method, f"/api/v3/{path}", body, auth=f"Basic {basic}", **more)

    def onesignal(self, method: str, path: str, body: Any = None, **more: Any) -> r.Answered:
        auth = more.pop("auth", f"Key {self.secret}")
        return self.call(method, path, body, auth=auth, **more)

    def client(self, secret: str | None = None) -> DefaultApi:
        """Return OneSignal's own client; nothing of it is set but host and key."""
        host = f"http://127.0.0.1:{self.port}"
        known = onesignal.Configuration(host=host, rest_api_key=secret or self.secret)
        return DefaultApi(onesignal.ApiClient(known))

    def last_line(self) -> tuple[str, Any]:
        record = r.records(self.field.config.folder)[-1]
        return record.path, json.loads(record.body)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("vendors")
    with PushService(folder / "service") as service:
        field = sending.field(folder / "project", service)
        public = vapid.load(field.config.keys)[field.key].public
        (row,) = field.subscribed(service, "fcm", public, count=1)
        field.store.subscriptions.set_alias(row, "ann", trusted=True)
        subscriber = field.store.subscriptions.get_many([row])[0].public_id
        scopes = ("messages:person", "messages:audience", "aliases", "tags", "read")
        keys = field.config.keys
        _, secret = apikeys.create(keys, LABEL, scopes, "shop", NOON)
        apikeys.create(keys, "revoked", scopes, "shop", NOON, expires=NOON + 1)
        with r.running(folder / "project") as port:
            yield Shop(field, service.deliveries(), subscriber, secret, port)
        field.store.close()


# --- OneSignal -------------------------------------------------------------------------------


def test_the_services_own_client_makes_and_sees_a_notification(shop: Shop) -> None:
    client = shop.client()
    made = client.create_notification(
        Notification(
            app_id=APP,
            contents={"en": "It left", "tr": "Yola çıktı"},
            headings={"en": "Order 7"},
            include_aliases=IncludeAliases(external_id=["ann"]),
            target_channel="push",
            web_url="https://shop.example/orders/7",
            web_push_topic="order-7",
        )
    )
    assert client.get_notification(APP, made.id).canceled is False
    shop.sweep()
    seen = client.get_notification(APP, made.id)
    shown = shop.get_shown()
    assert (shown["title"], shown["body"], shown["tag"]) == ("Order 7", "It left", "order-7")
    assert shown["navigate"] == "https://shop.example/orders/7"
    assert (seen.id, seen.successful, seen.remaining, seen.failed) == (made.id, 1, 0, 0)


def test_the_services_own_client_cancels_a_notification(shop: Shop) -> None:
    client = shop.client()
    made = client.create_notification(
        Notification(
            app_id=APP,
            contents={"en": "Tomorrow"},
            included_segments=["All"],
            send_after=datetime.now(UTC) + timedelta(days=1),
        )
    )
    shop.sweep()
    assert client.get_notification(APP, made.id).remaining == 1
    assert client.cancel_notification(APP, made.id).success is True
    shop.sweep()
    assert client.get_notification(APP, made.id).canceled is True
    assert shop.arrived.empty()


def test_the_services_own_client_understands_refusals(shop: Shop) -> None:
    wrong = Notification(app_id=APP, contents={"en": "Hello"})
    client = shop.client()
    with pytest.raises(onesignal.ApiException) as refused:
        client.create_notification(wrong)
    assert (refused.value.status, json.loads(refused.value.body)) == (
        400,
        {"errors": [
            "You must include which players, segments, or tags you wish to send this "
            "notification to."
        ]},
    )  # fmt: skip
    with pytest.raises(onesignal.ApiException) as unknown:
        client.get_notification(APP, "a5e0b1d2-7c3f-4e6a-9b8d-0f1e2d3c4b5a")
    assert (unknown.value.status, json.loads(unknown.value.body)["errors"]) == (
        404, ["Notification not found"],
    )  # fmt: skip
    stranger = shop.client("pushctl_" + "A" * 43)
    with pytest.raises(onesignal.ApiException) as denied:
        stranger.create_notification(wrong)
    assert denied.value.status == 403
    assert json.loads(denied.value.body) == {"errors": [rules.ACCESS_DENIED]}


def test_the_older_form_is_the_same_message(shop: Shop) -> None:
    old = {
        "app_id": APP, "contents": {"en": "Hello"}, "include_player_ids": [shop.subscriber],
        "external_id": "d8b3a5c1-0a4e-4c55-8d1c-0c9f5a3b2e11",
    }  # fmt: skip
    path = "/api/v1/notifications"
    first = shop.onesignal("POST", path, old, auth=f"Basic {shop.secret}")
    assert (first.status, first.json()["external_id"]) == (200, old["external_id"])
    again = shop.onesignal("POST", path, old, auth=f"Basic {shop.secret}")
    assert again.json() == first.json()
    shop.sweep()
    assert shop.get_shown()["body"] == "Hello"
    assert shop.arrived.empty()
    other = shop.onesignal("POST", path, {**old, "contents": {"en": "Another"}})
    assert other.status == 400
    seen = shop.onesignal("GET", f"{path}/{first.json()['id']}?app_id={APP}")
    assert seen.json()["successful"] == 1
    over = shop.onesignal("DELETE", f"{path}/{first.json()['id']}?app_id={APP}")
    assert (over.status, over.json()) == (400, {"errors": [rules.ALREADY_SENT]})


def test_what_only_the_import_knows_is_seen_later(shop: Shop) -> None:
    body = {"app_id": APP, "contents": {"en": "Hello"}, "include_external_user_ids": ["nobody"]}
    made = shop.onesignal("POST", "/notifications", body).json()["id"]
    shop.sweep()
    seen = shop.onesignal("GET", f"/notifications/{made}?app_id={APP}").json()
    assert (seen["successful"], seen["remaining"]) == (0, 0)
    assert "alias" in seen["errors"][0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"contents": {"en": "x"}}, rules.NO_APP),
        ({"app_id": "another", "contents": {"en": "x"}}, "app_id is not that of"),
        ({"app_id": APP, "contents": {"en": "x"}, **TO_ANN, "data": {"a": 1}}, "data is not"),
        (
            {"app_id": APP, "contents": {"en": "x"}, "include_player_ids": ["A" * 22] * 2_000},
            None,
        ),
        (
            {"app_id": APP, "contents": {"en": "x"},
             "include_external_user_ids": [f"c{number}" for number in range(1_001)]},
            "There are more than 1,000 people.",
        ),
        (
            {"app_id": APP, "contents": {"en": "x"}, **TO_ANN, "send_after": 9_999_999_999},
            "send_after is more than 30 days ahead",
        ),
        (b"[1]", rules.NO_APP),
        (b"{", "The body is not JSON."),
    ],
)  # fmt: skip
def test_a_wrong_notification_is_told_why(shop: Shop, body: Any, error: str | None) -> None:
    before = len(r.records(shop.field.config.folder))
    answer = shop.onesignal("POST", "/notifications", body)
    if error is None:  # one person, named two thousand times
        assert answer.status == 200
        return
    assert answer.status == 400
    assert error in answer.json()["errors"][0]
    assert len(r.records(shop.field.config.folder)) == before


def test_other_methods_and_types_have_the_same_form(shop: Shop) -> None:
    listed = shop.onesignal("GET", "/notifications")
    assert (listed.status, listed.headers["allow"]) == (405, "POST")
    assert listed.json()["errors"]
    form = shop.onesignal("POST", "/notifications", b"a=1", **{"Content-Type": "text/plain"})
    assert (form.status, len(form.json()["errors"])) == (415, 1)


# --- Gravitec --------------------------------------------------------------------------------


def test_a_push_of_a_real_caller_reaches_its_person(shop: Shop) -> None:
    answer = shop.gravitec("POST", "push", {
        "send_date": "", "ttl": "", "display_time": "", "is_transactional": "",
        "payload": {
            "message": "Your basket waits", "title": "Shop", "icon": "",
            "image": "https://shop.example/b.jpg", "redirect_url": "https://shop.example/cart",
            "buttons": [{"title": "Open", "url": "https://shop.example/cart"}],
        },
        "audience": {"tokens": [shop.subscriber]},
    })  # fmt: skip
    assert answer.status == 200
    made = answer.json()["id"]
    assert "send" not in shop.gravitec("GET", f"messages/{made}").json()
    shop.sweep()
    shown = shop.get_shown()
    assert (shown["title"], shown["body"]) == ("Shop", "Your basket waits")
    assert shown["navigate"] == "https://shop.example/cart"
    assert shown["actions"][0]["title"] == "Open"
    seen = shop.gravitec("GET", f"messages/{made}")
    assert (seen.status, seen.json()["send"], seen.json()["status"]) == (200, 1, "done")


def test_alias_and_tag_are_parameters_of_the_address(shop: Shop) -> None:
    query = urlencode({"regId": shop.subscriber, "name": "customer-7"})
    tag = urlencode({"regId": shop.subscriber, "name": "Abandoned basket"})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    user = apikeys.find(apikeys.load(shop.field.config.keys), LABEL).id
    assert shop.gravitec("POST", f"alias?{query}", user=user).status == 200
    assert shop.gravitec("POST", "tag", tag.encode(), **form).status == 200
    path, line = shop.last_line()
    assert (path, line["items"]) == (
        "/v1/server/tags", [{"subscriber": shop.subscriber, "add": ["Abandoned basket"]}],
    )  # fmt: skip
    shop.sweep()
    store = shop.field.store
    (ann,) = store.subscriptions.get_many([1])
    assert (ann.alias, store.tags.list_names([1], NOON)[1]) == (
        "customer-7", ["Abandoned basket"],
    )  # fmt: skip
    store.subscriptions.set_alias(1, "ann", trusted=True)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("alias?regId=unknown&name=x", 422, "There is no follower with this regId!"),
        ("tag?regId=" + "A" * 22, 400, 'Required String parameter "name" is not present'),
        ("alias?name=" + "x" * 256 + "&regId=" + "A" * 22, 422, "Max alias length is 255!"),
        ("tag?regId=" + "A" * 22 + "&name=x&more=1", 422, "more is not supported"),
    ],
)
def test_a_wrong_pair_has_the_services_words(
    shop: Shop, path: str, status: int, words: str
) -> None:
    answer = shop.gravitec("POST", path)
    assert (answer.status, answer.json()["errorDescription"]) == (status, words)


def test_a_push_that_is_not_understood_is_named(shop: Shop) -> None:
    answer = shop.gravitec("POST", "push", {"payload": {"message": "x"}, "display_time": 20})
    assert answer.status == 422
    assert answer.json() == {
        "httpStatus": "UNPROCESSABLE_ENTITY", "error": "Incomplete by wrong param(s)!",
        "errorDescription": "display_time is not supported",
        "error_message": "display_time is not supported",
        "description": "display_time is not supported",
    }  # fmt: skip


@pytest.mark.parametrize(
    "who",
    [
        {"user": "another"},
        {"password": "pushctl_" + "A" * 43},
        {"password": ""},
        {"user": "", "password": ""},
    ],
)
def test_user_and_password_have_to_be_one_key(shop: Shop, who: dict[str, str]) -> None:
    answer = shop.gravitec("POST", "push", {"payload": {"message": "x"}}, **who)
    assert answer.status == 403
    assert "www-authenticate" not in answer.headers
    assert answer.json()["error_message"]


# --- anything ---------------------------------------------------------------------------------


@seed(12)
@settings(max_examples=60, database=None, deadline=None, phases=[Phase.generate])
@given(push=vendors.PUSHES, notification=vendors.NOTIFICATIONS, text=st.text(max_size=40))
def test_no_request_is_a_fault_of_ours(
    shop: Shop, push: Any, notification: Any, text: str
) -> None:
    name = quote(text, safe="=&")
    for answer in (
        shop.gravitec("POST", "push", push),
        shop.gravitec("POST", f"tag?regId={'A' * 22}&name={name}"),
        shop.gravitec("POST", f"alias?{name}", text.encode(errors="replace")),
        shop.gravitec("GET", f"messages/{name}", user=text),
        shop.onesignal("POST", "/notifications", notification),
        shop.onesignal("DELETE", f"/api/v1/notifications/{name}?app_id={name}"),
    ):
        assert answer.status in (200, 400, 403, 404, 415, 422), answer.body
        assert answer.json()


def test_the_import_takes_whatever_was_taken(shop: Shop) -> None:
    """All lines of this file, those of the requests above among them, are applied."""
    shop.sweep()
    folder = shop.field.config.inbox / "quarantine"
    assert [one for one in folder.glob("*") if one.stat().st_size] == []
    assert shop.field.store.messages.list_due(int(time.time() * 1000), 10) == []


def test_a_list_of_a_thousand_people_is_one_message(shop: Shop) -> None:
    rows = shop.field.people(1_000, first=10)
    subscriptions = shop.field.store.subscriptions.get_many(rows)
    body = {
        "app_id": APP, "contents": {"en": "Hello"},
        "include_subscription_ids": [one.public_id for one in subscriptions],
    }  # fmt: skip
    made = shop.onesignal("POST", "/notifications", body).json()["id"]
    config, store, now = shop.field.config, shop.field.store, int(time.time() * 1000)
    drain(store, config, config.secret(), now)
    api_messages.work_off(store, config, now)
    seen = shop.onesignal("GET", f"/notifications/{made}?app_id={APP}").json()
    assert (seen.get("errors"), seen["remaining"]) == (None, 1_000)

"""Webhooks: everything that happens is told at least once, signed, and in nobody's way."""

import base64
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Judge

from pushctl.errors import ConfigError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.webhooks import events, outbox, request, secrets
from pushctl.model import InteractionKind, Millis
from pushctl.rules.money import Money
from pushctl.rules.shops.order import Purchase, State
from pushctl.store import Store
from pushctl.store.events import ARRIVAL, Event
from pushctl.store.interactions import Interaction
from pushctl.store.orders import Found
from tests.support import DAY, HOUR, MINUTE, NOON, shop, webhooks
from tests.support.webhooks import URL, Receiver

ALL = """["subscribed", "shown", "clicked", "converted", "trigger_finished",
          "campaign_finished"]"""
HOOK = f"""
[[webhooks]]
name = "crm"
url = "{URL}"
events = {ALL}
"""


class Hooked(shop.Shop):
    """A shop with a webhook that leads to *receiver*."""

    receiver: Receiver

    def hook(self, text: str = HOOK) -> None:
        (self.folder / "keys").mkdir(exist_ok=True)
        (self.folder / "keys/secret").write_bytes(bytes(32))
        self.declare(shop.BASKET + text + self.receiver.settings)
        self.find()

    def find(self, now: Millis = NOON) -> int:
        events.sync(self.store, self.config, now)
        return events.find(self.store, self.config, now, lambda: False)

    def deliver(self, now: Millis = NOON, seconds: float = 5.0) -> outbox.Report:
        return outbox.deliver(self.store, self.config, now, seconds)

    def tell(self, now: Millis = NOON) -> outbox.Report:
        self.find(now)
        return self.deliver(now)

    def arrive(self, at: Millis = NOON) -> int:
        """Let somebody subscribe by a browser; return the row."""
        who = self.person(at=at)
        key = f"{who}{ARRIVAL}"
        self.store.events.add([Event(who, "subscribed", at, at, {}, key)])
        return who


@pytest.fixture
def hooked(tmp_path: Path, store: Store) -> Iterator[Hooked]:
    with webhooks.receiving() as receiver:
        made = Hooked(tmp_path, store)
        made.receiver = receiver
        made.hook()
        yield made


def verify(one: Hooked, got: webhooks.Got) -> Any:
    """Return what the published library of the standard reads."""
    return Judge(secrets.ensure(one.config, "crm").text).verify(got.body, dict(got.headers))


def sent_step(one: Hooked) -> tuple[int, int]:
    """Let somebody get a reminder; return the person and the delivery."""
    who = one.arrive()
    one.fill(who, NOON)
    one.sweep(NOON + 4 * MINUTE)
    return who, one.sent[-1].delivery


def test_what_a_person_does_is_told_signed(hooked: Hooked) -> None:
    who, delivery = sent_step(hooked)
    click = Interaction(delivery, InteractionKind.CLICKED, "buy", NOON + 5 * MINUTE, "c1")
    hooked.store.interactions.add(click)
    hooked.event(who, "purchase", NOON + 6 * MINUTE)
    hooked.sweep(NOON + 7 * MINUTE)
    report = hooked.tell(NOON + 8 * MINUTE)
    told = {one["type"]: one for one in (verify(hooked, got) for got in hooked.receiver.got)}
    public = hooked.store.subscriptions.get(str(who), NOON).public_id
    assert report.delivered == len(hooked.receiver.got) == 5
    assert told["subscribed"]["data"] == {"site": "shop", "subscriber": public}
    assert told["shown"]["data"]["campaign"] == "basket/1"
    assert told["clicked"] == {
        "type": "clicked",
        "timestamp": "2026-04-28T08:05:00.000Z",
        "data": {
            "site": "shop", "subscriber": public, "campaign": "basket/1", "trigger": "basket",
            "step": 1, "button": "buy",
        },
    }  # fmt: skip
    goal = {"by": "goal", "trigger": "basket", "goal": "purchase"}
    assert told["converted"]["data"] == {"site": "shop", "subscriber": public, **goal}
    assert told["trigger_finished"]["data"]["goal"] == "purchase"
    assert told["trigger_finished"]["data"]["steps"] == 1


def test_a_trigger_that_ends_by_its_steps_reached_no_goal(hooked: Hooked) -> None:
    hooked.declare(
        '[triggers.hello]\non = "hello"\nsteps = [{ after = "1m", template = "one" }]\n'
        + HOOK
        + hooked.receiver.settings
    )
    hooked.event(hooked.person(), "hello", NOON)
    hooked.sweep(NOON + 2 * MINUTE, show=False)
    hooked.tell(NOON + 3 * MINUTE)
    (told,) = [got.json() for got in hooked.receiver.got]
    assert told["type"] == "trigger_finished"
    assert told["data"]["goal"] is None


def test_an_order_counts_once_when_it_is_paid_and_somebodys(hooked: Hooked) -> None:
    who = hooked.person()
    bought = Purchase("1007", Money(4900, 2, "EUR"), ())
    for number, state, found in (
        ("1007", State.PAID, Found(who)),
        ("1008", State.PENDING, Found(who)),
        ("1009", State.PAID, Found(None, "nobody has it")),
    ):
        order = bought._replace(number=number)
        hooked.store.orders.add(1, "shopify", order, state, NOON, NOON, found)
    hooked.tell()
    (told,) = [got.json() for got in hooked.receiver.got]
    assert told["data"]["order"] == {
        "number": "1007", "source": "shopify", "minor": 4900, "exponent": 2, "currency": "EUR",
        "amount": "49.00",
    }  # fmt: skip
    with hooked.store.write() as db:  # the payment of one, and the person of the other
        db.execute("UPDATE orders SET state = 'paid' WHERE number = '1008'")
        db.execute("UPDATE orders SET subscription_id = ? WHERE number = '1009'", [who])
        db.execute("UPDATE orders SET state = 'paid' WHERE number = '1007'")
    hooked.tell()
    numbers = [got.json()["data"]["order"]["number"] for got in hooked.receiver.got]
    assert sorted(numbers) == ["1007", "1008", "1009"]


def test_nobody_is_told_of_orders_of_last_year(hooked: Hooked) -> None:
    who = hooked.person()
    for number, at in (("old", NOON - 31 * DAY), ("new", NOON - 29 * DAY)):
        bought = Purchase(number, Money(4900, 2, "EUR"), ())
        hooked.store.orders.add(1, "import", bought, State.PAID, at, NOON, Found(who))
    hooked.tell()
    (told,) = [got.json() for got in hooked.receiver.got]
    assert told["data"]["order"]["number"] == "new"


def test_a_broadcast_that_ends_is_told_with_its_counts(hooked: Hooked) -> None:
    with hooked.store.write() as db:
        db.execute(
            "INSERT INTO campaigns (name, status, template, audience, sources, created_at)"
            " VALUES ('sale', 'running', 'one', 'everyone', '{}', ?)",
            [NOON],
        )
    hooked.store.deliveries.plan(1, [hooked.person()], now=NOON, expires_after=DAY)
    hooked.store.deliveries.cancel(1, NOON)
    assert hooked.store.campaigns.finish_if_done(1, NOON)
    hooked.tell()
    (told,) = [got.json() for got in hooked.receiver.got]
    assert told["data"] == {
        "campaign": "sale", "started_at": None, "messages": {"skipped": 1},
    }  # fmt: skip


def test_nobody_is_told_what_was_before_the_first_webhook(hooked: Hooked) -> None:
    hooked.declare(shop.BASKET)
    hooked.find()
    hooked.arrive()
    hooked.hook()
    assert hooked.tell().delivered == 0
    hooked.arrive()
    assert hooked.tell().delivered == 1


def test_no_payload_opens_a_door(hooked: Hooked) -> None:
    hooked.hook(HOOK + "people = true\n")
    who, _ = sent_step(hooked)
    with hooked.store.write() as db:
        db.execute(
            "UPDATE subscriptions SET alias = 'ann-77', alias_trusted = 1 WHERE id = ?", [who]
        )
    hooked.tell(NOON + 5 * MINUTE)
    record = hooked.store.connection.execute(
        "SELECT endpoint, auth FROM subscriptions"
    ).fetchone()
    everything = b"".join(got.body for got in hooked.receiver.got)
    assert b'"alias":"ann-77"' in everything
    assert record[0].encode() not in everything
    assert base64.b64encode(record[1]) not in everything
    hooked.hook()
    hooked.arrive(NOON + HOUR)
    hooked.tell(NOON + HOUR)
    assert "alias" not in hooked.receiver.got[-1].json()["data"]


@pytest.mark.parametrize("column", ["gpc_at", "tracking_refused_at"])
def test_nobody_is_told_what_people_do_who_asked_not_to_be_tracked(
    hooked: Hooked, column: str
) -> None:
    who, delivery = sent_step(hooked)
    with hooked.store.write() as db:
        db.execute(f"UPDATE subscriptions SET {column} = ?", [NOON])
    click = Interaction(delivery, InteractionKind.CLICKED, None, NOON + 5 * MINUTE, "c1")
    hooked.store.interactions.add(click)
    bought = Purchase("1007", Money(4900, 2, "EUR"), ())
    hooked.store.orders.add(1, "page", bought, State.PAID, NOON, NOON, Found(who))
    hooked.event(who, "purchase", NOON + 6 * MINUTE)
    hooked.sweep(NOON + 7 * MINUTE)
    hooked.tell(NOON + 8 * MINUTE)
    assert [got.json()["type"] for got in hooked.receiver.got] == ["subscribed"]


def test_a_site_hears_of_its_own_people(hooked: Hooked) -> None:
    other = '[sites.other]\norigin = "https://other.example"\n'
    hooked.hook(HOOK + 'site = "other"\n' + other)
    hooked.arrive()
    assert hooked.tell().delivered == 0


def test_a_body_of_ones_own(hooked: Hooked) -> None:
    body = """body = '{"text": {{ ("New: " ~ data.site)|json }}, "kind": {{ type|json }}}'\n"""
    hooked.hook(HOOK + body)
    hooked.arrive()
    hooked.tell()
    assert verify(hooked, hooked.receiver.got[0]) == {"text": "New: shop", "kind": "subscribed"}
    assert hooked.receiver.got[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ['a "b" \\ c', "ü…", '"' * 600, "x\ny"])
def test_no_value_breaks_out_of_a_body(hooked: Hooked, name: str) -> None:
    hooked.hook(HOOK + "body = '{\"a\": {{ data.name|json }}}'\n")
    payload = orjson.dumps({"data": {"name": name}}).decode()
    written = request.write_body(hooked.config.webhooks[0], payload)
    assert orjson.loads(written)["a"][:5] == name[:5].replace("\n", " ")


def test_a_refused_call_comes_again_under_its_id(hooked: Hooked) -> None:
    hooked.receiver.answer = webhooks.say(500)
    hooked.arrive()
    assert hooked.tell().failed == 1
    assert hooked.deliver(NOON + 1000).failed == 0  # not yet
    hooked.receiver.answer = webhooks.OK
    assert hooked.deliver(NOON + MINUTE).delivered == 1
    assert len(set(hooked.receiver.ids)) == 1
    assert len(hooked.receiver.ids) == 2
    assert hooked.deliver(NOON + DAY).delivered == 0


def test_a_receiver_that_asks_for_time_gets_it(hooked: Hooked) -> None:
    hooked.receiver.answer = webhooks.say(429, Retry_After="3600")
    hooked.arrive()
    hooked.tell()
    hooked.receiver.answer = webhooks.OK
    assert hooked.deliver(NOON + HOUR - MINUTE).delivered == 0
    assert hooked.deliver(NOON + HOUR + MINUTE).delivered == 1


def test_after_three_days_a_call_is_a_dead_letter_that_can_be_replayed(hooked: Hooked) -> None:
    hooked.receiver.answer = webhooks.say(404)
    hooked.arrive()
    hooked.find()
    at = NOON
    while at < NOON + 5 * DAY:
        hooked.deliver(at)
        at += HOUR
    (dead,) = hooked.store.webhooks.list_dead()
    assert dead["reason"] == "it answers 404"
    assert NOON + 2 * DAY < dead["changed_at"] < NOON + 3 * DAY + HOUR  # swept hourly
    assert 10 <= dead["attempts"] <= 25
    hooked.receiver.answer = webhooks.OK
    assert hooked.store.webhooks.replay("crm", None, at) == 1
    assert hooked.deliver(at).delivered == 1
    assert len(set(hooked.receiver.ids)) == 1


def test_a_failing_webhook_rests_and_uses_up_no_tries(hooked: Hooked) -> None:
    hooked.receiver.answer = webhooks.say(500)
    for _ in range(100):
        hooked.arrive()
    hooked.tell()
    assert 3 <= len(hooked.receiver.got) < 10
    state = hooked.store.webhooks.load_states()["crm"]
    assert state.open_until and state.open_until > NOON
    assert state.failing_since == pytest.approx(NOON, abs=5000)
    hooked.receiver.answer = webhooks.OK
    assert hooked.deliver(NOON + HOUR).delivered == 100
    assert hooked.store.webhooks.load_states()["crm"].failing_since is None


def test_another_webhook_goes_on_beside_a_broken_one(hooked: Hooked) -> None:
    hooked.hook(HOOK + HOOK.replace("crm", "other").replace("/pushctl", "/other"))
    hooked.receiver.answer = lambda handler, got: webhooks.say(
        204 if got.path == "/other" else 500
    )(handler, got)
    for _ in range(20):
        hooked.arrive()
    assert hooked.tell().delivered == 20


def test_a_slow_receiver_costs_the_time_that_it_may(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushctl.jobs.webhooks.request.WEBHOOK_SECONDS", 0.2)
    hooked.receiver.answer = lambda handler, got: time.sleep(2)
    for _ in range(50):
        hooked.arrive()
    began = time.monotonic()
    hooked.find()
    report = hooked.deliver(seconds=0.5)
    assert time.monotonic() - began < 2
    assert report.delivered == 0 < report.failed


def test_a_redirect_is_no_success_and_not_followed(hooked: Hooked) -> None:
    hooked.receiver.answer = webhooks.say(302, Location=URL.replace("pushctl", "elsewhere"))
    hooked.arrive()
    assert hooked.tell().failed == 1
    assert [got.path for got in hooked.receiver.got] == ["/pushctl"]
    reason = hooked.store.webhooks.load_states()["crm"].reason or ""
    assert "redirects are not followed" in reason


def test_ten_megabytes_are_not_read(hooked: Hooked) -> None:
    written: list[int] = []

    def flood(handler: Any, got: webhooks.Got) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10_000_000))
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(bytes(100_000))
            written.append(100_000)

    hooked.receiver.answer = flood
    hooked.arrive()
    assert hooked.tell().delivered == 1
    assert sum(written) < 9_000_000


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "10.0.0.8", "[::1]"])
def test_no_address_inside_is_called(hooked: Hooked, host: str) -> None:
    port = hooked.receiver.port
    hooked.hook(HOOK.replace(URL, f"https://{host}:{port}/pushctl"))
    hooked.arrive()
    assert hooked.tell().failed == 1
    assert hooked.receiver.got == []


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(hooked: Hooked) -> None:
    now = time.time_ns() // 1_000_000
    old = secrets.ensure(hooked.config, "crm").text
    new = secrets.rotate(hooked.config, "crm", now)
    hooked.arrive()
    hooked.tell()
    (got,) = hooked.receiver.got
    for text in (old, new.text):
        assert Judge(text).verify(got.body, dict(got.headers))
    assert len(new.list_valid(now + DAY)) == 1
    assert secrets.find_file(hooked.config).stat().st_mode & 0o777 == 0o600


def test_a_restored_database_calls_nothing(hooked: Hooked) -> None:
    sent_step(hooked)
    with hooked.store.write():
        hooked.store.meta.set("generation", "0")
    restore_guard.write_generation(hooked.config, 5)
    hooked.find()
    with pytest.raises(ConfigError, match="release"):
        hooked.deliver()
    with pytest.raises(ConfigError, match="release"):
        outbox.try_out(hooked.store, hooked.config, "crm", NOON)
    assert hooked.receiver.got == []


def test_an_erased_person_is_told_of_no_more(hooked: Hooked) -> None:
    who = hooked.arrive()
    hooked.find()
    hooked.store.erasure.erase([who], NOON)
    assert hooked.deliver().delivered == 0
    left = "SELECT count(*) FROM webhook_calls"
    assert hooked.store.connection.execute(left).fetchone() == (0,)


def test_what_is_taken_out_of_the_file_waits_for_nobody(hooked: Hooked) -> None:
    hooked.arrive()
    hooked.find()
    hooked.declare(shop.BASKET)
    hooked.find()
    (dead,) = hooked.store.webhooks.list_dead()
    assert dead["reason"] == "the webhook was taken out of pushctl.toml"


@pytest.mark.parametrize("moment", ["claimed", "called"])
def test_a_kill_repeats_a_call_under_its_id(hooked: Hooked, moment: str) -> None:
    """kill -9 between claim and call, and between call and booking."""
    hooked.arrive()
    hooked.find()
    hooked.store.close()
    child = os.fork()
    if child == 0:
        try:
            if moment == "claimed":
                outbox._Delivery._post = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
            else:
                outbox._Delivery._book = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
            with Store(hooked.config.database) as store:
                outbox.deliver(store, hooked.config, NOON, 5.0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(hooked.receiver.got) == (moment == "called")
    with Store(hooked.config.database) as store:
        assert outbox.deliver(store, hooked.config, NOON + 1000, 5.0).delivered == 0
        assert outbox.deliver(store, hooked.config, NOON + MINUTE, 5.0).delivered == 1
    assert len(set(hooked.receiver.ids)) == 1

"""Messages that servers ask for: to people and audiences, sent, told, taken back."""

import json
import queue
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from http_ece import ECEException

from pushctl.config import ApiConfig
from pushctl.demo.pushservice import PushService
from pushctl.errors import ConfigError
from pushctl.inbox import Writer
from pushctl.jobs.campaigns import api_audiences, api_messages, manage
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest.drain import drain
from pushctl.jobs.project.release import list_waiting, release
from pushctl.jobs.subscribers import personal_data
from pushctl.jobs.subscribers.forget import forget
from pushctl.model import InboxRecord, Millis
from pushctl.push import vapid
from pushctl.receiver.api.setup import find_status
from pushctl.rules.web import request_ids
from pushctl.store import idle
from tests.support import DAY, NOON, sending
from tests.support.pushservice import decrypt
from tests.support.sending import Field

KEY = bytes(32)  # the hash of the API key that sends all
HELLO = {"message": {"title": "Hello", "body": "Your order is on its way"}}


@dataclass
class Server:
    """A shop's server, a project, and the browsers of its people."""

    field: Field
    service: PushService
    arrived: "queue.SimpleQueue[Any]"
    rows: list[int]
    now: Millis = NOON
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    def ask(self, request: str = "", *, key: str = "abcdefgh", **message: Any) -> str:
        """Have the import take a message; return its id."""
        name = request or self._make_id()
        body = {"request": name, "key": key, "scopes": [], "message": message}
        self.post("/v1/messages", body)
        return name

    def cancel(self, message: str) -> dict[str, Any]:
        name = self._make_id()
        body = {"request": name, "key": "abcdefgh", "message": message}
        self.post("/v1/messages/cancel", body)
        return self.read(name)

    def post(self, path: str, body: dict[str, Any]) -> None:
        writer = Writer(self.field.config.inbox)
        number = f"i{next(self._numbers)}"
        writer.append([InboxRecord(number, self.now, path, "shop", json.dumps(body))])
        writer.close()
        config = self.field.config
        drain(self.field.store, config, config.secret(), self.now)

    def _make_id(self) -> str:
        return request_ids.make(KEY, self.now, next(self._numbers).to_bytes(7, "big"))

    def work(self, after: Millis = 0) -> None:
        self.now += after
        api_messages.work_off(self.field.store, self.field.config, self.now)

    def send(self) -> None:
        """Plan, send what is due, and look what has become of it a second later."""
        self.work()
        list(deliver.run_due(self.field.store, self.field.config, self.now))
        self.work(2_000)

    def read(self, message: str) -> dict[str, Any]:
        """Return what the receiver tells."""
        folder, at = self.field.config.status, request_ids.read_time(message)
        return dict(find_status(folder, message, at) or {"state": "received"})

    def get_shown(self) -> dict[str, Any]:
        """Return the next notification that comes to a browser."""
        return dict(self._open()["notification"])

    def get_shown_token(self) -> str:
        return str(self.get_shown()["data"]["pushctl"])

    def _open(self) -> dict[str, Any]:
        sealed = self.arrived.get(timeout=10).body
        for number in range(len(self.rows)):
            with suppress(ECEException):
                return dict(json.loads(decrypt(sealed, number)))
        raise AssertionError("it is for nobody")

    def list_campaigns(self) -> list[tuple[str, str]]:
        found = self.field.store.campaigns.list_newest()
        return [(one.name, one.status.value) for one in reversed(found)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with PushService(tmp_path / "service") as service:
        made = sending.field(tmp_path / "project", service)
        public = vapid.load(made.config.keys)[made.key].public
        arrived = service.deliveries()
        rows = made.subscribed(service, "fcm", public, count=3)
        for row, alias in zip(rows, ["ann", "ann", "bob"], strict=True):
            made.store.subscriptions.set_alias(row, alias, trusted=True)
        made.store.tags.add(rows, "Sale", NOON)
        yield Server(made, service, arrived, rows)
        made.store.close()


def test_a_given_message_reaches_all_browsers_of_a_person(server: Server) -> None:
    text = {
        "title": "Order {{ 7*7 }} {% x %}", "body": "Two lines:\n{# 49 #}", "url": "/orders/7",
        "icon": "https://cdn.example/i.png", "language": "he", "tag": "order-7",
        "buttons": [{"title": "Track {{ it }}", "action": "track", "url": "/track"}],
    }  # fmt: skip
    message = server.ask(to={"alias": "ann"}, message=text, transactional=True)
    assert server.read(message)["state"] == "received"
    server.work()
    told = server.read(message)
    assert (told["state"], told["counts"]["waiting"]) == ("sending", 2)
    server.send()
    for _ in range(2):
        shown = server.get_shown()
        assert (shown["title"], shown["body"]) == (text["title"], text["body"])
        assert shown["navigate"] == "https://shop.example/orders/7"
        assert (shown["lang"], shown["dir"], shown["tag"]) == ("he", "rtl", "order-7")
        assert shown["actions"][0]["title"] == "Track {{ it }}"
    told = server.read(message)
    assert (told["state"], told["counts"]["accepted"]) == ("done", 2)


def test_messages_of_one_kind_share_a_campaign_for_a_day(server: Server) -> None:
    folder = server.field.config.folder
    sending.template(folder, "shipped", title="Order {{ values.order }}", body="It left")
    first = server.ask(to={"alias": "bob"}, template="shipped", values={"order": "1007"})
    second = server.ask(to={"alias": "bob"}, template="shipped", values={"order": "1008"})
    server.send()
    assert sorted(server.get_shown()["title"] for _ in "12") == ["Order 1007", "Order 1008"]
    third = server.ask(to={"alias": "ann"}, template="shipped", values={"order": "1009"})
    server.send()
    for message, accepted in ((first, 1), (second, 1), (third, 2)):
        told = server.read(message)
        assert (told["state"], told["counts"]["accepted"]) == ("done", accepted)
    assert server.list_campaigns() == [("shipped 2026-04-28", "running")]
    # The next day has a campaign of its own, and the first ends when nothing waits in it.
    server.now += 3 * DAY
    server.ask(to={"alias": "bob"}, template="shipped", values={"order": "1010"})
    server.work()
    assert server.list_campaigns() == [
        ("shipped 2026-04-28", "finished"), ("shipped 2026-05-01", "running"),
    ]  # fmt: skip
    # Nothing of the texts stays once they are no more needed.
    texts = "SELECT content FROM messages ORDER BY id LIMIT 3"
    assert server.field.store.connection.execute(texts).fetchall() == [("{}",)] * 3


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"to": {"alias": "eve"}, **HELLO}, "nobody has its alias"),
        ({"to": {"alias": "ann"}, "template": "sold"}, "sold"),
        ({"to": {"segment": "rich"}, **HELLO}, "rich"),
        ({"to": {"tag": "Nobody"}, **HELLO}, "nobody is in this audience"),
        ({"to": {"audience": "tag ="}, **HELLO}, "at column 5"),
        ({"to": {"tag": "Sale"}, **HELLO, "transactional": True}, "is not transactional"),
        ({"to": {"alias": "ann"}, "message": {"title": "-", "url": "javascript:1"}}, "no http"),
        ({"to": {"alias": "ann"}, "message": {"title": "-", "body": "x" * 4_000}}, "4,"),
        ({"to": {"alias": "ann"}, "template": "one"}, "order"),
        ({"to": {"alias": "ann"}, **HELLO, "at": NOON + 31 * DAY}, "30 days"),
        ({"to": {"alias": "ann"}}, "message is no object"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(
    server: Server, message: dict[str, Any], reason: str
) -> None:
    sending.template(server.field.config.folder, "one", title="{{ values.order }}", body="-")
    name = server.ask(**message)
    server.work()
    told = server.read(name)
    assert told["state"] == "refused"
    assert reason in told["reason"]
    assert server.list_campaigns() == []


def test_a_reason_repeats_no_audience(server: Server) -> None:
    """It is kept longer than the message, and an erasure does not reach it."""
    name = server.ask(to={"audience": "alias = 'customer-of-ours' und tag('x')"}, **HELLO)
    server.work()
    reason = server.read(name)["reason"]
    assert reason.startswith("the audience can't be read at column 28: ")
    assert "customer-of-ours" not in reason


def test_a_request_counts_once_whenever_a_kill_came(server: Server) -> None:
    name = server.ask(to={"alias": "bob"}, **HELLO)
    server.ask(name, to={"alias": "bob"}, **HELLO)
    store = server.field.store
    # Published, and not committed.
    with suppress(ZeroDivisionError), store.write():
        server.work()
        raise ZeroDivisionError
    server.send()
    server.work()
    assert server.read(name)["counts"]["accepted"] == 1
    assert server.arrived.get(timeout=10)
    assert server.arrived.empty()


def test_one_for_later_is_scheduled_and_can_be_taken_back(server: Server) -> None:
    later = {"at": server.now + DAY, **HELLO}
    kept, dropped = (
        server.ask(to={"alias": "bob"}, **later),
        server.ask(to={"tag": "Sale"}, **later),
    )
    server.send()
    assert server.read(kept)["state"] == server.read(dropped)["state"] == "scheduled"
    assert server.cancel(dropped)["state"] == "applied"
    single = server.ask(to={"alias": "ann"}, **later)
    server.work()
    server.cancel(single)
    server.work()
    for name, skipped in ((dropped, 3), (single, 2)):
        told = server.read(name)
        assert (told["state"], told["counts"]["skipped"]) == ("cancelled", skipped)
    server.now += DAY
    server.send()
    assert server.read(kept)["state"] == "done"
    assert server.cancel(kept)["reason"] == "it was sent already, or its time was over"
    assert server.cancel(kept[:-2] + "AA")["reason"] == "there is no such message"


def test_a_large_audience_waits_for_a_person(server: Server) -> None:
    server.field.config = replace(server.field.config, api=ApiConfig(max_audience=2))
    small = server.ask(to={"audience": "alias = 'ann'"}, **HELLO)
    large = server.ask(to={"tag": "Sale"}, template="sale")
    server.send()
    assert server.read(small)["state"] == "done"
    told = server.read(large)
    assert (told["state"], told["counts"]["waiting"]) == ("waiting", 3)
    assert "3 people are more than api.max_audience = 2" in told["reason"]
    store, config = server.field.store, server.field.config
    assert server.list_campaigns()[-1] == (told["campaign"], "paused")
    manage.resume(store, config, told["campaign"], server.now, deliver.Options(patience=0.0))
    server.work(60_000)
    told = server.read(large)
    assert (told["state"], told["counts"]["accepted"]) == ("done", 3)


def test_a_watch_leaves_a_large_audience_to_a_sweep(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_audiences, "MANY", 2)
    store, config = server.field.store, server.field.config
    fingerprint = idle.compute_fingerprint(config.file)
    store.meta.set(idle.CONFIG_KEY, fingerprint)
    store.meta.set(idle.NEXT_SCAN_KEY, str(server.now + DAY))
    small = server.ask(to={"alias": "bob"}, **HELLO)
    large = server.ask(to={"tag": "Sale"}, **HELLO)
    api_messages.work_off(store, config, server.now, all_sizes=False)
    assert server.read(small)["state"] == "sending"
    assert server.read(large)["state"] == "received"
    assert api_messages.work_off(store, config, server.now, all_sizes=False) == 0
    assert store.schedules.find_work(fingerprint, server.now).planned
    server.send()
    assert server.read(large)["counts"]["accepted"] == 3
    assert not store.schedules.find_work(fingerprint, server.now).planned


def test_a_pause_holds_but_for_what_a_transaction_needs(server: Server) -> None:
    server.field.store.tags.add(server.rows[2:], "pushctl:paused", NOON)
    kept = server.ask(to={"alias": "bob"}, **HELLO)
    sent = server.ask(to={"alias": "bob"}, **HELLO, transactional=True)
    many = server.ask(to={"tag": "Sale"}, template="sale")
    server.send()
    assert "asked for a pause" in server.read(kept)["reason"]
    assert server.read(sent)["counts"]["accepted"] == 1
    assert server.read(many)["counts"]["accepted"] == 2


def test_what_was_written_for_a_person_goes_with_the_person(server: Server) -> None:
    later = {"at": server.now + DAY, **HELLO}
    for_bob = server.ask(to={"alias": "bob"}, **later)
    for_ann = server.ask(to={"alias": "ann"}, **later)
    server.work()
    unplanned = server.ask(to={"alias": "bob"}, **later)
    store, config = server.field.store, server.field.config
    (bob,) = store.subscriptions.get_many(server.rows[2:])
    assert "on its way" in personal_data.render(store, [bob], NOON, keys=False)
    erase = partial(forget, store, config, config.secret(), now=server.now, dry_run=False)
    erase("alias:bob")
    (first, *_) = store.subscriptions.get_many(server.rows[:1])
    erase(first.public_id)
    texts = dict(store.connection.execute("SELECT request, content FROM messages"))
    assert texts[for_bob] == texts[unplanned] == "{}"
    assert "on its way" in texts[for_ann]  # another browser of hers waits for it
    server.now += DAY
    server.send()
    assert server.read(for_ann)["counts"]["accepted"] == 1
    assert server.read(for_bob)["counts"]["skipped"] == 1
    assert server.read(unplanned)["reason"] == "its person was erased"
    assert "on its way" not in json.dumps(store.connection.execute(
        "SELECT content FROM messages").fetchall())  # fmt: skip


def test_one_erased_person_stops_no_message_to_others(server: Server) -> None:
    people = [{"alias": "bob"}, {"alias": "nobody"}, {"alias": "ann"}]
    message = server.ask(to={"people": people}, **HELLO)
    store, config = server.field.store, server.field.config
    forget(store, config, config.secret(), "alias:ann", server.now, dry_run=False)
    (text,) = store.connection.execute("SELECT content FROM messages").fetchone()
    assert json.loads(text)["to"]["people"] == people[:2]
    server.send()
    assert server.get_shown()["title"] == "Hello"
    assert server.read(message)["counts"]["accepted"] == 1


def test_a_restored_copy_plans_and_sends_nothing(server: Server) -> None:
    server.ask(to={"alias": "bob"}, **HELLO)
    server.send()
    waits = server.ask(to={"alias": "bob"}, **HELLO)
    store, config = server.field.store, server.field.config
    restore_guard.make_path(config).write_text(
        restore_guard.make_path(config)
        .read_text()
        .replace('"generation": 1', '"generation": 9')
    )
    with pytest.raises(ConfigError, match="restored"):
        server.work()
    (row,) = list_waiting(store, config, server.now)
    assert (row.kind, row.set_aside) == ("message", 1)
    assert release(store, config, server.now)["messages of the API"] == 1
    server.work()
    assert "database was restored" in server.read(waits)["reason"]


def test_counts_and_reports_come_into_the_result(server: Server) -> None:
    message = server.ask(to={"alias": "bob"}, **HELLO)
    server.send()
    token = server.get_shown_token()
    for kind in ("shown", "clicked"):
        server.post("/v1/reports", {"message": token, "kind": kind, "id": kind})
    server.work()
    counts = server.read(message)["counts"]
    assert (counts["accepted"], counts["shown"], counts["clicked"]) == (1, 1, 1)


def test_texts_in_several_languages_go_by_the_persons(server: Server) -> None:
    texts = {"en": {"title": "Hello"}, "pt-BR": {"title": "Olá", "body": "-"}}
    server.field.store.connection.execute(
        "UPDATE subscriptions SET language = 'pt-BR' WHERE id = ?", (server.rows[2],)
    )
    people = [{"alias": "bob"}, {"alias": "ann"}, {"alias": "eve"}]
    server.ask(to={"people": people}, message={"texts": texts}, topic="hello", urgency="high")
    server.send()
    titles = sorted(server.get_shown()["title"] for _ in range(3))
    assert titles == ["Hello", "Hello", "Olá"]
    topics = {one.topic for one in server.service.receipts()}
    assert len(topics) == 1 and None not in topics


def test_messages_go_out_while_their_results_cant_be_written(server: Server) -> None:
    folder = server.field.config.status
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("not a folder")
    one = server.ask(to={"alias": "bob"}, **HELLO)
    server.send()
    assert server.get_shown()["title"] == "Hello"
    assert server.read(one)["state"] == "received"
    folder.unlink()
    drain(server.field.store, server.field.config, server.field.config.secret(), server.now)
    server.work()
    assert (server.read(one)["state"], server.read(one)["counts"]["accepted"]) == ("done", 1)

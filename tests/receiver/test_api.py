"""The server API over real sockets: who is let in, what is taken, what is on disk."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import api
from pushctl import apikeys, status
from pushctl.rules import limits
from pushctl.rules.web import request_ids
from tests.faults import fuzz_api
from tests.support import ROOT
from tests.support import receiving as r

EVENTS = "/v1/server/events"
PURCHASE = {"alias": "customer-7", "name": "purchase", "id": "order-1007"}
ONE = {"items": [PURCHASE]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def secrets(folder: Path) -> dict[str, str]:
    """The secrets of keys by label; a receiver knows those at once that were made before it."""
    soon = int(time.time() * 1000) + 600_000
    made: dict[str, str] = {}
    for label, scopes, expires in (
        ("all", tuple(apikeys.SCOPES), soon),
        ("few", ("events", "messages:person"), None),
        ("revoked later", ("events",), None),
        ("expired", ("events",), 2),
        ("other", ("events", "read"), None),
    ):
        made[label] = make_key(folder, *scopes, label=label, expires=expires)
    made["lost"] = apikeys.create(folder / "keys", "lost", ["events"], "no-site", 1)[1]
    return made


@pytest.fixture(scope="module")
def port(folder: Path, secrets: dict[str, str]) -> Iterator[int]:
    with r.running(folder) as port:
        yield port


@pytest.fixture(scope="module")
def strict_port(folder: Path, secrets: dict[str, str]) -> Iterator[int]:
    """A second receiver of the same folder, which allows little and trusts no proxy here."""
    rates = {"requests_per_minute": 6, "events_per_second": 3}
    with r.running(folder, api=rates, trusted_proxies=["10.0.0.0/8"]) as port:
        yield port


@pytest.fixture
def secret(secrets: dict[str, str]) -> str:
    """The secret of a key that may do everything."""
    return secrets["all"]


def make_key(
    folder: Path, *scopes: str, label: str = "a server", expires: int | None = None
) -> str:
    """Make a key and return its secret."""
    return apikeys.create(folder / "keys", label, scopes, "shop", 1, expires)[1]


def find_id(folder: Path, label: str) -> str:
    return apikeys.find(apikeys.load(folder / "keys"), label).id


def wait_for(done: Any, seconds: float = 2.5) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


def problem(answer: r.Answered) -> tuple[int, str]:
    """Return status and type of a refusal, which is a problem of RFC 9457."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status
    assert body["title"]
    assert body["detail"]
    return answer.status, body["type"].removeprefix("urn:pushctl:problem:")


def test_what_is_answered_is_on_disk(port: int, folder: Path, secret: str) -> None:
    answer = r.call(port, EVENTS, ONE, secret=secret)
    assert answer.status == 202
    request = answer.json()["id"]
    assert answer.json() == {"id": request, "state": "received"}
    assert answer.headers["location"] == f"/v1/requests/{request}"
    record = r.records(folder)[-1]
    key = find_id(folder, "all")
    assert (record.path, record.site, record.signature) == (EVENTS, "shop", None)
    assert json.loads(record.body) == {"request": request, "key": key, **ONE}
    assert abs(record.at - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("tags", {"subscriber": "A" * 22, "add": ["VIP", {"name": "New", "seconds": 60}]}),
        ("attributes", {"cart": "A" * 22, "attributes": {"first_name": "Ann"}}),
        ("aliases", {"subscriber": "A" * 22, "alias": "customer-7"}),
        ("unsubscribe", {"alias": "customer-7"}),
        ("erase", {"email_hash": "0f" * 32}),
    ],
)
def test_each_route_takes_its_items(
    port: int, folder: Path, secret: str, path: str, item: dict[str, Any]
) -> None:
    assert r.call(port, f"/v1/server/{path}", {"items": [item]}, secret=secret).status == 202
    record = r.records(folder)[-1]
    assert (record.path, json.loads(record.body)["items"]) == (f"/v1/server/{path}", [item])


def test_a_message_carries_the_scopes_of_its_key(port: int, folder: Path, secret: str) -> None:
    message = {"to": {"alias": "customer-7"}, "template": "order-shipped"}
    answer = r.call(port, "/v1/messages", message, secret=secret)
    assert answer.status == 202
    assert answer.headers["location"].startswith("/v1/messages/")
    body = json.loads(r.records(folder)[-1].body)
    assert body["message"] == message
    assert body["scopes"] == sorted(apikeys.SCOPES)


def test_a_message_is_taken_back_by_its_id(port: int, folder: Path, secret: str) -> None:
    message = {"to": {"tag": "News"}, "message": {"title": "Hello"}}
    taken = r.call(port, "/v1/messages", message, secret=secret).json()["id"]
    answer = r.call(port, f"/v1/messages/{taken}", secret=secret, method="DELETE")
    assert answer.status == 202
    record = r.records(folder)[-1]
    assert record.path == "/v1/messages/cancel"
    assert json.loads(record.body)["message"] == taken


def test_a_thousand_items_come_at_once(port: int, folder: Path, secret: str) -> None:
    items = [{**PURCHASE, "id": f"e{number}"} for number in range(limits.MAX_API_ITEMS)]
    assert r.call(port, EVENTS, {"items": items}, secret=secret).status == 202
    assert json.loads(r.records(folder)[-1].body)["items"] == items
    more = r.call(port, EVENTS, {"items": [*items, PURCHASE]}, secret=secret)
    assert problem(more) == (422, "form")


def test_a_body_may_have_a_mebibyte(port: int, folder: Path, secret: str) -> None:
    # Quotes take two bytes each in the inbox's line: no body has a longer one.
    event = {**PURCHASE, "properties": {f"p{n}": '"' * 500 for n in range(60)}}
    body = json.dumps({"items": [event] * 17}).encode()
    body += b" " * (limits.MAX_API_BODY_BYTES - len(body))
    assert r.call(port, EVENTS, body, secret=secret).status == 202
    assert len(json.loads(r.records(folder)[-1].body)["items"]) == 17
    assert problem(r.call(port, EVENTS, body + b" ", secret=secret)) == (413, "size")


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([PURCHASE, {"alias": "c-7"}], "/items/1"),
        ([PURCHASE, {**PURCHASE, "subscriber": "A" * 22}], "/items/1"),
        ([{**PURCHASE, "at": 1_700_000_000}], "/items/0/at"),  # seconds
        ([{**PURCHASE, "at": "2026-04-28T10:00:00"}], "/items/0/at"),  # of which zone?
        ([{**PURCHASE, "propertis": {}}], "/items/0"),
        ([{**PURCHASE, "name": "a\nb"}], "/items/0/name"),
        ([], "/items"),
        ({}, "/items"),
    ],
)
def test_one_wrong_item_refuses_all_and_is_named(
    port: int, folder: Path, secret: str, items: Any, pointer: str
) -> None:
    before = len(r.records(folder))
    answer = r.call(port, EVENTS, {"items": items}, secret=secret)
    assert problem(answer) == (422, "form")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    if pointer.count("/") > 1:
        assert error["index"] == int(pointer.split("/")[2])
    assert len(r.records(folder)) == before


def test_a_misspelt_field_is_answered_with_the_right_one(port: int, secret: str) -> None:
    items = [{**PURCHASE, "propertis": {}}]
    (error,) = r.call(port, EVENTS, {"items": items}, secret=secret).json()["errors"]
    assert error["detail"].endswith("only (did you mean properties?).")


def test_an_unknown_route_is_a_problem_too(port: int, secret: str) -> None:
    assert problem(r.call(port, "/v1/server/orders", ONE, secret=secret)) == (404, "nothing")


def test_every_wrong_item_is_named_up_to_a_bound(port: int, secret: str) -> None:
    answer = r.call(port, EVENTS, {"items": [{"alias": "c-7"}] * 500}, secret=secret)
    indexes = [error["index"] for error in answer.json()["errors"]]
    assert indexes == list(range(limits.MAX_API_FAULTS))


# --- who is let in -------------------------------------------------------------------------


def test_without_a_key_nothing_is_taken(port: int) -> None:
    answer = r.request(port, "POST", EVENTS, b"{}", {})
    assert problem(answer) == (401, "no-key")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    answer = r.call(port, EVENTS, ONE, secret="pushctl_" + "A" * 43)
    assert problem(answer) == (401, "wrong-key")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_key_does_what_its_scopes_say(port: int, secrets: dict[str, str]) -> None:
    secret = secrets["few"]
    assert r.call(port, EVENTS, ONE, secret=secret).status == 202
    answer = r.call(port, "/v1/server/erase", {"items": [{"alias": "c-7"}]}, secret=secret)
    assert problem(answer) == (403, "scope")
    assert 'scope="erase"' in answer.headers["www-authenticate"]
    person, many = ({"to": to, "template": "t"} for to in ({"alias": "c-7"}, {"tag": "News"}))
    assert r.call(port, "/v1/messages", person, secret=secret).status == 202
    assert problem(r.call(port, "/v1/messages", many, secret=secret)) == (403, "scope")


def test_a_revoked_key_is_refused_within_two_seconds(
    port: int, folder: Path, secrets: dict[str, str]
) -> None:
    secret = secrets["revoked later"]
    assert r.call(port, EVENTS, ONE, secret=secret).status == 202
    apikeys.revoke(folder / "keys", "revoked later", 2)
    wait_for(lambda: r.call(port, EVENTS, ONE, secret=secret).status == 401, 2.0)
    assert problem(r.call(port, EVENTS, ONE, secret=secret)) == (401, "revoked")


def test_an_expired_key_is_refused(port: int, secrets: dict[str, str]) -> None:
    answer = r.call(port, EVENTS, ONE, secret=secrets["expired"])
    assert problem(answer) == (401, "expired")


def test_a_key_of_a_site_that_is_no_more_is_refused(port: int, secrets: dict[str, str]) -> None:
    answer = r.call(port, EVENTS, ONE, secret=secrets["lost"])
    assert problem(answer) == (401, "no-site")


def test_a_key_that_is_made_later_is_let_in_soon(port: int, folder: Path) -> None:
    secret = make_key(folder, "events", label="later")
    wait_for(lambda: r.call(port, EVENTS, ONE, secret=secret).status == 202)


def test_a_key_in_the_address_is_refused_and_named(
    port: int, folder: Path, secret: str
) -> None:
    name = find_id(folder, "all")
    for query in (f"api_key={secret}", f"x={secret}", "token=abc", "KEY="):
        answer = r.call(port, f"{EVENTS}?{query}", ONE, secret=secret)
        assert problem(answer) == (400, "key-in-address")
        assert secret.encode() not in answer.body
        assert (name.encode() in answer.body) == (secret in query)
    assert r.call(port, f"{EVENTS}?trace=1", ONE, secret=secret).status == 202


def test_an_address_with_thousands_of_fields_is_like_any_other(port: int, secret: str) -> None:
    many = "a&" * 2_000
    assert r.call(port, f"{EVENTS}?{many}", ONE, secret=secret).status == 202
    assert problem(r.call(port, f"{EVENTS}?{many}key=1", ONE, secret=secret))[0] == 400


def test_a_length_of_thousands_of_digits_is_read(port: int, secret: str) -> None:
    body = json.dumps(ONE).encode()
    for digits, code in ((f"{'0' * 5_000}{len(body)}", 202), ("0" * 5_000 + "9" * 19, 413)):
        answer = r.call(port, EVENTS, body, secret=secret, Content_Length=digits)
        assert answer.status == code


def test_pages_get_no_cors(port: int, secret: str) -> None:
    answer = r.request(port, "OPTIONS", EVENTS, None, {"Origin": r.ORIGIN})
    assert problem(answer) == (405, "method")
    answer = r.call(port, EVENTS, ONE, secret=secret, Origin=r.ORIGIN)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_proxy_has_to_say_that_it_took_tls(port: int, secret: str) -> None:
    for heads, expected in (
        ({"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "https"}, 202),
        ({"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "http"}, 403),
        ({"X_Forwarded_For": "203.0.113.7"}, 403),
        ({"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "https, http"}, 403),
    ):
        answer = r.call(port, EVENTS, ONE, secret=secret, **heads)
        assert answer.status == expected, heads
        if expected == 403:
            assert problem(answer) == (403, "no-tls")


def test_another_machine_needs_tls(strict_port: int, secret: str) -> None:
    assert r.call(strict_port, EVENTS, ONE, secret=secret).status == 202
    # This machine is no proxy here: what it forwards came from elsewhere.
    forwarded = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "https"}
    answer = r.call(strict_port, EVENTS, ONE, secret=secret, **forwarded)
    assert problem(answer) == (403, "no-tls")


def test_rates_are_those_of_the_key(strict_port: int, secrets: dict[str, str]) -> None:
    secret, items = secrets["few"], {"items": [PURCHASE] * 20}
    assert r.call(strict_port, EVENTS, items, secret=secret).status == 202
    answer = r.call(strict_port, EVENTS, items, secret=secret)
    assert problem(answer) == (429, "items-rate")
    assert int(answer.headers["retry-after"]) > 0
    answers = [r.call(strict_port, EVENTS, ONE, secret=secret) for _ in range(5)]
    assert problem(answers[-1]) == (429, "requests-rate")
    assert r.call(strict_port, EVENTS, ONE, secret=secrets["other"]).status == 202


def test_too_many_wrong_keys_of_an_address_are_refused(port: int, secret: str) -> None:
    wrong = "pushctl_" + "A" * 43
    heads = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https"}
    answers = [
        r.call(port, EVENTS, ONE, secret=wrong, **heads).status
        for _ in range(limits.MAX_WRONG_API_KEYS + 1)
    ]
    assert answers == [401] * limits.MAX_WRONG_API_KEYS + [429]
    # Nobody behind the same address locks the shop out.
    assert r.call(port, EVENTS, ONE, secret=secret, **heads).status == 202
    elsewhere = {**heads, "X_Forwarded_For": "203.0.113.8"}
    assert r.call(port, EVENTS, ONE, secret=wrong, **elsewhere).status == 401


# --- once only -----------------------------------------------------------------------------


def test_a_request_with_an_idempotency_key_is_written_once(
    port: int, folder: Path, secret: str
) -> None:
    first = r.call(port, EVENTS, ONE, secret=secret, Idempotency_Key="a-1")
    before = len(r.records(folder))
    again = r.call(port, EVENTS, ONE, secret=secret, Idempotency_Key="a-1")
    assert (first.status, again.status) == (202, 202)
    assert first.json() == again.json()
    assert len(r.records(folder)) == before
    other = r.call(
        port, EVENTS, {"items": [PURCHASE] * 2}, secret=secret, Idempotency_Key="a-1"
    )
    assert problem(other) == (422, "idempotency")
    new = r.call(port, EVENTS, ONE, secret=secret, Idempotency_Key="a-2")
    assert new.json()["id"] != first.json()["id"]
    odd = r.call(port, EVENTS, ONE, secret=secret, Idempotency_Key="x" * 256)
    assert problem(odd) == (400, "idempotency-form")


def test_receivers_agree_on_the_id_of_an_idempotency_key(
    port: int, strict_port: int, folder: Path, secret: str
) -> None:
    before = len(r.records(folder))
    ids = {
        r.call(one, EVENTS, ONE, secret=secret, Idempotency_Key="a-3").json()["id"]
        for one in (port, strict_port)
    }
    assert len(ids) == 1
    assert len(r.records(folder)) == before + 2  # the import applies one of them


# --- results -------------------------------------------------------------------------------


def test_a_request_is_received_until_an_import_tells_more(
    port: int, folder: Path, secret: str
) -> None:
    request = r.call(port, EVENTS, ONE, secret=secret).json()["id"]
    answer = r.call(port, f"/v1/requests/{request}", secret=secret)
    assert (answer.status, answer.json()) == (200, {"id": request, "state": "received"})
    done = {"id": request, "key": "x", "state": "applied", "items": 1, "applied": 1}
    status.publish_request(folder / "status", request, done)
    answer = r.call(port, f"/v1/requests/{request}", secret=secret)
    assert answer.json() == {"id": request, "state": "applied", "items": 1, "applied": 1}


def test_a_key_reads_only_what_it_sent(port: int, secrets: dict[str, str]) -> None:
    secret, other = secrets["all"], secrets["other"]
    request = r.call(port, EVENTS, ONE, secret=secret).json()["id"]
    for path in (request, "A" * 22, "..", "../status/proved", "%2e%2e", ""):
        answer = r.call(port, f"/v1/requests/{path}", secret=other)
        assert answer.status == 404, path
    deeper = r.call(port, f"/v1/requests/x/{request}", secret=secret)
    assert deeper.status == 404


def test_an_old_id_is_known_no_longer(port: int, folder: Path, secret: str) -> None:
    key = apikeys.find(apikeys.load(folder / "keys"), "all")
    own = bytes.fromhex(key.sha256)
    old = request_ids.make(own, 1_700_000_000_000, b"1234567")
    assert problem(r.call(port, f"/v1/requests/{old}", secret=secret)) == (404, "unknown")
    young = request_ids.make(own, int(time.time() * 1000), b"1234567")
    assert r.call(port, f"/v1/requests/{young}", secret=secret).status == 200


def test_who_has_no_key_can_not_fill_the_memory(port: int) -> None:
    """A large body is not read before its key is known."""
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        head = f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        one.sendall(head.encode())
        assert one.recv(4096).startswith(b"HTTP/1.1 401")


def test_counts_are_one_line_and_secrets_stand_nowhere(tmp_path: Path) -> None:
    port, secret = r.free_port(), make_key(tmp_path, "events")
    process = r.start(tmp_path, port)
    try:
        request = r.call(port, EVENTS, ONE, secret=secret).json()["id"]
        r.call(port, EVENTS, ONE, secret="pushctl_" + "B" * 43)
        r.call(port, f"{EVENTS}?key={secret}", ONE, secret=secret)
        for _ in range(3):
            r.call(port, f"/v1/requests/{request}", secret=secret)
    finally:
        logged = r.stop(process)
    _, record = r.records(tmp_path)
    (key,) = apikeys.load(tmp_path / "keys")
    assert record.path == "/v1/server/calls"
    assert json.loads(record.body)["calls"] == [
        ["", EVENTS, "wrong key", 1],
        [key, EVENTS, "key in address", 1],
        [key, "/v1/requests/{id}", "scope", 3],
    ]
    for needle in (secret, "B" * 43):
        assert needle not in logged
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or needle.encode() not in path.read_bytes(), path


def test_many_batches_at_once_are_all_on_disk(port: int, folder: Path, secret: str) -> None:
    """A small form of ``benchmarks/api.py``."""
    bodies = [api.make_body(number, 40, 100, seed=1) for number in range(30)]
    times, _ = api.send_all(port, secret, bodies, connections=6)
    written = [record.body for record in r.records(folder) if record.path == EVENTS]
    ids = [one["id"] for body in written[-30:] for one in json.loads(body)["items"]]
    assert len(times) == 30
    assert len(set(ids)) == 30 * 40


def test_a_receiver_keeps_to_its_document(port: int, secret: str) -> None:
    """A short form of ``tests.faults.fuzz_api``; the document is the receiver's own."""
    answers = fuzz_api.fuzz(port, secret, examples=4, start=9, paths="/v1/server/t")
    assert answers["POST /v1/server/tags 202"] >= 4
    assert answers["POST /v1/server/tags 422"]


@pytest.mark.parametrize(
    ("language", "command"),
    [("sh", ["sh", "-c"]), ("python", [sys.executable, "-c"]), ("php", ["php", "-r"])],
)
def test_the_examples_of_the_guide_run(
    port: int, folder: Path, secret: str, language: str, command: list[str]
) -> None:
    if shutil.which(command[0]) is None or (language == "sh" and shutil.which("curl") is None):
        pytest.skip(f"{command[0]} or curl is not installed")
    page = (ROOT / "docs/api.md").read_text("utf-8")
    found = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    code = next(one for one in found if "PUSHCTL_KEY" in one)
    # Each has the same Idempotency-Key.
    code = code.replace("order-1007", f"order-{language}")
    settings = {"PUSHCTL_URL": f"http://127.0.0.1:{port}", "PUSHCTL_KEY": secret}
    done = subprocess.run(
        [*command, code], capture_output=True, text=True, env={**os.environ, **settings}
    )
    assert done.returncode == 0, done.stderr
    body = json.loads(r.records(folder)[-1].body)
    assert body["request"] in done.stdout
    assert body["items"][0]["properties"] == {"order": "1007", "total": 49.9, "currency": "EUR"}


def test_a_damaged_file_of_keys_opens_no_door(port: int, folder: Path, secret: str) -> None:
    file = folder / "keys" / apikeys.NAME
    sound = file.read_text()
    file.write_text(f"{sound}\n[[[")
    wait_for(lambda: r.call(port, EVENTS, ONE, secret=secret).status == 503)
    file.write_text(sound)
    wait_for(lambda: r.call(port, EVENTS, ONE, secret=secret).status == 202)

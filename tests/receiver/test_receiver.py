"""The receiver over real sockets: what it takes, what it refuses, what is on disk."""

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import auth, endpoint
from tests.support import receiving as r


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with r.running(folder) as port:
        yield port


def tags(number: int = 1) -> dict[str, Any]:
    return {"endpoint": endpoint(number), "add": ["Abandoned basket 1"], "remove": []}


def report(**more: Any) -> dict[str, Any]:
    return {"message": "7." + "A" * 22, "kind": "shown", "at": 5, "id": "one", **more}


def test_what_is_answered_is_on_disk(port: int, folder: Path) -> None:
    body = r.subscription(
        1, language="ar", timezone="Asia/Riyadh", page="https://shop.example/"
    )
    answer = r.post(
        port,
        "/v1/subscribe",
        body,
        number=1,
        User_Agent="Mozilla/5.0 Chrome/142",
        Accept_Language="ar,en;q=0.5",
        Sec_CH_UA_Platform='"Linux"',
    )
    assert (answer.status, answer.body) == (204, b"")
    record = r.records(folder)[-1]
    assert record.path == "/v1/subscribe"
    assert record.site == "shop"
    assert json.loads(record.body) == body
    assert record.signature is not None
    assert record.user_agent == "Mozilla/5.0 Chrome/142"
    assert record.hints == {"accept-language": "ar,en;q=0.5", "sec-ch-ua-platform": '"Linux"'}
    assert abs(record.at - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/unsubscribe", {"endpoint": endpoint(1)}),
        ("/v1/tags", tags()),
        ("/v1/identify", {"endpoint": endpoint(1), "alias": "c-7", "signature": "x" * 43}),
        ("/v1/events", r.events(1, items=[{"id": "lamp", "price": 49.5}], name="سلّة")),
    ],
)
def test_every_signed_route_keeps_the_body_as_it_was_signed(
    port: int, folder: Path, path: str, body: dict[str, Any]
) -> None:
    raw = json.dumps(body, ensure_ascii=False, indent=1).encode()
    assert r.post(port, path, raw, number=1).status == 204
    assert (r.records(folder)[-1].path, r.records(folder)[-1].body) == (path, raw.decode())


def test_a_click_leaves_no_user_agent_behind(port: int, folder: Path) -> None:
    assert r.post(port, "/v1/reports", report(), User_Agent="Mozilla/5.0").status == 204
    assert r.records(folder)[-1].user_agent is None
    assert r.records(folder)[-1].hints == {}


def test_a_report_may_come_by_beacon(port: int) -> None:
    assert r.post(port, "/v1/reports", report(), Content_Type="text/plain").status == 204
    refused = r.post(
        port, "/v1/tags", tags(), number=1, Content_Type="text/plain;charset=UTF-8"
    )
    assert refused.status == 415


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Origin": "https://evil.example"}),
        (403, {"Origin": "https://shop.example.evil.example"}),
        (403, {"Origin": "http://shop.example"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": ""}),
        (415, {"Content-Type": "application/x-www-form-urlencoded"}),
        (415, {"Content-Type": ""}),
        (415, {"Content-Encoding": "gzip"}),
        (401, {"X-Pushctl-Signature": ""}),
        (401, {"X-Pushctl-Signature": "1"}),
        (401, {"X-Pushctl-Signature": f"1777363200.{'A' * 43}"}),
    ],
)
def test_heads_that_are_refused(
    port: int, folder: Path, status: int, headers: dict[str, str]
) -> None:
    before = len(r.records(folder))
    answer = r.post(port, "/v1/tags", tags(), number=1, **headers)
    assert answer.status == status
    assert set(answer.json()) >= {"error", "remedy"}
    assert len(r.records(folder)) == before


# Seconds from now: read when the test runs, which may be minutes after it was collected.
@pytest.mark.parametrize(
    ("off", "mac", "status"),
    [(0, "short", 401), (-301, "A" * 43, 401), (330, "A" * 43, 401), (-270, "A" * 43, 204)],
)
def test_a_signature_is_of_its_form_and_of_these_five_minutes(
    port: int, off: int, mac: str, status: int
) -> None:
    stamped = f"{int(time.time()) + off}.{mac}"
    assert r.post(port, "/v1/tags", tags(), X_Pushctl_Signature=stamped).status == status


def test_a_clock_that_is_off_is_told_the_time(port: int) -> None:
    old = f"{int(time.time()) - 4000}.{'A' * 43}"
    answer = r.post(port, "/v1/tags", tags(), X_Pushctl_Signature=old)
    assert abs(answer.json()["now"] - time.time()) < 5


KEYS = r.subscription(1)["subscription"]["keys"]
POINT_OFF_CURVE = (
    "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def changed(**more: Any) -> dict[str, Any]:
    return {**r.subscription(1), **more}


def with_endpoint(value: Any) -> dict[str, Any]:
    return changed(subscription={"endpoint": value, "keys": KEYS})


def with_keys(**keys: Any) -> dict[str, Any]:
    return changed(subscription={"endpoint": endpoint(1), "keys": {**KEYS, **keys}})


BAD_SUBSCRIPTIONS: dict[str, Any] = {
    "no JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "NaN": b'{"subscription": NaN}',
    "a lone surrogate": json.dumps(changed(page="\ud800")).encode(),
    "bad UTF-8": b'{"page": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(r.subscription(1)).encode(),
    "2,000 levels": b"[" * 2000,
    "an unknown field": changed(admin=True),
    "no key": {"subscription": r.subscription(1)["subscription"]},
    "a short key": changed(key="AAAA"),
    "no endpoint": changed(subscription={"keys": KEYS}),
    "no keys": changed(subscription={"endpoint": endpoint(1)}),
    "a point off the curve": with_keys(p256dh=POINT_OFF_CURVE),
    "a short auth": with_keys(auth="AAAA"),
    "an auth of another kind": with_keys(auth=5),
    "another host": with_endpoint("https://evil.example/push"),
    "an address": with_endpoint("https://127.0.0.1/push"),
    "plain http": with_endpoint(endpoint(1).replace("https", "http")),
    "a user": with_endpoint("https://a@fcm.googleapis.com/fcm/send/x"),
    "a backslash": with_endpoint("https://evil.example\\@fcm.googleapis.com/x"),
    "an ideographic stop": with_endpoint("https://fcm\u3002googleapis.com/x"),
    "a long endpoint": with_endpoint(endpoint(1) + "x" * 2048),
    "a list for an endpoint": with_endpoint([endpoint(1)]),
    "NUL": changed(page="a\0b"),
    "a long page": changed(page="x" * 1025),
    "a language of another kind": changed(language=["en"]),
    "a long language": changed(language="x" * 256),
    "a zone with NUL": changed(timezone="a\0b"),
    "a source of another kind": changed(source=5),
    "a tag with a line end": changed(tags=["a\nb"]),
    "a tag that turns the line round": changed(tags=["a\u202eb"]),
    "an empty tag": changed(tags=[""]),
    "a tag of spaces": changed(tags=["  "]),
    "a tag that is long once it is written in full": changed(tags=["\U0001d15e" * 200]),
    "a long name of an attribute": changed(attributes={"x" * 256: 1}),
    "a long tag": changed(tags=["x" * 256]),
    "33 tags": changed(tags=[str(number) for number in range(33)]),
    "deep attributes": changed(attributes={"a": {"b": {"c": {"d": {}}}}}),
    "65 attributes": changed(attributes={str(number): 1 for number in range(65)}),
    "a huge number": changed(attributes={"a": 2**53}),
    "a huge fraction": changed(attributes={"a": 1e300}),
    "a long text": changed(attributes={"a": "x" * 1025}),
    "attributes as a list": changed(attributes=[1]),
    "an event without a name": changed(events=[{"id": "1", "at": 5}]),
    "an event before 1970": changed(events=[{"id": "1", "at": -5, "name": "x"}]),
    "an event at True": changed(events=[{"id": "1", "at": True, "name": "x"}]),
}


@pytest.mark.parametrize("body", BAD_SUBSCRIPTIONS.values(), ids=BAD_SUBSCRIPTIONS)
def test_bodies_that_are_refused(port: int, folder: Path, body: Any) -> None:
    before = len(r.records(folder))
    answer = r.post(port, "/v1/subscribe", body)
    assert answer.status == 400
    assert set(answer.json()) == {"error", "remedy"}
    assert len(r.records(folder)) == before


# What pages and systems call themselves; the import keeps what it knows (test_ingest.py).
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("language", each) for each in ("tr_TR", "en-US@posix", "", "<b>", "{{ lang }}")),
        *(("timezone", each) for each in ("UTC+03:00", "GMT+3 (Türkiye)", "")),
        ("source", ""),
    ],
)
def test_an_odd_language_zone_or_source_costs_nobody(
    port: int, folder: Path, field: str, value: str
) -> None:
    assert r.post(port, "/v1/subscribe", changed(**{field: value})).status == 204
    assert json.loads(r.records(folder)[-1].body)[field] == value


@pytest.mark.parametrize(
    "body",
    [
        report(kind="sold"),
        report(message="7"),
        report(message="7." + "A" * 23),
        report(message="x." + "A" * 22),
        report(id=""),
        report(action="\x1b[31m"),
        report(action=" "),
        {"kind": "shown", "id": "1"},
    ],
)
def test_reports_that_are_refused(port: int, body: dict[str, Any]) -> None:
    assert r.post(port, "/v1/reports", body).status == 400


def test_tags_keep_every_script_and_its_joiners(port: int, folder: Path) -> None:
    names = ["سلّة متروكة ١", "می‌خواهم", "Sepet bırakıldı", "カート", "Prix 5\u202f€"]
    body = {"endpoint": endpoint(1), "add": names, "remove": []}
    assert r.post(port, "/v1/tags", body, number=1).status == 204
    assert json.loads(r.records(folder)[-1].body)["add"] == names


def test_an_answer_never_repeats_what_was_sent(port: int) -> None:
    canary = "canary7f3a"
    for body in (
        f"<script>{canary}".encode(),
        changed(**{canary: 1}),
        with_endpoint(f"https://{canary}.example/"),
        with_keys(auth=canary),
        changed(attributes={canary: "\0"}),
    ):
        assert canary.encode() not in r.post(port, "/v1/subscribe", body).body
    assert canary.encode() not in r.get(port, f"/{canary}").body
    assert canary.encode() not in r.get(port, f"/pushctl.js?site={canary}").body


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/subscribe", 4096), ("/v1/events", 8192), ("/v1/reports", 1024)]
)
def test_long_bodies_are_refused_by_their_head_and_when_streamed(
    port: int, path: str, limit: int
) -> None:
    assert r.post(port, path, b" " * (limit + 1), number=1).status == 413
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: {r.ORIGIN}\r\n"
            f"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            f"X-Pushctl-Signature: {int(time.time())}.{'A' * 43}\r\n\r\n"
        )
        raw.sendall(head.encode())
        chunk = b"%x\r\n%s\r\n" % (1000, b" " * 1000)
        for _ in range(limit // 1000 + 1):
            raw.sendall(chunk)
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_of_just_the_limit_is_taken(port: int) -> None:
    body = json.dumps(r.subscription(1)).encode()
    assert r.post(port, "/v1/subscribe", body + b" " * (4096 - len(body))).status == 204


def test_pages_of_the_site_may_ask_and_others_may_not(port: int) -> None:
    for origin in (r.ORIGIN, "https://www.shop.example"):
        answer = r.request(port, "OPTIONS", "/v1/tags", None, {"Origin": origin})
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "x-pushctl-signature" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Access-Control-Max-Age"] == "86400"
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    other = r.request(port, "OPTIONS", "/v1/tags", None, {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    assert other.headers["Vary"] == "Origin"


def test_a_page_can_read_why_it_was_refused(port: int) -> None:
    answer = r.post(port, "/v1/tags", b"{", number=1)
    assert answer.status == 400
    assert answer.headers["Access-Control-Allow-Origin"] == r.ORIGIN


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(port: int, method: str) -> None:
    answer = r.request(port, method, "/v1/tags", None, {"Origin": r.ORIGIN})
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST, OPTIONS"


def test_scripts_come_with_this_projects_settings(port: int) -> None:
    for name in ("pushctl.js", "pushctl-sw.js"):
        text = r.get(port, f"/{name}").body.decode()
        settings = json.loads(text.split("/*pushctl*/")[1].split("/*end*/")[0])
        assert settings["url"] == f"http://127.0.0.1:{port}"
        # Each gets what it must know: the worker learns the key from the page.
        assert settings.get("key") == (r.KEY if name == "pushctl.js" else None)
        assert settings.get("site") == ("shop" if name == "pushctl.js" else None)


def test_scripts_are_compressed_cached_and_asked_for_again(port: int) -> None:
    plain = r.get(port, "/pushctl.js")
    packed = r.get(port, "/pushctl.js", **{"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert plain.headers["Access-Control-Allow-Origin"] == "*"
    assert "max-age" in plain.headers["Cache-Control"]
    assert r.get(port, "/pushctl-sw.js").headers["Cache-Control"] == "no-cache"
    again = r.get(port, "/pushctl.js", **{"If-None-Match": plain.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert "Content-Length" not in again.headers


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("path", ["/pushctl.js", "/healthz"])
def test_heads_alone_tell_the_length_of_what_they_leave_out(
    port: int, path: str, coding: str
) -> None:
    whole = r.get(port, path, **{"Accept-Encoding": coding})
    head = r.request(port, "HEAD", path, None, {"Accept-Encoding": coding})
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.body))


def test_a_connection_goes_on_after_answers_without_a_body(port: int) -> None:
    tag = r.get(port, "/pushctl.js").headers["ETag"]
    one = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for method, path, heads, status in (
        ("HEAD", "/pushctl.js", {}, 200),
        ("GET", "/pushctl.js", {"If-None-Match": tag}, 304),
        ("GET", "/healthz", {}, 200),
    ):
        one.request(method, path, headers=heads)
        answer = one.getresponse()
        answer.read()
        assert answer.status == status
        assert one.sock is not None  # still open
    one.close()


def test_unknown_sites_and_addresses_are_not_found(port: int) -> None:
    assert r.get(port, "/pushctl.js?site=nobody").status == 404
    assert r.get(port, "/pushctl.js?site=shop").status == 200
    assert r.get(port, "/v1/nothing").status == 404
    assert r.get(port, "/../pushctl.toml").status == 404


def test_health(port: int) -> None:
    assert r.get(port, "/healthz").json() == {"ok": True}


def test_stopping_finishes_what_was_begun_and_logs_only_numbers(tmp_path: Path) -> None:
    port = r.free_port()
    process = r.start(tmp_path, port)
    for _ in range(3):
        assert r.post(port, "/v1/events", r.events(1), number=1).status == 204
    assert r.post(port, "/v1/tags", b"secretcanary", number=1).status == 400
    log = r.stop(process)
    assert process.returncode == 0
    assert len(r.records(tmp_path)) == 3
    assert "/v1/events=3" in log
    assert "refused:/v1/tags:json=1" in log
    for secret in (endpoint(1), r.KEY, auth(1).hex(), "secretcanary", "127.0.0.1"):
        assert secret not in log


def test_a_second_receiver_on_the_same_port_is_refused(port: int, tmp_path: Path) -> None:
    second = r.launch(tmp_path, port)
    _, errors = second.communicate(timeout=20)
    assert second.returncode != 0
    text = errors.decode()
    assert f"can't listen on 127.0.0.1:{port}" in text
    assert "Stop what listens there, perhaps another receiver" in text
    assert "choose another address with --listen" in text


def test_a_second_receiver_on_the_same_metrics_port_gets_the_right_remedy(
    tmp_path: Path,
) -> None:
    metrics = f"127.0.0.1:{r.free_port()}"
    with r.running(tmp_path, metrics=metrics):
        second = r.launch(tmp_path, r.free_port(), metrics=metrics)
        _, errors = second.communicate(timeout=20)
    assert second.returncode != 0
    text = errors.decode()
    assert f"can't listen on {metrics}" in text
    assert "choose another address for receiver.metrics in pushctl.toml" in text
    assert "--listen" not in text


def test_an_address_that_is_not_this_machines_is_said(tmp_path: Path) -> None:
    second = r.launch(tmp_path, r.free_port(), metrics="192.0.2.1:9750")
    _, errors = second.communicate(timeout=20)
    assert "This machine has no such address." in errors.decode()


def speak(port: int, *parts: bytes) -> list[bytes]:
    """Send *parts*; return what was answered after each, the last time until the end."""
    said = []
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        for place, part in enumerate(parts, 1):
            raw.sendall(part)
            if place < len(parts):
                said.append(raw.recv(65_536))
        raw.shutdown(socket.SHUT_WR)
        rest = b""
        while more := raw.recv(65_536):
            rest += more
    return [*said, rest]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://push.shop.example/healthz", 200),
        ("HTTPS://push.shop.example:8443/healthz?x=1", 200),
        ("http://[2001:db8::1]:80/healthz", 200),
        ("http://push.shop.example", 404),
        ("http://push.shop.example?x", 404),
        ("http://a@b/healthz", 404),
        ("/http://push.shop.example/healthz", 404),
    ],
)
def test_a_target_may_have_its_absolute_form(port: int, target: str, status: int) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: other.example\r\n\r\n"
    (said,) = speak(port, head.encode())
    assert said.split()[1] == str(status).encode()


def write_head(body: bytes, **more: str) -> bytes:
    heads = {
        "Host": "a",
        "Origin": r.ORIGIN,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Expect": "100-continue",
        **more,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in heads.items())
    return f"POST /v1/reports HTTP/1.1\r\n{lines}\r\n".encode()


def test_a_client_that_waits_with_its_body_is_asked_for_it(port: int) -> None:
    body = json.dumps(report()).encode()
    first, rest = speak(port, write_head(body), body)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.startswith(b"HTTP/1.1 204 ")


def test_nobody_is_asked_for_a_body_that_is_refused_or_there(port: int) -> None:
    body = json.dumps(report()).encode()
    for head in (
        write_head(body, Origin="https://evil.example"),
        write_head(body, **{"Content-Length": "900000"}),
        write_head(body, **{"Content-Type": "image/png"}),
    ):
        (said,) = speak(port, head)
        assert said.startswith(b"HTTP/1.1 4"), "before the body, which never comes"
    (said,) = speak(port, write_head(body) + body)
    assert said.startswith(b"HTTP/1.1 204 ")
    (said,) = speak(port, write_head(body, Expect="200-ok") + body)
    assert said.startswith(b"HTTP/1.1 204 ")
    # HTTP/1.0 has no such answer (RFC 9110, section 10.1.1).
    old = write_head(body).replace(b"HTTP/1.1", b"HTTP/1.0")
    (said,) = speak(port, old + body)
    assert b"100 Continue" not in said


@pytest.mark.parametrize("hosts", [0, 2])
def test_a_request_has_one_host(port: int, hosts: int) -> None:
    (said,) = speak(port, b"GET /healthz HTTP/1.1\r\n" + b"Host: a\r\n" * hosts + b"\r\n")
    assert said.startswith(b"HTTP/1.1 400 ")


def test_every_answer_has_a_date(port: int) -> None:
    for path in ("/healthz", "/nothing", "/pushctl.js"):
        when = parsedate_to_datetime(r.get(port, path).headers["Date"])
        assert abs(when.timestamp() - time.time()) < 60

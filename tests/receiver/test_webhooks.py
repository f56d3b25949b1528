"""Webhooks over real sockets: who is believed, what is kept, what is answered."""

import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import source_secrets
from pushctl.model import Millis
from pushctl.rules.limits import MAX_HOOK_BYTES, MAX_HOOKS_BYTES
from pushctl.rules.shops.order import State
from tests.support import hooks as h
from tests.support import receiving as r
from tests.support import shopify as s

SOURCES = {
    "woo": {"kind": "woocommerce", "site": "shop", "alias": "customer_id"},
    "bare": {"kind": "woocommerce", "site": "shop"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    h.give_secret(made, "woo")
    (made / "keys/email_secret").write_text("the project's secret\n")
    return made


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with r.running(folder, sources=SOURCES, metrics=METRICS) as port:
        yield port


METRICS = f"127.0.0.1:{r.free_port()}"


def order(number: int) -> bytes:
    """Return an order's body, with a number that no other test has."""
    return h.dump({**h.WOO_ORDER, "id": number, "number": str(number)})


def find(folder: Path, number: int) -> list[State]:
    """Return the states of the order *number* that stand in the inbox."""
    told = [one for each in h.read_told(folder) for one in each.orders]
    return [one.state for one in told if one.number == str(number)]


def send(port: int, raw: bytes, heads: dict[str, str] | None = None) -> r.Answered:
    return h.send(port, "woo", raw, h.woo_heads(raw) if heads is None else heads)


def test_a_genuine_delivery_is_on_disk_before_its_answer(port: int, folder: Path) -> None:
    begun = time.monotonic()
    answer = send(port, order(1))
    assert time.monotonic() - begun < 1
    assert (answer.status, answer.body) == (200, b"")
    assert find(folder, 1) == [State.PAID]
    record = h.shop_records(folder)[-1]
    assert (record.path, record.site, record.signature) == ("/v1/shop", "shop", None)
    assert h.read_told(folder)[-1].source == "woo"  # its name in pushctl.toml


def test_no_answer_is_for_pages(port: int) -> None:
    raw = order(2)
    answer = send(port, raw, {**h.woo_heads(raw), "Origin": r.ORIGIN})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert r.request(port, "OPTIONS", "/hooks/woo", None, {"Origin": r.ORIGIN}).status == 405


@pytest.mark.parametrize(
    "name",
    ["missing", "empty", "of another secret", "of another body", "hex", "no base64", "é"],
)
def test_who_has_not_the_secret_is_refused_alike(port: int, folder: Path, name: str) -> None:
    raw = order(3)
    heads = h.woo_heads(raw)
    del heads["X-WC-Webhook-Signature"]
    given = {
        "missing": None,
        "empty": "",
        "of another secret": h.sign(raw, "another secret"),
        "of another body": h.sign(raw + b" "),
        "hex": "ab" * 32,
        "no base64": h.sign(raw)[:-1] + "!",
        "é": "é" * 22,
    }[name]
    if given is not None:
        heads["X-WC-Webhook-Signature"] = given
    answer = send(port, raw, heads)
    assert answer.status == 401
    assert answer.json() == {
        "error": "The signature is missing or wrong.",
        "remedy": "Use the secret that both sides have.",
    }
    assert find(folder, 3) == []


def test_a_source_without_a_secret_takes_nothing(port: int, folder: Path) -> None:
    raw = order(4)
    answer = h.send(port, "bare", raw, h.woo_heads(raw, secret=""))
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "60"
    assert find(folder, 4) == []


def test_what_is_no_source_is_nothing(port: int) -> None:
    raw = order(5)
    for path in ("/hooks/other", "/hooks/", "/hooks", "/hooks/woo/", "/hooks/../hooks/woo"):
        assert r.request(port, "POST", path, raw, h.woo_heads(raw)).status in (404, 413)


def test_a_get_is_refused_where_the_kind_needs_none(port: int) -> None:
    answer = r.get(port, "/hooks/woo")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_the_inbox_s_own_path_is_no_route(port: int) -> None:
    assert r.request(port, "POST", "/v1/shop", b"{}", {"Origin": r.ORIGIN}).status == 404


def test_bodies_may_have_a_mebibyte_here_and_nowhere_else(port: int, folder: Path) -> None:
    raw = order(6)
    raw = raw[:-1] + b" " * (MAX_HOOK_BYTES - len(raw)) + b"}"
    assert len(raw) == MAX_HOOK_BYTES
    assert send(port, raw).status == 200
    assert find(folder, 6) == [State.PAID]
    assert send(port, raw + b" ").status == 413
    for path in ("/v1/events", "/hooks/other", "/healthz"):
        heads = {"Origin": r.ORIGIN, "Content-Type": "application/json"}
        assert r.request(port, "POST", path, raw, heads).status in (404, 413)


def test_bodies_that_were_refused_give_their_room_back(port: int, folder: Path) -> None:
    """Strangers may send large bodies, too; all that are under way have 64 MiB together."""
    large = b" " * MAX_HOOK_BYTES
    heads = h.woo_heads(b"")
    count = MAX_HOOKS_BYTES // MAX_HOOK_BYTES + 2
    assert {send(port, large, heads).status for _ in range(count)} == {401}
    raw = order(15)
    assert send(port, raw).status == 200


def test_a_stranger_who_sends_slowly_keeps_nobody_out(port: int, folder: Path) -> None:
    """One address gets a quarter of what all may have: here more of it than that is sent."""
    raw, held = order(16), []
    count = MAX_HOOKS_BYTES // MAX_HOOK_BYTES // 4 + 1
    lines = f"X-Forwarded-For: 203.0.113.9\r\nContent-Length: {MAX_HOOK_BYTES}\r\n"
    head = f"POST /hooks/woo HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()
    try:
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", port), 10))
            held[-1].sendall(head + b" " * (MAX_HOOK_BYTES - 1))
        ready, _, _ = select.select(held, [], [], 10.0)
        assert [one.recv(100).split()[1] for one in ready] == [b"503"]
        assert send(port, raw).status == 200
        elsewhere = {**h.woo_heads(raw), "X-Forwarded-For": "203.0.113.10"}
        assert send(port, raw, elsewhere).status == 200
    finally:
        for one in held:
            one.close()


def test_a_body_in_chunks_is_bounded_and_taken(port: int, folder: Path) -> None:
    raw = order(7)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    pieces = (raw[start : start + 500] for start in range(0, len(raw), 500))
    connection.request("POST", "/hooks/woo", pieces, h.woo_heads(raw), encode_chunked=True)
    assert connection.getresponse().status == 200
    assert find(folder, 7) == [State.PAID]


def test_who_asks_first_is_asked_for_the_body(port: int, folder: Path) -> None:
    """WordPress sends ``expect: 100-continue`` with its deliveries."""
    raw = order(8)
    heads = {**h.woo_heads(raw), "Expect": "100-continue", "Content-Length": str(len(raw))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in heads.items())
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(f"POST /hooks/woo HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        assert one.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(raw)
        assert one.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert find(folder, 8) == [State.PAID]


def test_compressed_bodies_are_refused(port: int) -> None:
    raw = order(9)
    assert send(port, raw, {**h.woo_heads(raw), "Content-Encoding": "gzip"}).status == 415


def test_a_test_of_the_address_has_no_effect(port: int, folder: Path) -> None:
    """WooCommerce sends it unsigned when a webhook is saved."""
    before = len(r.records(folder))
    heads = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(port, b"webhook_id=3", heads).status == 200
    assert h.send(port, "bare", b"webhook_id=3", heads).status == 200  # before its secret
    assert send(port, b"webhook_id=3&x=1", heads).status == 401
    assert len(r.records(folder)) == before


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"null", b'{"id":NaN}', b"[" * 9000, b"{}"])
def test_what_is_signed_and_can_t_be_read_disturbs_nobody(
    port: int, folder: Path, raw: bytes
) -> None:
    before = len(r.records(folder))
    # Five other answers in a row end a webhook of WooCommerce.
    assert send(port, raw).status == 200
    assert len(r.records(folder)) == before


def test_no_buyer_is_in_any_file(port: int, folder: Path) -> None:
    assert send(port, order(10)).status == 200
    told = h.read_told(folder)[-1].orders[0]
    assert (told.clues.alias, told.clues.cart_key) == ("26", h.KEY)
    assert len(told.clues.email_hash or "") == 64
    for file in folder.rglob("*"):
        text = file.read_bytes().decode("utf-8", "replace").lower() if file.is_file() else ""
        assert not [canary for canary in h.CANARIES if canary in text], file


def test_what_happened_is_counted_by_source_and_reason(port: int) -> None:
    raw = order(11)
    send(port, raw)
    send(port, raw, h.woo_heads(raw, secret="another"))
    send(port, b"{}")
    send(port, b"webhook_id=3", {})
    text = r.request(int(METRICS.partition(":")[2]), "GET", "/metrics", None, {}).body.decode()
    counts = {name for name, _, value in map(_part, text.splitlines()) if value != "0.0"}
    assert counts >= {
        'pushctl_requests_taken_total{route="/hooks/woo"}',
        'pushctl_requests_ignored_total{route="/hooks/woo"}',
        'pushctl_requests_refused_total{reason="signature",route="/hooks/woo"}',
        'pushctl_requests_refused_total{reason="unread",route="/hooks/woo"}',
    }


def _part(line: str) -> tuple[str, str, str]:
    return line.rpartition(" ")


def test_a_new_secret_is_known_within_two_seconds(folder: Path, port: int) -> None:
    now: Millis = time.time_ns() // 1_000_000
    source_secrets.set_secret(folder / "keys", "woo", "the second one", 60_000, now)
    raw = order(12)
    heads = h.woo_heads(raw, secret="the second one")
    deadline = time.monotonic() + 2
    while (status := send(port, raw, heads).status) != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 200
    assert send(port, raw).status == 200  # the former one, for a minute
    source_secrets.set_secret(folder / "keys", "woo", h.SECRET, 0, now)


def test_a_shop_has_a_rate_of_its_own(tmp_path: Path) -> None:
    h.give_secret(tmp_path, "woo")
    # So low that a slow machine earns no third request meanwhile.
    settings = {"rate_per_address": 0.1, "rate_per_source": 0.2, "trusted_proxies": []}
    raw = order(13)
    with r.running(tmp_path, sources=SOURCES, **settings) as port:
        got = [send(port, raw).status for _ in range(3)]
        assert got == [200] * 2 + [429]  # ten seconds' worth at once
        assert h.send(port, "bare", b"webhook_id=3", {}).status == 200  # another source


def test_the_log_has_reasons_and_no_secret(tmp_path: Path) -> None:
    for name in ("woo", "shopify"):
        h.give_secret(tmp_path, name)
    port = r.free_port()
    shopify = {"kind": "shopify", "site": "shop", "shop": s.SHOP}
    process = r.start(tmp_path, port, sources={**SOURCES, "shopify": shopify}, log="json")
    raw = order(14)
    send(port, raw)
    send(port, raw, h.woo_heads(raw, secret="a wrong secret"))
    send(port, b'{"email": "canary@mail.example"}')
    asked = h.dump(s.DATA_REQUEST)
    h.send(port, "shopify", asked, s.heads(asked, "customers/data_request"))
    other = s.heads(asked, shop="other.myshopify.com")
    assert h.send(port, "shopify", asked, other).status == 401
    text = r.stop(process)
    counts = json.loads(text.strip().split("\n")[-1])["counts"]
    assert counts["/hooks/woo"] == 1
    assert counts["refused:/hooks/woo:signature"] == 1
    assert counts["refused:/hooks/woo:unread"] == 1
    assert counts["refused:/hooks/shopify:other shop"] == 1
    assert "a delivery can't be read: it has no id" in text
    assert "source shopify: a customer asks for their data, Shopify's request 9999" in text
    for secret in (h.SECRET, "a wrong secret", h.sign(raw), *h.CANARIES):
        assert secret not in text

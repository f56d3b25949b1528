"""
The parsers that strangers can reach, each as a function of any bytes.

A target raises when the parser does what it must not: any error but its own, an answer
that breaks its promise, or more than a second of work.
"""

import asyncio
import atexit
import json
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from pushctl.errors import InputError
from pushctl.inbox import BadLine, lines
from pushctl.jobs.ingest import profile
from pushctl.jobs.ingest.drain import open_context
from pushctl.jobs.ingest.requests import apply
from pushctl.jobs.ingest.verify import Context
from pushctl.model import InboxRecord
from pushctl.receiver import shapes
from pushctl.receiver.addresses import Proxies, make_rate_key
from pushctl.receiver.answers import Refusal
from pushctl.receiver.server.connection import Connection, Limits
from pushctl.receiver.server.listener import Listener
from pushctl.receiver.visitor import Visitor
from pushctl.rules import limits, timing, tokens
from pushctl.rules.audience import expression, parse
from pushctl.rules.delivery import answers, endpoints
from pushctl.rules.messages import languages
from pushctl.rules.units import DAY
from pushctl.rules.web import agents, fields, keys, reserved_tags
from tests.faults.fuzz_receiver import BODIES
from tests.support import NOON, auth, database
from tests.support import receiving as r
from tests.support.posting import SECRET, Browser, make_project

HOSTS = ("fcm.googleapis.com", "updates.push.services.mozilla.com", ".notify.windows.com")

Target = Callable[[bytes], None]


def endpoint(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        origin = endpoints.origin(text, HOSTS)
    except InputError as error:
        assert text not in str(error) or len(text) < 12, "an error repeats the endpoint"
        return
    parts = urlsplit(text)
    assert parts.scheme == "https" and parts.username is None and not parts.fragment
    assert parts.hostname is not None and f"https://{parts.hostname}" == origin
    assert parts.port in (None, 443)
    assert parts.hostname in HOSTS or parts.hostname.endswith(".notify.windows.com")
    endpoints.short(text)


def key(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        point = keys.p256dh(text)
    except InputError:
        pass
    else:  # the library agrees that it is a point
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    try:
        secret = keys.auth(text)
    except InputError:
        return
    assert len(secret) == 16


SHAPES = shapes.make_table(HOSTS)
PATHS = sorted(SHAPES)


def body(data: bytes) -> None:
    """Any body at its route; what is taken is read by the import. The first byte: the route."""
    path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
    try:
        shapes.check(SHAPES[path], data[1:])
    except Refusal as refusal:
        assert refusal.status == 400
        return
    text = data[1:].decode()
    signature = tokens.sign_request(auth(1), path, NOON // 1000, data[1:])
    _import(InboxRecord("a", NOON, path, "shop", text, signature, "UA", {}))


# What only the database or the keys folder can tell to be wrong.
_KNOWN_LATER = re.compile(
    r"subscribed with the key |p256dh |more than 200 tags|.*at most 16 KiB"
)
_contexts: list[Context] = []


class _Undo(Exception):
    """Nothing of what was tried stays."""


def _import(record: InboxRecord) -> None:
    if not _contexts:
        folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        project = make_project(folder, database.create(folder / "pushctl.db"))
        project.drain(Browser(1, project.key).subscribe())
        opened = open_context(project.store, project.config, SECRET)
        # The seeds' key is one of ours, or no subscription would come any further.
        _contexts.append(
            replace(opened, keys=(*opened.keys, keys.key_id(tokens.decode(r.KEY))))
        )
    with suppress(_Undo), _contexts[0].store.write():
        try:
            apply(_contexts[0], record)
        except InputError as error:
            assert _KNOWN_LATER.match(str(error)), f"taken, but not read: {error}"
        raise _Undo


def line(data: bytes) -> None:
    found = lines.decode(data)
    if isinstance(found, BadLine):
        # A good checksum is beyond chance: with one, the JSON itself is tried.
        found = lines.decode(b"%08x %d %s\n" % (zlib.crc32(data), len(data), data))
    if isinstance(found, InboxRecord):
        assert lines.decode(lines.encode(found)) == found


def segment(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        tree = parse.parse(text)
    except InputError:
        return
    again = expression.text(tree)
    assert expression.text(parse.parse(again)) == again
    expression.explain(tree)


def answer(data: bytes) -> None:
    """What a push service answers: status, Retry-After and body."""
    head, _, rest = data.partition(b"\n")
    wait = answers.retry_after(head.decode("latin-1"), NOON)
    assert 1_000 <= wait <= DAY
    status = 100 + int.from_bytes(rest[:2], "big") % 500
    heads = {"retry-after": head.decode("latin-1"), "content-type": "application/json"}
    for host in HOSTS:
        answers.classify(host, status, heads, rest[2:], NOON)


def token(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert tokens.read_message_token(b"a secret nobody knows", text) is None
    assert not tokens.is_signed(b"secret", "/v1/tags", b"{}", text, NOON)
    try:
        raw = tokens.decode(text)
    except ValueError:
        return
    assert tokens.decode(tokens.encode(raw)) == raw


PROXIES = Proxies(["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"])


def forwarded(data: bytes) -> None:
    heads = [(b"x-forwarded-for", part) for part in data.split(b"\n")]
    found = PROXIES.find_client("127.0.0.1", heads)
    make_rate_key(found)
    assert found == "127.0.0.1" or len(found) <= 60


def agent(data: bytes) -> None:
    text = data.decode("latin-1")
    first, _, rest = text.partition("\n")
    hints = {"sec-ch-ua": rest[:256], "sec-ch-ua-platform": first[:256]}
    agents.recognise(first, hints)
    assert agents.device(first, hints) in ("phone", "tablet", "desktop", None)
    heads = {b"user-agent": data, b"accept-language": data, b"sec-ch-ua": data}
    about = Visitor().describe("/v1/subscribe", heads, "1.2.3.4")
    assert all(" " <= char <= "~" for value in about["hints"].values() for char in value)


def page(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for name, value in profile._read_page(text):
        assert name and 0 < len(value) <= limits.MAX_LABEL_CHARACTERS
        assert value.isprintable() or value.translate(fields._WRITTEN).isprintable()


def word(data: bytes) -> None:
    """Names, languages, zones, times: each is kept whole, or refused in its own words."""
    text = data.decode("utf-8", "replace")
    for check in (
        fields.label, fields.tag, fields.fold, fields.language, fields.country,
        fields.timezone, reserved_tags.is_reserved, timing.duration, timing.moment,
        timing.clock, timing.window,
    ):  # fmt: skip
        try:
            check(text)
        except InputError:
            continue
    assert languages.direction(text) in ("ltr", "rtl")
    assert len({*languages.list_own(text), "en"}) < 20


class _Wire(asyncio.Transport):
    """The other end of a connection: keeps what is said, and whether it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.said += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class _Http:
    """A door with everything behind it but a disk, and a loop that is made once."""

    def __init__(self) -> None:
        from pushctl.receiver import app

        self.loop = asyncio.new_event_loop()
        receiver = app.build(r.config(Path("/nonexistent"), 8000, rate_per_address=0), r.KEY)
        receiver.committer.put = lambda record, told: told(None) or 0  # type: ignore[method-assign]
        self.mistake: BaseException | None = None
        self.listener = Listener(receiver, Limits(), serve_now=receiver.serve_now)
        self.listener.count_crash = self._crashed  # type: ignore[method-assign]

    def _crashed(self) -> None:
        self.mistake = sys.exc_info()[1]

    async def talk(self, data: bytes) -> bytes:
        wire = _Wire()
        connection = Connection(self.listener, ("127.0.0.1", 9))
        connection.connection_made(wire)
        parts = data.split(b"\x00\x00") if b"\x00\x00" in data else [data]
        for part in parts:
            if not wire.closed:
                connection.data_received(part)
            await asyncio.sleep(0)
        for _ in range(4):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait([task])
        return wire.said


_http: list[_Http] = []


def http(data: bytes) -> None:
    """A whole connection, cut into pieces at each pair of zero bytes."""
    if not _http:
        _http.append(_Http())
    door = _http[0]
    said = door.loop.run_until_complete(door.talk(data))
    if door.mistake is not None:
        raise door.mistake
    assert b"HTTP/1.1 5" not in said


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (
        endpoint, key, body, line, segment, answer, token, forwarded, agent, page, word, http,
    )
}  # fmt: skip

_SUBSCRIPTION = r.subscription(1)["subscription"]
_POST = b"POST /v1/reports HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nContent-Type: text/plain\r\n"
_REPORT = json.dumps(BODIES["/v1/reports"]).encode()

SEEDS: dict[str, list[bytes]] = {
    "endpoint": [
        _SUBSCRIPTION["endpoint"].encode(),
        b"https://fcm.googleapis.com:443/fcm/send/x",
        b"https://a@fcm.googleapis.com\\@evil.example/#x",
    ],
    "key": [each.encode() for each in _SUBSCRIPTION["keys"].values()],
    "body": [
        bytes([PATHS.index(path)]) + json.dumps(fields_).encode()
        for path, fields_ in BODIES.items()
    ],
    "line": [
        lines.encode(InboxRecord("a", NOON, "/v1/tags", "shop", "{}", "1.x", "UA", {"a": "b"})),
        b'{"id":"a","at":1,"path":"/","site":"s","body":"{}","hints":{"a":"b"}}',
    ],
    "segment": [
        b"tag('VIP') and not (country in ('TR', 'DE') or subscribed within 30d)",
        b"event('purchase', total > 50) >= 2 within 7d and attribute('plan') is known",
    ],
    "answer": [b'120\n\x01\x94{"errno": 106}', b"Wed, 21 Oct 2026 07:28:00 GMT\n\x00\x00x"],
    "token": [b"7." + b"A" * 22, b"1777363200." + b"A" * 43],
    "forwarded": [b"6.6.6.6, 1.2.3.4", b"::ffff:1.2.3.4\nfe80::1%eth0", b"10.0.0.1,fd00::1"],
    "agent": [
        b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        b'Chrome/142.0.0.0 Mobile Safari/537.36\n"Brave";v="142", "Not_A Brand";v="99"',
        b"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X)\n",
    ],
    "page": [b"https://shop.example/lamps?utm_source=news&utm_campaign=Spring%20sale#x"],
    "word": [
        b"pt-BR",
        b"Europe/Istanbul",
        b"21:00-08:00",
        b"1h30m",
        b"2026-04-28T10:00Z",
        b"VIP",
    ],
    "http": [
        _POST % r.ORIGIN.encode() + b"Content-Length: %d\r\n\r\n" % len(_REPORT) + _REPORT,
        _POST % r.ORIGIN.encode()
        + b"Transfer-Encoding: chunked\r\n\r\n\x00\x00%x\r\n" % len(_REPORT)
        + _REPORT
        + b"\r\n0\r\n\r\n",
        b"GET /pushctl.js?site=shop HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n" * 2,
        b"OPTIONS /v1/tags HTTP/1.1\r\nHost: a\r\nOrigin: null\r\n\r\n",
    ],
}

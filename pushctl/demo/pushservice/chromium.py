"""
Chromium's side of Google's push service: check-in, registration and MCS.

Chromium has switches that lead these three here (browsers.chromium). The protocol is
private to Chromium but has been the same since 2014 (google_apis/gcm).
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from pushctl.demo.pushservice import protobuf
from pushctl.demo.pushservice.addresses import key_hash
from pushctl.demo.pushservice.broker import Broker
from pushctl.demo.pushservice.exchange import Address, Answer, Message, Request
from pushctl.demo.pushservice.protobuf import Fixed64
from pushctl.rules.tokens import decode

_VERSION = 41
# Tags of MCS messages (google_apis/gcm/base/mcs_util.h).
_PING, _PING_ACK, _LOGIN, _LOGGED_IN, _CLOSE, _DATA = 0, 1, 2, 3, 4, 8
_BETWEEN = " "  # within a channel: app and subtype; neither holds a space


def check_in(request: Request) -> Answer:
    """Return the browser's Android id and security token; new ones when it has none."""
    asked = protobuf.decode(request.body)
    device, token = asked.get(2, 0), asked.get(13, 0)
    if not (isinstance(device, int) and isinstance(token, int) and device and token):
        device, token = (secrets.randbits(62) + 1 for _ in range(2))
    answer = protobuf.encode(
        [
            (1, 1),
            (3, int(time.time() * 1000)),
            (7, Fixed64(device)),
            (8, Fixed64(token)),
            (9, 0),
        ]
    )
    return Answer(200, (("content-type", "application/x-protobuffer"),), answer)


def register(request: Request, broker: Broker, token: Callable[[Address], str]) -> Answer:
    """Register an application's key, or end its registration; both are sent as a form."""
    form = dict(parse_qsl(request.body.decode("latin-1")))
    subtype = form.get("X-subtype", "")
    channel = f"{form.get('app', '')}{_BETWEEN}{subtype}"
    device = form.get("device", "")
    if form.get("delete") == "true":
        broker.end_channel(device, channel)
        return _text(f"deleted={form.get('app', '')}")
    # Chromium registers a service of its own too, without a key: it wants an answer.
    sender = form.get("sender", "")
    try:
        hashed = key_hash(decode(sender)) if subtype else ""
    except ValueError:
        return _text("Error=INVALID_SENDER")
    address = Address("fcm", device, channel, hashed)
    return _text(f"token={token(address)}")


def _text(body: str) -> Answer:
    return Answer(200, (("content-type", "text/plain"),), body.encode())


class Mcs:
    """The long-lived TLS connections that bring messages to Chromium."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._writers: set[asyncio.StreamWriter] = set()

    def close_all(self) -> None:
        for writer in self._writers:
            writer.close()

    async def serve_browser(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one browser until it disconnects."""
        device = ""
        self._writers.add(writer)

        def deliver(message: Message) -> bool:
            _send(writer, _DATA, _make_stanza(message))
            # Not awaited: an acknowledgement means "received", not "decrypted".
            self._broker.done(message.address.device, message.id)
            return True

        try:
            await reader.readexactly(1)  # the version
            writer.write(bytes([_VERSION]))
            while True:
                tag, body = await _receive(reader)
                if tag == _LOGIN:
                    device = _text_field(protobuf.decode(body), 3)
                    _send(writer, _LOGGED_IN, _make_login_answer(body))
                    self._broker.connect(device, deliver)
                elif tag == _PING:
                    _send(writer, _PING_ACK, b"")
                elif tag == _CLOSE:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return
        finally:
            self._broker.disconnect(device, deliver)
            self._writers.discard(writer)
            writer.close()


def _make_stanza(message: Message) -> bytes:
    app, _, subtype = message.address.channel.partition(_BETWEEN)
    fields: list[tuple[int, int | str | bytes]] = [
        (3, message.sender),
        (5, app),
        (7, protobuf.encode([(1, "subtype"), (2, subtype)])),
    ]
    if message.body:
        encoding = protobuf.encode([(1, "content-encoding"), (2, message.encoding)])
        fields.append((7, encoding))
    fields += [(9, message.id), (17, message.ttl), (18, int(time.time() * 1000))]
    if message.body:
        fields.append((21, message.body))
    return protobuf.encode([*fields, (24, 1)])


def _make_login_answer(login: bytes) -> bytes:
    asked = _text_field(protobuf.decode(login), 1)
    return protobuf.encode([(1, asked), (8, int(time.time() * 1000))])


def _text_field(fields: dict[int, int | bytes], number: int) -> str:
    value = fields.get(number, b"")
    return value.decode() if isinstance(value, bytes) else str(value)


def _send(writer: asyncio.StreamWriter, tag: int, body: bytes) -> None:
    if not writer.is_closing():
        writer.write(bytes([tag]) + protobuf.varint(len(body)) + body)


async def _receive(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    tag = (await reader.readexactly(1))[0]
    size = b""
    while not size or size[-1] & 0x80:
        size += await reader.readexactly(1)
    length, _ = protobuf.read_varint(size, 0)
    return tag, await reader.readexactly(length)

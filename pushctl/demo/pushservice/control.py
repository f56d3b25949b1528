"""
The plain loopback port: Chromium's check-in and registration, and control of the service.

Control is for tests and the demo in another process; JSON in and out::

    POST /control/subscribe {"service": "fcm", "key": base64url}   -> {"endpoint"}
    POST /control/expire    {"endpoint"}                           -> {}
    POST /control/script    {"script": [...], "seed": 0}           -> {}
    GET  /control/receipts?after=N                                 -> {"receipts": [...]}
    GET  /control/deliveries?after=N                               -> {"deliveries": [...]}
    GET  /control/acknowledged                                     -> {"acknowledged": [...]}
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from pushctl.demo.pushservice import chromium
from pushctl.demo.pushservice.broker import Broker
from pushctl.demo.pushservice.exchange import Address, Answer, Message, Request
from pushctl.demo.pushservice.faults import PASS, Fault
from pushctl.demo.pushservice.firefox import Acknowledgement
from pushctl.demo.pushservice.handler import Responder
from pushctl.demo.pushservice.sink import Receipt
from pushctl.rules.tokens import encode

Json = Mapping[str, Any]


class Handle(Protocol):
    """The methods of the service that the control port calls."""

    def subscribe(self, service: str, key: str) -> str: ...
    def expire(self, endpoint: str) -> None: ...
    def play(self, script: list[Json], seed: int = 0) -> None: ...
    def receipts(self, after: int = 0) -> list[Receipt]: ...
    def delivered(self, after: int = 0) -> list[Message]: ...
    def acknowledged(self) -> list[Acknowledgement]: ...


class Control:
    """The handler of the plain port; see handler.Handler."""

    def __init__(self, handle: Handle, broker: Broker, token: Callable[[Address], str]) -> None:
        self._handle = handle
        self._broker = broker
        self._token = token

    def opened(self, host: str, path: str, responder: Responder) -> tuple[Fault, float]:
        return PASS, 0.0

    def received(
        self, request: Request, fault: Fault, delay: float, responder: Responder
    ) -> None:
        try:
            answer = self._answer(request)
        except (ValueError, KeyError, TypeError) as error:
            answer = _json({"error": str(error)}, status=400)
        responder.answer(answer)

    def _answer(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path == "/checkin":
            return chromium.check_in(request)
        if path == "/register3":
            return chromium.register(request, self._broker, self._token)
        # A page in a browser can post here too, but not as JSON without asking first.
        if path.startswith("/control/") and (
            request.method == "GET" or request.headers.get("content-type") == "application/json"
        ):
            return self._control(path.removeprefix("/control/"), request)
        return Answer(404)

    def _control(self, verb: str, request: Request) -> Answer:
        handle = self._handle
        said = json.loads(request.body or b"{}")
        query = parse_qs(urlsplit(request.path).query)
        after = int(query.get("after", ["0"])[0])
        match request.method, verb:
            case "POST", "subscribe":
                return _json({"endpoint": handle.subscribe(said["service"], said["key"])})
            case "POST", "expire":
                handle.expire(said["endpoint"])
                return _json({})
            case "POST", "script":
                handle.play(said["script"], said.get("seed", 0))
                return _json({})
            case "GET", "receipts":
                return _json({"receipts": [asdict(r) for r in handle.receipts(after)]})
            case "GET", "deliveries":
                return _json({"deliveries": [_delivery(m) for m in handle.delivered(after)]})
            case "GET", "acknowledged":
                return _json({"acknowledged": [asdict(a) for a in handle.acknowledged()]})
        return Answer(404)


def _delivery(message: Message) -> Json:
    return {
        "id": message.id,
        "endpoint": message.endpoint,
        "body": encode(message.body),
        "ttl": message.ttl,
        "topic": message.topic,
        "urgency": message.urgency,
        "encoding": message.encoding,
    }


def _json(value: Json, status: int = 200) -> Answer:
    return Answer(status, (("content-type", "application/json"),), json.dumps(value).encode())

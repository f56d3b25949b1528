"""
The API's apps: what takes a request, what reads its result, what shows the document.

A request is checked whole before anything is written: one item of another form refuses all,
since the program that sent it has a fault. It is on disk when it is answered.
"""

import asyncio
import hashlib
import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from pushctl.apikeys import ApiKey
from pushctl.model import Json, Millis
from pushctl.receiver import read_bodies
from pushctl.receiver.answers import JSON_HEADERS, Headers, Refusal, send_answer, send_complete
from pushctl.receiver.api import problems
from pushctl.receiver.api.authentication import Call, Gate, refuse_scope
from pushctl.receiver.api.calls import Calls
from pushctl.receiver.api.forms import Form, FormError
from pushctl.receiver.api.memory import Memory
from pushctl.receiver.api.routes import MESSAGE, MESSAGES, REQUEST, Route, find_scope
from pushctl.receiver.commit import Committer
from pushctl.receiver.counters import Tally
from pushctl.receiver.read_bodies import Room
from pushctl.receiver.shapes import ShapeError
from pushctl.rules.limits import (
    MAX_API_BODY_BYTES,
    MAX_API_FAULTS,
    MAX_IDEMPOTENCY_KEY_CHARACTERS,
)
from pushctl.rules.units import DAY
from pushctl.rules.web import request_ids
from pushctl.status import REQUESTS_KEPT

Answer = tuple[int, Headers, bytes]

CANCEL = "/v1/messages/cancel"  # of the inbox's line; DELETE on a message's address
_DOCS = "See docs/api.md."
_IDEMPOTENCY_KEY = re.compile(rf"[\x20-\x7e]{{1,{MAX_IDEMPOTENCY_KEY_CHARACTERS}}}", re.ASCII)
# So many items are checked, then others have their turn: 1,000 take 20 ms.
_SLICE = 100


class Parts(NamedTuple):
    """What all apps of the API share."""

    gate: Gate
    calls: Calls
    committer: Committer
    tally: Tally
    memory: Memory
    room: Room
    find_status: Callable[[str, Millis | None], Mapping[str, Json] | None]


class ApiApp:
    """Answers with what ``_serve`` returns, or with its Refusal as a problem."""

    def __init__(self, parts: Parts, name: str) -> None:
        self._parts = parts
        self._name = name  # in counts
        # An id must be unique: a start of its own, and numbers behind it.
        self._start, self._numbers = secrets.token_bytes(4), itertools.count()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        call = Call(self._name)
        try:
            answer = await self._serve(call, scope, receive)
        except Refusal as refusal:
            key = call.key.id if call.key else ""
            self._parts.calls.count_refused(key, call.route, refusal.word)
            answer = self._refuse(refusal)
        await send_complete(send, *answer)

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        raise NotImplementedError

    def _refuse(self, refusal: Refusal) -> Answer:
        return problems.render(refusal)

    def _make_id(self, key: ApiKey, now: Millis) -> str:
        unique = self._start + (next(self._numbers) & 0xFF_FF_FF).to_bytes(3, "big")
        return request_ids.make(bytes.fromhex(key.sha256), now, unique)

    async def _write(self, key: ApiKey, path: str, body: str) -> None:
        """Return when a line is on disk; raises Refusal where it can't be written."""
        await self._parts.committer.write(path, key.site, body)
        self._parts.tally.count_taken(self._name)

    def _name_request(
        self, key: ApiKey, named: str | None, path: str, raw: bytes
    ) -> tuple[str, bool]:
        """Return the request's id, and whether it is on disk already."""
        if named is None:
            return self._make_id(key, time.time_ns() // 1_000_000), False
        request = request_ids.make_repeatable(bytes.fromhex(key.sha256), named)
        known = self._parts.memory.find(request)
        if known is not None and known != digest(path, raw):
            error = "Another request came with this Idempotency-Key."
            raise Refusal(422, "idempotency", error, "Use a new one for each request.")
        return request, known is not None

    async def _find_result(self, request: str, key: ApiKey) -> Mapping[str, Json] | None:
        """Return the result of a request of *key*, None where no import has told of it."""
        if not request_ids.is_ours(bytes.fromhex(key.sha256), request):
            error = "There is no such request of this key."
            remedy = "A key reads only what it sent itself."
            raise Refusal(404, "unknown", error, remedy)
        at = request_ids.read_time(request)
        # A busy shop's lists of a month have some hundred megabytes.
        found = await asyncio.to_thread(self._parts.find_status, request, at)
        oldest = time.time_ns() // 1_000_000 - REQUESTS_KEPT - DAY
        if found is None and at is not None and at < oldest:
            error = "The result of this request is kept no longer."
            raise Refusal(404, "unknown", error, "Results are kept for 30 days.")
        return found

    async def _take_back(self, key: ApiKey, message: str) -> str:
        """Ask the import to take a message back; return the id of that request."""
        request = self._make_id(key, time.time_ns() // 1_000_000)
        body = {"request": request, "key": key.id, "message": message}
        await self._write(key, CANCEL, orjson.dumps(body).decode())
        return request


class Taker(ApiApp):
    """One route that takes requests."""

    def __init__(self, parts: Parts, route: Route) -> None:
        super().__init__(parts, route.path)
        self._route = route

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        check_method(scope, "POST")
        key = self._parts.gate.admit(call, scope, self._route.scopes)
        heads = dict(scope["headers"])
        read_bodies.check_json(heads, MAX_API_BODY_BYTES)
        named = _read_idempotency_key(scope["headers"])
        raw = (await read_bodies.read(receive, MAX_API_BODY_BYTES, self._parts.room)).strip()
        body = await self._check(raw)
        if (scope_needed := find_scope(self._route, body)) not in key.scopes:
            raise refuse_scope([scope_needed])
        request, known = self._name_request(key, named, self._route.path, raw)
        if not known:
            self._parts.gate.count_items(key, len(body.get("items", "1")))
            await self._write(key, self._route.path, self._make_line(key, request, raw))
            if named is not None:
                self._parts.memory.add(request, digest(self._route.path, raw))
        return _answer_taken(request, MESSAGE if self._route.path == MESSAGES else REQUEST)

    async def _check(self, raw: bytes) -> Mapping[str, Json]:
        """Return the body; raises Refusal where its form is another one."""
        body = parse(raw)
        outer = self._route.frame if self._route.item else self._route.form
        try:
            outer.check(body)
        except ShapeError as error:
            fault = error if isinstance(error, FormError) else FormError(str(error))
            raise _refuse_form([fault]) from None
        found: Mapping[str, Json] = body
        if self._route.item is not None:
            faults: list[FormError] = []
            for start in range(0, len(found["items"]), _SLICE):
                if start:
                    await asyncio.sleep(0)
                faults += _find_faults(self._route.item, found["items"], start)
                if len(faults) >= MAX_API_FAULTS:
                    break
            if faults:
                raise _refuse_form(faults[:MAX_API_FAULTS])
        return found

    def _make_line(self, key: ApiKey, request: str, raw: bytes) -> str:
        if self._route.path != MESSAGES:
            # The sender's own bytes: nothing is rendered anew.
            return f'{{"request":"{request}","key":"{key.id}",{raw.decode()[1:]}'
        scopes = orjson.dumps(sorted(key.scopes)).decode()
        start = f'{{"request":"{request}","key":"{key.id}","scopes":{scopes},"message":'
        return f"{start}{raw.decode()}}}"


class Reader(ApiApp):
    """Tells what became of a request; for a message, DELETE takes it back."""

    def __init__(self, parts: Parts, prefix: str) -> None:
        super().__init__(parts, f"{prefix}{{id}}")
        self._prefix = prefix

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        if self._prefix == MESSAGE and scope["method"] == "DELETE":
            return await self._cancel(call, scope)
        others = ("DELETE",) if self._prefix == MESSAGE else ()
        check_method(scope, "GET", "HEAD", *others)
        key = self._parts.gate.admit(call, scope, ("read",))
        request = scope["path"].removeprefix(self._prefix)
        found = await self._find_result(request, key)
        answer = found or {"id": request, "state": "received"}
        self._parts.calls.count_read(key.id, self._name)
        return answer_json(200, {name: it for name, it in answer.items() if name != "key"})

    async def _cancel(self, call: Call, scope: Any) -> Answer:
        key = self._parts.gate.admit(call, scope, ("messages:person", "messages:audience"))
        message = scope["path"].removeprefix(self._prefix)
        await self._find_result(message, key)
        request = await self._take_back(key, message)
        return _answer_taken(request, REQUEST)


class Document:
    """The OpenAPI document, open to all."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            check_method(scope, "GET", "HEAD")
        except Refusal as refusal:
            await send_complete(send, *problems.render(refusal))
            return
        await send_answer(send, 200, JSON_HEADERS, self._text)


def check_method(scope: Any, *methods: str) -> None:
    if scope["method"] not in methods:
        error = f"This address takes {' and '.join(methods)} only."
        raise Refusal(405, "method", error, _DOCS, {"allow": ", ".join(methods)})


def _read_idempotency_key(headers: Headers) -> str | None:
    found = [value for name, value in headers if name == b"idempotency-key"]
    if not found:
        return None
    text = found[0].decode("latin-1")
    if len(found) > 1 or not _IDEMPOTENCY_KEY.fullmatch(text):
        error = "The Idempotency-Key is not of its form."
        remedy = f"Send one of 1 to {MAX_IDEMPOTENCY_KEY_CHARACTERS} ASCII characters."
        raise Refusal(400, "idempotency form", error, remedy)
    return text


def parse(raw: bytes) -> Json:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        remedy = "Send one JSON object in UTF-8."
        raise Refusal(400, "json", "The body is not JSON.", remedy) from None


def _find_faults(form: Form, items: Sequence[Json], start: int) -> Iterator[FormError]:
    """Yield the first fault of each of some items."""
    for number, one in enumerate(items[start : start + _SLICE], start):
        try:
            form.check(one)
        except ShapeError as error:
            path = error.path if isinstance(error, FormError) else ()
            yield FormError(str(error), ("items", number, *path))


def _refuse_form(faults: Sequence[FormError]) -> Refusal:
    """Return the refusal that names each place, and what is taken there."""
    errors: list[dict[str, Json]] = []
    for fault in faults:
        one: dict[str, Json] = {
            "pointer": "".join(f"/{part}" for part in fault.path),
            "detail": f"It takes {fault}.",
        }
        if fault.path[:1] == ("items",) and len(fault.path) > 1:
            one["index"] = fault.path[1]
        errors.append(one)
    error = "The body does not have the form of this address; nothing of it was taken."
    remedy = f"{errors[0]['pointer'] or 'The body'}: {errors[0]['detail']} {_DOCS}"
    return Refusal(422, "form", error, remedy, extra={"errors": errors})


def digest(path: str, raw: bytes) -> bytes:
    return hashlib.sha256(path.encode() + b"\n" + raw).digest()[:16]


def _answer_taken(request: str, prefix: str) -> Answer:
    where = [(b"location", f"{prefix}{request}".encode())]
    return answer_json(202, {"id": request, "state": "received"}, where)


def answer_json(status: int, value: Mapping[str, Json], more: Headers | None = None) -> Answer:
    body = orjson.dumps(value)
    length = (b"content-length", b"%d" % len(body))
    return status, [*JSON_HEADERS, *(more or []), length], body

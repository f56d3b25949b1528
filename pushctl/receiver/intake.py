"""One route's POSTs: the cheapest check first, then appended to the inbox and answered."""

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from pushctl.model import InboxRecord, Millis
from pushctl.receiver import shapes
from pushctl.receiver.answers import (
    Headers,
    Refusal,
    render_refusal,
    retry_later,
    send_complete,
)
from pushctl.receiver.commit import Committer
from pushctl.receiver.counters import Tally
from pushctl.receiver.rates import RateLimits
from pushctl.receiver.read_bodies import is_within, read, refuse_size
from pushctl.receiver.server.request import Reply
from pushctl.receiver.shapes import Shape
from pushctl.receiver.shares import Shares
from pushctl.receiver.visitor import Visitor, asks_for_privacy, remove_private
from pushctl.rules.tokens import SIGNATURE_SECONDS, encode
from pushctl.rules.units import SECOND

_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type, x-pushctl-signature"),
    # Seconds; Chromium takes two hours of them, Firefox the whole day.
    (b"access-control-max-age", b"86400"),
]
_SIGNATURE = re.compile(shapes.SIGNATURE, re.ASCII)


class Intake:
    """The ASGI app of one route of the API."""

    def __init__(
        self,
        path: str,
        shape: Shape,
        sites: Mapping[bytes, str],
        committer: Committer,
        tally: Tally,
        rates: RateLimits,
        visitor: Visitor,
        shares: Shares,
    ) -> None:
        self._path = path
        self._shape = shape
        self._sites = sites  # origin -> site
        self._committer = committer
        self._tally = tally
        self._rates = rates
        self._visitor = visitor
        self._shares = shares
        # An id must be unique and no more; a random one each time costs a system call.
        self._prefix, self._numbers = secrets.token_bytes(10), itertools.count()

    def serve_now(self, scope: Any, reply: Reply, late: bool) -> None:
        """Serve a complete request; call *reply* when it is refused, or on disk."""
        visit = Visit(scope, self._sites)
        try:
            if self._admit(visit, late, reply):
                self._take(visit, scope["pushctl.body"], reply)
        except Refusal as refusal:
            self._refuse(visit, refusal, reply)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request whose body may be incomplete."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def reply(*answer: Any) -> None:
            if not answered.done():
                answered.set_result(answer)

        visit = Visit(scope, self._sites)
        try:
            if self._admit(visit, False, reply):
                self._take(visit, await read(receive, self._shape.limit), reply)
        except Refusal as refusal:
            self._refuse(visit, refusal, reply)
        await send_complete(send, *await answered)

    def _admit(self, visit: "Visit", late: bool, reply: Reply) -> bool:
        """
        Check all but the body, raise Refusal; return whether the body is to be taken.

        Answers a preflight, which has none.
        """
        if visit.method == "OPTIONS":
            self._rates.check(visit.peer, visit.raw, None)
            reply(204, [*visit.cors, *(_PREFLIGHT if visit.site else [])], b"")
            return False
        cost = self._shape.cost
        visit.address = self._rates.check(visit.peer, visit.raw, visit.site, cost)
        if late:
            raise retry_later("late", "Too much is coming in at once.", 5)
        _check_heads(visit.method, visit.heads, self._shape)
        if visit.site is None:
            remedy = "Add it to pushctl.toml: sites.NAME.origin or sites.NAME.origins."
            error = "This page's origin is none of the configured sites."
            raise Refusal(403, "origin", error, remedy)
        visit.signature = _check_signature(visit.heads, self._shape, visit.at)
        return True

    def _take(self, visit: "Visit", body: bytes, reply: Reply) -> None:
        """Check *body* and queue it for the disk; call *reply* when it is written."""
        if len(body) > self._shape.limit:
            raise refuse_size(self._shape.limit)
        fields = shapes.check(self._shape, body)
        # What Global Privacy Control forbids to keep is never written.
        if asks_for_privacy(visit.heads):
            if self._path == "/v1/events":
                self._finish(visit, reply, None)
                return
            if self._path == "/v1/subscribe":
                body = remove_private(body, visit.signature)
        sender = self._shares.name_sender(visit.address, visit.at)
        bounded = not self._shares.is_proved(fields)
        if bounded:
            forwarded = self._rates.proxies.names_another(visit.address, visit.raw)
            self._shares.check(self._path, sender, visit.at, forwarded=forwarded)
        about = self._visitor.describe(self._path, visit.heads, visit.address)
        about["hints"] = about.get("hints", {}) | self._shares.describe(self._path, sender)
        record = InboxRecord(
            id=encode(self._prefix + next(self._numbers).to_bytes(6, "big")),
            at=self._committer.next_stamp(visit.at),
            path=self._path,
            site=visit.site or "",
            body=body.decode(),
            signature=visit.signature,
            **about,
        )
        size = self._committer.put(record, partial(self._finish, visit, reply))
        if bounded:
            self._shares.add(self._path, sender, size)

    def _finish(self, visit: "Visit", reply: Reply, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._refuse(visit, refusal, reply)
            return
        self._tally.count_taken(self._path)
        reply(204, visit.cors, b"")

    def _refuse(self, visit: "Visit", refusal: Refusal, reply: Reply) -> None:
        self._tally.count_refused(self._path, refusal.word)
        reply(*render_refusal(refusal, visit.cors))


class Visit:
    """One request's head: its site, and the CORS headers of its answer."""

    __slots__ = ("address", "at", "cors", "heads", "method", "peer", "raw", "signature", "site")

    def __init__(self, scope: Any, sites: Mapping[bytes, str]) -> None:
        self.at: Millis = time.time_ns() // 1_000_000
        self.method: str = scope["method"]
        self.peer: str = scope["client"][0]
        self.raw: Headers = scope["headers"]
        self.heads: dict[bytes, bytes] = dict(self.raw)
        self.address = ""
        self.signature: str | None = None
        origin = self.heads.get(b"origin", b"")
        self.site = sites.get(origin)
        self.cors: Headers = [(b"vary", b"Origin")]
        if self.site is not None:
            self.cors.append((b"access-control-allow-origin", origin))
            # Without it the page can't read how long to wait.
            self.cors.append((b"access-control-expose-headers", b"retry-after"))


def _check_heads(method: str, heads: Mapping[bytes, bytes], shape: Shape) -> None:
    """Raise Refusal for a method, content type, encoding or length that is not taken."""
    if method != "POST":
        error, allow = "This address takes POST only.", {"allow": "POST, OPTIONS"}
        raise Refusal(405, "method", error, "See docs/receiver.md.", allow)
    kind = heads.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json" and not (shape.plain and kind == b"text/plain"):
        raise Refusal(
            415, "type", "The body's type is not taken here.", "Send application/json."
        )
    if heads.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(
            415, "encoding", "Compressed bodies are not taken.", "Send it without encoding."
        )
    if not is_within(heads.get(b"content-length"), shape.limit):
        raise refuse_size(shape.limit)


def _check_signature(heads: Mapping[bytes, bytes], shape: Shape, now: Millis) -> str | None:
    """
    Return the signature, which only the import can verify.

    It would fail there for a page whose clock is wrong. So that is refused here with the
    right time, and the page signs again.
    """
    raw = heads.get(b"x-pushctl-signature")
    if raw is None and not shape.signed:
        return None
    text = (raw or b"").decode("latin-1")
    if not _SIGNATURE.fullmatch(text):
        remedy = "Sign with the subscription's auth secret; pushctl.js does it."
        error = "The signature is missing or not of its form."
        raise Refusal(401, "unsigned", error, remedy)
    if abs(int(text.partition(".")[0]) - now // SECOND) >= SIGNATURE_SECONDS:
        error = "The signature's time is more than five minutes from now."
        remedy, right = "Sign again with the time given here.", {"now": now // SECOND}
        raise Refusal(401, "clock", error, remedy, extra=right)
    return text

"""
Deliveries of sources: verified as raw bytes, reduced, on disk, then answered.

Other programs send them, so there is no CORS, no browser's origin, and a rate of their own:
a shop's server sends everything from one address. What was verified but can't be read is
answered with 200, too: a shop ends its webhooks after a few other answers.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.receiver.addresses import make_rate_key
from pushctl.receiver.answers import Headers, Refusal, refuse, retry_later, send_answer
from pushctl.receiver.commit import Committer
from pushctl.receiver.counters import Tally
from pushctl.receiver.rates import RateLimits
from pushctl.receiver.read_bodies import Room, is_within, read, refuse_size
from pushctl.rules.limits import MAX_HOOK_BYTES
from pushctl.rules.shops import told as forms
from pushctl.rules.shops.signatures import Refused
from pushctl.rules.shops.sources import Secrets, Source, fill_times, load_kind
from pushctl.rules.shops.told import Told

log = logging.getLogger("pushctl.receiver")

_DOCS = "See docs/shops.md."
_NO_STORE: Headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Webhooks:
    """The ASGI app of one source."""

    def __init__(
        self,
        source: Source,
        find_secrets: Callable[[str, Millis], Secrets],
        hash_email: Callable[[str], str | None],
        committer: Committer,
        tally: Tally,
        rates: RateLimits,
        room: Room,
    ) -> None:
        self._source = source
        self._kind = load_kind(source.kind)
        self._find_secrets = find_secrets
        self._hash_email = hash_email
        self._committer = committer
        self._tally = tally
        self._rates = rates
        self._room = room
        self._unread = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            address = self._rates.check(scope["client"][0], scope["headers"], None)
            if scope["method"] in ("GET", "HEAD") and self._kind.gets:
                await send_answer(send, 200, _NO_STORE)
                return
            heads = _read_heads(scope)
            # A proxy that names no client stands for all of them.
            sender = "" if self._rates.proxies.trusts(address) else make_rate_key(address)
            raw = await read(receive, MAX_HOOK_BYTES, self._room, sender)
            kind, body = await self._take(raw, heads)
        except Refusal as refusal:
            self._tally.count_refused(self._source.path, refusal.word)
            await refuse(send, refusal)
            return
        await send_answer(send, 200, [(b"content-type", kind.encode()), *_NO_STORE], body)

    async def _take(self, raw: bytes, heads: Mapping[str, str]) -> tuple[str, bytes]:
        """Verify, reduce and keep a delivery; return the type and body of its answer."""
        now = time.time_ns() // 1_000_000
        source, kind = self._source, self._kind
        if kind.is_ping(raw, heads):
            self._tally.count_ignored(source.path)
            return "text/plain", b""
        known = self._find_secrets(source.name, now)
        if not known:
            log.warning("source %s has no secret: pushctl sources secret NAME", source.name)
            raise retry_later("no secret", "This source is not set up yet.", 60)
        try:
            kind.verify(raw, heads, known, now, source.options)
        except Refused as refused:
            remedy = _DOCS if refused.status != 401 else "Use the secret that both sides have."
            raise Refusal(refused.status, refused.word, refused.text, remedy) from None
        body = self._reduce(raw, heads, now)
        if body is not None:
            await self._write(body)
        return kind.answer(raw, heads, known, now, source.options)

    def _reduce(self, raw: bytes, heads: Mapping[str, str], now: Millis) -> str | None:
        """Return a verified delivery in the inbox's form, None where it says nothing."""
        try:
            found: Told | None = self._kind.read(
                raw, heads, self._source.options, self._hash_email
            )
            if note := self._kind.note(raw, heads, self._source.options):
                log.warning("source %s: %s", self._source.name, note)
            if found is None:
                self._tally.count_ignored(self._source.path)
                return None
            # The source's name, not its kind: two shops of a kind may number alike.
            return forms.encode(fill_times(found._replace(source=self._source.name), now))
        except InputError as error:
            self._note_unread(str(error))
        except Exception as error:  # of a form that nobody has thought of
            self._note_unread(type(error).__name__)
        return None

    def _note_unread(self, why: str) -> None:
        """Count what can't be read; log the 1st, 2nd, 4th, 8th ... only."""
        self._tally.count_refused(self._source.path, "unread")
        self._unread += 1
        if self._unread & (self._unread - 1) == 0:
            name, count = self._source.name, self._unread
            log.warning("source %s: a delivery can't be read: %s (%d so far)", name, why, count)

    async def _write(self, body: str) -> None:
        """Return when the delivery is on disk; raises Refusal where it can't be written."""
        await self._committer.write(forms.PATH, self._source.site, body)
        self._tally.count_taken(self._source.path)


def _read_heads(scope: Any) -> dict[str, str]:
    """Return the headers of a POST; raises Refusal for what is not taken here."""
    if scope["method"] != "POST":
        error = "This address takes POST only."
        raise Refusal(405, "method", error, _DOCS, {"allow": "POST"})
    heads = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
    }
    if heads.get("content-encoding", "identity").lower() != "identity":
        error = "Compressed bodies are not taken."
        raise Refusal(415, "encoding", error, "Send it without encoding.")
    if not is_within(heads.get("content-length", "0").encode("latin-1"), MAX_HOOK_BYTES):
        raise refuse_size(MAX_HOOK_BYTES)
    return heads

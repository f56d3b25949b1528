"""
What strangers may have of a day's inbox: those of one address, and all together.

A stranger is a subscription to which no message was ever shown; ``pushctl.status`` lists
the others, which are not bounded. Bytes are those of the inbox's lines.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pushctl.config import UnprovedConfig
from pushctl.inbox import usage_files
from pushctl.inbox.usage_files import Usage
from pushctl.model import Json, Millis
from pushctl.receiver.addresses import make_rate_key, stands_for_many
from pushctl.receiver.answers import retry_later
from pushctl.rules.limits import REPORT_SHARES
from pushctl.rules.units import DAY, SECOND
from pushctl.status import Proved

log = logging.getLogger("pushctl.receiver")

SAVE_SECONDS = 10.0
# A message may be shown any time, which proves the subscription.
MAX_WAIT_SECONDS = 3_600
MOST_SENDERS = 100_000  # about 20 MB
# Those that have used less are not in the file: it stays small.
_LEAST_SAVED = 0.01
_MEGABYTE = 1_000_000
_REPORTS = "/v1/reports"
# What the import bounds by address: new names of tags, rows of prompts.
_NAMED = ("/v1/subscribe", "/v1/tags", "/v1/prompts")


class Shares:
    """Counts the bytes of unproved people; ``check`` raises the 429, ``run`` saves."""

    def __init__(
        self,
        bounds: UnprovedConfig,
        proved: Proved,
        file: Path,
        is_proxy: Callable[[str], bool],
        now: Millis,
    ) -> None:
        self._most_of_address = bounds.inbox_mb_per_address * _MEGABYTE
        self._most_of_all = bounds.inbox_mb * _MEGABYTE
        self._proved = proved
        self._file = file
        self._is_proxy = is_proxy
        self.usage = usage_files.load(file) or Usage(now // DAY)
        self._changed = False
        self._warned: set[str] = set()
        self._open_day(now)

    def is_proved(self, fields: Mapping[str, Json]) -> bool:
        """Return whether a request of these *fields* is about a proved subscription."""
        inner = fields.get("subscription") or {}
        # A browser with a new endpoint names its old one: guessing one is not possible.
        named = (fields.get("endpoint"), inner.get("endpoint"), fields.get("previous"))
        return any(each in self._proved for each in named if each)

    def name_sender(self, address: str, at: Millis) -> str | None:
        """Return a name for *address* that lasts a day, or None: it stands for many."""
        if self._is_proxy(address) or stands_for_many(address):
            return None
        self._open_day(at)
        key = make_rate_key(address)
        raw = key if isinstance(key, bytes) else key.encode()
        return hashlib.blake2b(
            raw, digest_size=9, key=bytes.fromhex(self.usage.salt)
        ).hexdigest()

    def describe(self, path: str, sender: str | None) -> dict[str, str]:
        """Return what the import takes to bound names by address, as hints."""
        return {"sender": sender} if sender is not None and path in _NAMED else {}

    def check(self, path: str, sender: str | None, at: Millis, *, forwarded: bool) -> None:
        """
        Raise Refusal (429) when a share of the day is used up.

        *forwarded*: the request came through a proxy that is not trusted.
        """
        why = self._find_used_up(path, sender)
        if not why:
            return
        self.usage.refused += 1
        self.usage.forwarded |= forwarded
        self._changed = True
        self._warn(why, forwarded)
        rest = (DAY - at % DAY) // SECOND + 1
        error = "Strangers have sent too much today."
        raise retry_later("share", error, min(rest, MAX_WAIT_SECONDS), 429)

    def add(self, path: str, sender: str | None, size: int) -> None:
        """Count a line of *size* bytes."""
        self._changed = True
        if path != _REPORTS:
            self.usage.total += size
            full = 0 < self._most_of_all <= self.usage.total
            self.usage.all_used_up = self.usage.all_used_up or full
        if sender is None or not self._most_of_address:
            return
        name, most = self._find_share(path, sender)
        senders = self.usage.senders
        used = senders.pop(name, 0)
        senders[name] = used + size
        self.usage.used_up += used < most <= used + size
        if len(senders) > MOST_SENDERS:
            senders.popitem(last=False)

    def _find_used_up(self, path: str, sender: str | None) -> str:
        """Return which share is used up, in words; "" for none."""
        if sender is not None:
            name, most = self._find_share(path, sender)
            if most and self.usage.senders.get(name, 0) >= most:
                return "one address"
        if path != _REPORTS and 0 < self._most_of_all <= self.usage.total:
            return "all addresses together"
        return ""

    def _find_share(self, path: str, sender: str) -> tuple[str, float]:
        """Return the name that a request is counted under, and its bound in bytes."""
        if path == _REPORTS:
            return f"reports {sender}", REPORT_SHARES * self._most_of_address
        return sender, self._most_of_address

    def _warn(self, why: str, forwarded: bool) -> None:
        if why in self._warned:
            return
        self._warned.add(why)
        hint = ""
        if forwarded:
            hint = "; if it is a proxy of yours, add it to receiver.trusted_proxies"
        log.warning(
            "unproved subscribers of %s have used up their share of today's inbox%s", why, hint
        )

    def _open_day(self, at: Millis) -> None:
        """Begin a day's counts where *at* is in another day."""
        if at // DAY != self.usage.day:
            self.usage, self._warned, self._changed = Usage(at // DAY), set(), True

    async def run(self, every: float = SAVE_SECONDS) -> None:
        """Save the counts each *every* seconds, and when cancelled."""
        try:
            while True:
                await asyncio.sleep(every)
                if self._changed:
                    await asyncio.to_thread(self._save, self._copy())
        finally:
            if self._changed:
                self._save(self._copy())

    def _copy(self) -> Usage:
        self._changed = False
        usage = self.usage
        return Usage(**{**vars(usage), "senders": OrderedDict(usage.senders)})

    def _save(self, usage: Usage) -> None:
        with suppress(OSError):  # a full disk: the inbox itself says so
            usage_files.save(self._file, usage, _LEAST_SAVED * self._most_of_address)

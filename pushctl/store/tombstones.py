"""
Tombstones: that somebody was forgotten, and when, without telling who.

A tombstone is an HMAC of the endpoint's hash with the project's secret. It keeps what
was written before the erasure from bringing the person back: an inbox folder copied
late, a file imported once more.
"""

import hashlib
import hmac
from typing import TYPE_CHECKING

from pushctl.model import Millis

if TYPE_CHECKING:
    from pushctl.store import Store

_PREFIX = "forgotten:"


def name(secret: bytes, endpoint_hash: bytes) -> str:
    """Return the key of a tombstone in ``meta``."""
    mac = hmac.digest(secret, b"forgotten\n" + endpoint_hash, hashlib.sha256)
    return _PREFIX + mac.hex()


class Tombstones:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def add(self, secret: bytes, endpoint_hash: bytes, now: Millis) -> None:
        self._store.meta.set(name(secret, endpoint_hash), str(now))

    def at(self, secret: bytes, endpoint_hash: bytes) -> Millis | None:
        """Return when the person behind an endpoint was forgotten, or None."""
        found = self._store.meta.get(name(secret, endpoint_hash))
        return None if found is None else int(found)

    def count(self) -> int:
        sql = "SELECT count(*) FROM meta WHERE key >= :prefix AND key < :prefix || '~'"
        row = self._store.connection.execute(sql, {"prefix": _PREFIX}).fetchone()
        return int(row[0])

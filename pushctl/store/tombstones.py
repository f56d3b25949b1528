"""
Tombstones: that a person was erased, and when, without naming the person.

A tombstone is an HMAC of the endpoint's hash with the project's secret. It keeps older
data from restoring the person: an inbox folder copied late, a file imported again.
"""

from collections.abc import Mapping

from pushctl.model import Millis
from pushctl.rules import tokens
from pushctl.store.noun import Noun

_PREFIX = "forgotten:"


class Tombstones(Noun):
    def add(self, secret: bytes, endpoint_hash: bytes, now: Millis) -> None:
        self._store.meta.set(_PREFIX + tokens.tombstone(secret, endpoint_hash), str(now))

    def get_time(self, secret: bytes, endpoint_hash: bytes) -> Millis | None:
        """Return when the person of an endpoint was erased, or None."""
        found = self._store.meta.get(_PREFIX + tokens.tombstone(secret, endpoint_hash))
        return None if found is None else int(found)

    def merge(self, known: Mapping[str, Millis]) -> None:
        """Add tombstones by their names; the later time of two wins."""
        sql = """
            INSERT INTO meta (key, value) VALUES (?, ?)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value
             WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)
        """
        rows = [(_PREFIX + name, str(at)) for name, at in known.items()]
        self._write_each(sql, rows)

    def list_names(self) -> frozenset[str]:
        """Return all tombstones, as ``tokens.tombstone`` names them."""
        sql = "SELECT key FROM meta WHERE key >= :prefix AND key < :prefix || '~'"
        rows = self._read(sql, prefix=_PREFIX)
        return frozenset(key.removeprefix(_PREFIX) for (key,) in rows)

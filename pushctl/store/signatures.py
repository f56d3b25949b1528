"""
Used signatures: a request that is sent again changes nothing.

A signature is valid for five minutes on either side of its time. Without this an attacker
could repeat a request in that time: an unsubscription after the person came back.
"""

import hashlib

from pushctl.model import Millis
from pushctl.rules.units import DAY
from pushctl.store.noun import Noun

# Long enough for an inbox folder that is copied over a day late.
KEEP_FOR: Millis = 2 * DAY


class Signatures(Noun):
    def take(self, endpoint_hash: bytes, signature: str, at: Millis) -> bool:
        """Note a valid signature; return False when it was used before."""
        sql = "INSERT OR IGNORE INTO seen_signatures (digest, at) VALUES (:digest, :at)"
        return self._write(sql, digest=_digest(endpoint_hash, signature), at=at) == 1

    def was_taken(self, endpoint_hash: bytes, signature: str, at: Millis) -> bool:
        """Return whether a signature was used by a request that came before *at*."""
        sql = "SELECT 1 FROM seen_signatures WHERE digest = :digest AND at < :at"
        digest = _digest(endpoint_hash, signature)
        return self._read_value(sql, digest=digest, at=at) is not None

    def prune(self, now: Millis) -> int:
        """Delete those that are too old to be accepted; return how many."""
        sql = "DELETE FROM seen_signatures WHERE at < :before"
        return self._write(sql, before=now - KEEP_FOR)


def _digest(endpoint_hash: bytes, signature: str) -> bytes:
    return hashlib.sha256(endpoint_hash + signature.encode()).digest()[:16]

"""
Ids of API requests: 22 characters of base64url that a receiver recognises without a memory.

The key's own hash signs them, so a key can ask for its own requests alone, two receivers
agree, and a restart forgets none. An id has 10 bytes that name the request and 6 of an HMAC.
Those of a request with an Idempotency-Key come from that key: sent again, it has the same id.
"""

import hmac

from pushctl.model import Millis
from pushctl.rules import tokens
from pushctl.rules.units import HOUR

_NAME_BYTES = 10
_MAC_BYTES = 6
_REPEATABLE = 0x80  # of the first byte: named by an Idempotency-Key, without a time


def make(key_hash: bytes, now: Millis, unique: bytes) -> str:
    """Return the id of a request; *unique* are 7 bytes that no other one of this hour has."""
    return _sign(key_hash, (now // HOUR).to_bytes(3, "big") + unique)


def make_repeatable(key_hash: bytes, idempotency_key: str) -> str:
    """Return the id of each request with that Idempotency-Key."""
    name = hmac.digest(key_hash, b"idempotency\n" + idempotency_key.encode(), "sha256")
    # An id never begins like an option.
    return _sign(key_hash, bytes([name[0] & 0x3F | _REPEATABLE]) + name[1:_NAME_BYTES])


def is_ours(key_hash: bytes, text: str) -> bool:
    """Return whether *text* is an id that ``make`` or ``make_repeatable`` gave this key."""
    try:
        raw = tokens.decode(text)
    except ValueError:
        return False
    if len(raw) != _NAME_BYTES + _MAC_BYTES:
        return False
    return hmac.compare_digest(_sign(key_hash, raw[:_NAME_BYTES]).encode(), text.encode())


def read_time(text: str) -> Millis | None:
    """Return the hour that an id was made in; None: it names none. *text* is an id of ours."""
    raw = tokens.decode(text)
    return None if raw[0] & _REPEATABLE else int.from_bytes(raw[:3], "big") * HOUR


def _sign(key_hash: bytes, name: bytes) -> str:
    mac = hmac.digest(key_hash, b"request\n" + name, "sha256")
    return tokens.encode(name + mac[:_MAC_BYTES])

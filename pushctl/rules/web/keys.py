"""
Checks of web push's public keys, so that sending never meets a bad one.

A subscription has two of its browser, ``p256dh`` and ``auth``, and was made with one of
ours, the application server key (VAPID, RFC 8292). push/vapid reads private keys.
"""

import hashlib

from pushctl.errors import InputError
from pushctl.rules.tokens import decode, encode

# The curve P-256: y^2 = x^3 - 3x + b over the field of p (SEC 2, section 2.4.2).
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

# All that the receiver checks; the drain checks the point, and whose key it is.
SERVER_KEY_FORM = r"[A-Za-z0-9_-]{87}"


def p256dh(text: str) -> bytes:
    """
    Return the 65 bytes of a browser's public key given as base64url.

    Raises InputError when it is no uncompressed point on P-256: encrypting to one
    off the curve would leak our key (RFC 8291, section 7).
    """
    return _point(text, "p256dh")


def server_key(text: str) -> bytes:
    """Return the 65 bytes of an applicationServerKey; InputError when it is none."""
    return _point(text, "the application server key")


def key_id(public: bytes) -> str:
    """Return the short name of an application server key (65 bytes)."""
    return encode(hashlib.sha256(public).digest())[:8]


def _point(text: str, name: str) -> bytes:
    raw = _decode(text, name)
    if len(raw) != 65 or raw[0] != 4:
        raise InputError(f"{name} has {len(raw)} bytes, not the 65 of an uncompressed point")
    # A public key has nothing to hide, so plain integers will do: a third of the time
    # that cryptography takes to make a key of it, and no library to load. The curve's
    # cofactor is 1: a point on it is a valid key (SP 800-56A, section 5.6.2.3.3).
    x, y = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    if x >= _P or y >= _P or (y * y - (x * x * x - 3 * x + _B)) % _P:
        raise InputError(f"{name} is not a point on the curve P-256")
    return raw


def auth(text: str) -> bytes:
    """Return the 16 bytes of a subscription's shared secret given as base64url."""
    raw = _decode(text, "auth")
    if len(raw) != 16:
        raise InputError(f"auth has {len(raw)} bytes, not 16")
    return raw


def _decode(text: str, name: str) -> bytes:
    try:
        return decode(text)
    except ValueError as error:
        raise InputError(f"{name} is {error}") from error

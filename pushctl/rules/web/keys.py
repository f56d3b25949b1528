"""The two keys of a subscription, checked once, so that sending never meets a bad one."""

from pushctl.errors import InputError
from pushctl.rules.tokens import decode

# The curve P-256: y^2 = x^3 - 3x + b over the field of p (SEC 2, section 2.4.2).
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def p256dh(text: str) -> bytes:
    """
    Return the 65 bytes of a browser's public key given as base64url.

    Raises InputError when it is no uncompressed point on P-256: encrypting to one
    off the curve would leak our key (RFC 8291, section 7).
    """
    try:
        raw = decode(text)
    except ValueError as error:
        raise InputError(f"p256dh is {error}") from error
    if len(raw) != 65 or raw[0] != 4:
        raise InputError(f"p256dh has {len(raw)} bytes, not the 65 of an uncompressed point")
    if not _on_curve(raw):
        raise InputError("p256dh is not a point on the curve P-256")
    return raw


def _on_curve(point: bytes) -> bool:
    # A public key has nothing to hide, so plain integers will do: a third of the time
    # that cryptography takes to make a key of it, and no library to load. The curve's
    # cofactor is 1: a point on it is a valid key (SP 800-56A, section 5.6.2.3.3).
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    return x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def auth(text: str) -> bytes:
    """Return the 16 bytes of a subscription's shared secret given as base64url."""
    try:
        raw = decode(text)
    except ValueError as error:
        raise InputError(f"auth is {error}") from error
    if len(raw) != 16:
        raise InputError(f"auth has {len(raw)} bytes, not 16")
    return raw

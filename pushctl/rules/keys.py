"""The two keys of a subscription, checked once, so that sending never meets a bad one."""

from cryptography.hazmat.primitives.asymmetric import ec

from pushctl.errors import InputError
from pushctl.rules.tokens import decode

_CURVE = ec.SECP256R1()


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
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, raw)
    except ValueError as error:
        raise InputError("p256dh is not a point on the curve P-256") from error
    return raw


def auth(text: str) -> bytes:
    """Return the 16 bytes of a subscription's shared secret given as base64url."""
    try:
        raw = decode(text)
    except ValueError as error:
        raise InputError(f"auth is {error}") from error
    if len(raw) != 16:
        raise InputError(f"auth has {len(raw)} bytes, not 16")
    return raw

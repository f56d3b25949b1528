"""The portable encoder: RFC 8291 with the ``cryptography`` package."""

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushctl.model import Letter
from pushctl.push.encoders.sealing import is_uncompressed, seal

_CURVE = ec.SECP256R1()
_ECDH = ec.ECDH()
_POINT = ec.EllipticCurvePublicKey.from_encoded_point


def encrypt_record(key: bytes, nonce: bytes, data: bytes) -> bytes:
    return AESGCM(key).encrypt(nonce, data, None)


def encrypt(p256dh: bytes, auth: bytes, data: bytes) -> bytes:
    """Return the body; raises ValueError unless *p256dh* is an uncompressed point."""
    if not is_uncompressed(p256dh):
        raise ValueError("not the 65 bytes of an uncompressed point")
    theirs = _POINT(_CURVE, p256dh)
    private = ec.generate_private_key(_CURVE)
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = private.exchange(_ECDH, theirs)
    return seal(encrypt_record, secret, p256dh, auth, ours, data, os.urandom(16))


def encode(letters: Sequence[Letter]) -> list[bytes | None]:
    """Return a body for each letter, or None where its key is off the curve."""
    bodies: list[bytes | None] = []
    for letter in letters:
        try:
            bodies.append(encrypt(letter.p256dh, letter.auth, letter.payload))
        except ValueError:
            bodies.append(None)
    return bodies

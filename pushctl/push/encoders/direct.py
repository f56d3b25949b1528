"""The portable encoder: RFC 8291 with the ``cryptography`` package."""

import os
from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushctl.model import Letter

_CURVE = ec.SECP256R1()
_ECDH = ec.ECDH()
_POINT = ec.EllipticCurvePublicKey.from_encoded_point

# Record size 4096 and the length of our public key, between salt and key in every header
# (RFC 8188, section 2.1).
_RECORD_SIZE_AND_KEY_LENGTH = b"\x00\x00\x10\x00\x41"
_LAST_RECORD = b"\x02"
_KEY_INFO = b"Content-Encoding: aes128gcm\0\x01"
_NONCE_INFO = b"Content-Encoding: nonce\0\x01"

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def _pads(key: bytes) -> tuple[bytes, bytes]:
    block = key.ljust(64, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


def _hmac(key: bytes, message: bytes) -> bytes:
    # RFC 2104 with a key of at most 64 bytes: OpenSSL's one-call HMAC spends a third of its
    # time on looking up the algorithm, and a message takes five.
    inner, outer = _pads(key)
    return sha256(outer + sha256(inner + message).digest()).digest()


def seal(
    secret: bytes, p256dh: bytes, auth: bytes, ours: bytes, data: bytes, salt: bytes
) -> bytes:
    """
    Return the body for *data* by the shared *secret* (32 bytes).

    *ours* is the public half (65 bytes) of the key made for this message alone.
    """
    # HKDF with one block of output is two HMACs (RFC 5869).
    ikm = _hmac(_hmac(auth, secret), b"WebPush: info\0" + p256dh + ours + b"\x01")
    inner, outer = _pads(_hmac(salt, ikm))
    key = sha256(outer + sha256(inner + _KEY_INFO).digest()).digest()[:16]
    nonce = sha256(outer + sha256(inner + _NONCE_INFO).digest()).digest()[:12]
    sealed = AESGCM(key).encrypt(nonce, data + _LAST_RECORD, None)
    return salt + _RECORD_SIZE_AND_KEY_LENGTH + ours + sealed


def encrypt(p256dh: bytes, auth: bytes, data: bytes) -> bytes:
    """Return the body; raises ValueError unless *p256dh* is an uncompressed point."""
    if len(p256dh) != 65 or p256dh[0] != 4:
        raise ValueError("not the 65 bytes of an uncompressed point")
    theirs = _POINT(_CURVE, p256dh)
    private = ec.generate_private_key(_CURVE)
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = private.exchange(_ECDH, theirs)
    return seal(secret, p256dh, auth, ours, data, os.urandom(16))


def encode(letters: Sequence[Letter]) -> list[bytes | None]:
    """Return a body for each letter, or None where its key is off the curve."""
    bodies: list[bytes | None] = []
    for letter in letters:
        try:
            bodies.append(encrypt(letter.p256dh, letter.auth, letter.payload))
        except ValueError:
            bodies.append(None)
    return bodies

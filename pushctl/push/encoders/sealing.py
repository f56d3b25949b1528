"""What follows the key agreement: keys by HKDF, then one record (RFC 8291, section 3.4)."""

from collections.abc import Callable
from hashlib import sha256

# AES-128-GCM: key (16 bytes), nonce (12 bytes) and data to ciphertext with its tag.
Encrypt = Callable[[bytes, bytes, bytes], bytes]

# Record size 4096 and the length of our public key, between salt and key in every header
# (RFC 8188, section 2.1).
_RECORD_SIZE_AND_KEY_LENGTH = b"\x00\x00\x10\x00\x41"
_LAST_RECORD = b"\x02"
_KEY_INFO = b"Content-Encoding: aes128gcm\0\x01"
_NONCE_INFO = b"Content-Encoding: nonce\0\x01"

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def is_uncompressed(key: bytes) -> bool:
    """Return whether *key* has the one form of a p256dh; libraries take others, too."""
    return len(key) == 65 and key[0] == 4


def _pads(key: bytes) -> tuple[bytes, bytes]:
    block = key.ljust(64, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


def _hmac(key: bytes, message: bytes) -> bytes:
    # RFC 2104 with a key of at most 64 bytes: OpenSSL's one-call HMAC spends a third of its
    # time on looking up the algorithm, and a message takes five.
    inner, outer = _pads(key)
    return sha256(outer + sha256(inner + message).digest()).digest()


def seal(
    encrypt: Encrypt,
    secret: bytes,
    p256dh: bytes,
    auth: bytes,
    ours: bytes,
    data: bytes,
    salt: bytes,
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
    sealed = encrypt(key, nonce, data + _LAST_RECORD)
    return salt + _RECORD_SIZE_AND_KEY_LENGTH + ours + sealed

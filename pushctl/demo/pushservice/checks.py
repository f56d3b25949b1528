"""Checks of all push services beside VAPID: headers and the body's frame. Pure."""

import re
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

MAX_BODY = 4096  # bytes that a service must take (RFC 8030, section 7.2)
URGENCIES = ("very-low", "low", "normal", "high")

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}", re.ASCII)

# The frame of aes128gcm (RFC 8188, section 2.1): salt 16, record size 4, length of the
# key id 1, the sender's public key 65; a record ends with a delimiter and a tag of 16.
_HEAD = 16 + 4 + 1 + 65
_LEAST_RECORD = 1 + 16


def read_ttl(headers: Mapping[str, str]) -> int | None:
    """Return the TTL in seconds, maybe negative; None when it is no number."""
    given = headers.get("ttl", "")
    return int(given) if _NUMBER.fullmatch(given) else None


def is_valid_topic(headers: Mapping[str, str]) -> bool:
    return "topic" not in headers or _TOPIC.fullmatch(headers["topic"]) is not None


def is_valid_urgency(headers: Mapping[str, str]) -> bool:
    """Return whether Urgency is one of the four values (RFC 8030, section 5.3)."""
    return headers.get("urgency", "normal") in URGENCIES


def find_encoding_flaw(headers: Mapping[str, str], body: bytes) -> str | None:
    """Return the fault in the encryption's form, or None; a push may have no body."""
    if not body:
        return None
    if headers.get("content-encoding") != "aes128gcm":
        return "Content-Encoding is not aes128gcm"
    if "dh=" in headers.get("crypto-key", "") or "salt=" in headers.get("encryption", ""):
        return "Crypto-Key or Encryption beside aes128gcm"
    return _find_frame_flaw(body)


def _find_frame_flaw(body: bytes) -> str | None:
    if len(body) < _HEAD + _LEAST_RECORD:
        return "the body is shorter than one record"
    record_size = int.from_bytes(body[16:20], "big")
    if body[20] != 65:
        return "the key id is not the 65 bytes of a public key"
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), body[21:_HEAD])
    except ValueError:
        return "the key id is not a point on P-256"
    # RFC 8291, section 4: one record only, so all of it fits into the record size.
    if record_size < _LEAST_RECORD + 1 or len(body) - _HEAD > record_size:
        return "more than one record"
    return None

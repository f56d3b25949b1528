"""
Keyed hashes that go out to the web and come back: names and signatures.

*secret* is the project's own (keys/secret), *auth* the subscription's 16 bytes, which
the browser has too.
"""

import binascii
import hashlib
import hmac
import re
import unicodedata

from pushctl.model import Millis
from pushctl.rules.units import SECOND

SIGNATURE_SECONDS = 300
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def encode(raw: bytes) -> str:
    """Return *raw* as base64url without padding (RFC 7515, appendix C)."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes of strict base64url, padded or not; ValueError otherwise."""
    plain = text.rstrip("=")
    if len(text) - len(plain) > 2:
        raise ValueError("too much padding")
    padded = plain.replace("-", "+").replace("_", "/") + "=" * (-len(plain) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True)
    except ValueError as error:  # binascii.Error is one
        raise ValueError(f"not base64url: {error}") from error


def endpoint_hash(endpoint: str) -> bytes:
    """Return the 16 bytes that stand for an endpoint in the database."""
    return hashlib.sha256(endpoint.encode()).digest()[:16]


# "3fa9-c21b-77e0": the first 6 bytes of an endpoint's hash, as sw/pushctl-preferences.js
# shows them. Two of 300,000 subscribers have the same with a chance of one in 6,000.
_BROWSER_ID = re.compile(r"([0-9a-f]{4})[\s-]?([0-9a-f]{4})[\s-]?([0-9a-f]{4})", re.IGNORECASE)


def read_browser_id(text: str) -> bytes | None:
    """Return the start of an endpoint's hash that a browser shows as its id, None otherwise."""
    found = _BROWSER_ID.fullmatch(text.strip())
    return bytes.fromhex("".join(found.groups())) if found else None


def tombstone(secret: bytes, endpoint_hash: bytes) -> str:
    """Return the mark of a forgotten person, which gives nobody away."""
    return hmac.digest(secret, b"forgotten\n" + endpoint_hash, "sha256").hex()


def hash_email(secret: bytes, address: str) -> str:
    """
    Return the 64 digits of hex that stand for an e-mail address.

    *secret* is the text of keys/email_secret, which the shop has too. Spaces around the
    address, its case and its form in Unicode (NFKC) make no difference.
    """
    plain = unicodedata.normalize("NFKC", address.strip()).lower()
    return hmac.new(secret, plain.encode(), "sha256").hexdigest()


class MessageTokens:
    """
    Makes ``message_token``s with *secret*, which is hashed once for all of them.

    A copy of a hash that has taken the key costs a third of a new one.
    """

    def __init__(self, secret: bytes) -> None:
        self._keyed = hashlib.blake2b(b"message\n", digest_size=16, key=secret)

    def make(self, delivery: int) -> str:
        mac = self._keyed.copy()
        mac.update(b"%d" % delivery)
        return f"{delivery}.{encode(mac.digest())}"


def message_token(secret: bytes, delivery: int) -> str:
    """
    Return the name by which a notification reports about *delivery*; unforgeable.

    Keyed BLAKE2b (RFC 7693, section 2.9): every message takes one, and it costs a third
    of an HMAC. *secret* has at most 64 bytes.
    """
    return MessageTokens(secret).make(delivery)


def read_message_token(secret: bytes, token: str) -> int | None:
    """Return the delivery that *token* names, or None for a forged one."""
    head, _, _ = token.partition(".")
    # isdecimal() alone lets other scripts' digits pass; 19 digits fit SQLite's integers.
    if not (head.isascii() and head.isdecimal() and len(head) < 19):
        return None
    delivery = int(head)
    if not hmac.compare_digest(message_token(secret, delivery).encode(), token.encode()):
        return None
    return delivery


def topic(secret: bytes, campaign: int) -> str:
    """
    Return the Topic header of a campaign: always 32 characters of base64url.

    Apple decodes it and refuses lengths that are no whole number of bytes.
    """
    return encode(hmac.digest(secret, b"topic\n%d" % campaign, "sha256")[:24])


def named_topic(secret: bytes, name: str) -> str:
    """Return the Topic header of messages that a program gave the topic *name*."""
    return encode(hmac.digest(secret, f"named topic\n{name}".encode(), "sha256")[:24])


def sign_request(auth: bytes, path: str, seconds: int, body: bytes) -> str:
    """Return the X-Pushctl-Signature header with which a browser proves its ``auth``."""
    digest = hashlib.sha256(body).hexdigest()
    mac = hmac.digest(auth, f"POST\n{path}\n{seconds}\n{digest}".encode(), "sha256")
    return f"{seconds}.{encode(mac)}"


def read_time(signature: str | None, otherwise: Millis) -> Millis:
    """Return the time that a *signature* names, *otherwise* where it names none."""
    head, _, _ = (signature or "").partition(".")
    if not (head.isascii() and head.isdecimal() and len(head) < 12):
        return otherwise
    return int(head) * SECOND


def is_signed(
    auth: bytes, path: str, body: bytes, signature: str | None, received: Millis
) -> bool:
    """Return whether *signature* was made with *auth* within 300 s of *received*."""
    made = read_time(signature, -1)
    if not signature or made < 0:
        return False
    seconds = made // SECOND
    if abs(seconds - received // SECOND) > SIGNATURE_SECONDS:
        return False
    expected = sign_request(auth, path, seconds, body)
    return hmac.compare_digest(expected.encode(), signature.encode())

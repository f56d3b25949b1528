"""
What goes out to webhooks: signatures, and the times of tries.

Signatures follow Standard Webhooks (https://www.standardwebhooks.com, version 1.0): HMAC-SHA256
over "<id>.<seconds>.<body>" with the bytes of a secret that is written "whsec_<base64>".
"""

import binascii
import hmac
from collections.abc import Sequence

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules.tokens import encode
from pushctl.rules.units import DAY, HOUR, MINUTE, SECOND

_PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification allows 24 to 64
ROTATION: Millis = DAY  # so long the former secret signs, too

GIVE_UP_AFTER: Millis = 3 * DAY
# Between one try and the next; the last one is repeated.
_DELAYS: tuple[Millis, ...] = (
    5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR,
    8 * HOUR,
)  # fmt: skip
MAX_DELAY: Millis = _DELAYS[-1]


def write_secret(secret: bytes) -> str:
    return _PREFIX + binascii.b2a_base64(secret, newline=False).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of "whsec_<base64>"; InputError, which does not repeat it, otherwise."""
    try:
        secret = binascii.a2b_base64(text.removeprefix(_PREFIX), strict_mode=True)
    except ValueError:
        secret = b""
    if not (text.startswith(_PREFIX) and 24 <= len(secret) <= 64):
        raise InputError("a secret is not whsec_ and 24 to 64 bytes in base64")
    return secret


def make_id(secret: bytes, event: str, source: str, row: int) -> str:
    """
    Return the id under which an event goes out, whatever happens to the database meanwhile.

    *secret* is the project's; *source* and *row* name the row that the event was found in.
    """
    mac = hmac.digest(secret, f"hook\n{event}\n{source}\n{row}".encode(), "sha256")
    return f"msg_{encode(mac[:18])}"


def write_headers(
    secrets: Sequence[bytes], message: str, now: Millis, body: bytes
) -> dict[str, str]:
    """Return the three headers of *body* at *now*: signed with each of *secrets*."""
    seconds = now // SECOND
    signed = f"{message}.{seconds}.".encode() + body
    signatures = (
        binascii.b2a_base64(hmac.digest(one, signed, "sha256"), newline=False).decode()
        for one in secrets
    )
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


def compute_delay(tries: int, lot: float) -> Millis:
    """
    Return the time from try number *tries* (from 1) to the next.

    *lot* in [0, 1) moves it by up to a fifth: many that failed together do not come together.
    """
    delay = _DELAYS[min(tries, len(_DELAYS)) - 1]
    return int(delay * (0.8 + 0.4 * lot))

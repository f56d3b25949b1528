"""What the kinds of sources share to verify a delivery."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence

from pushctl.model import Millis

# Answered whatever is wrong with a signature: details would help who forges one.
WRONG = "The signature is missing or wrong."


class Refused(Exception):
    """
    A delivery that is not taken: the answer's *status* and *text*, and a *word* for the log.

    Neither may repeat what was sent.
    """

    def __init__(self, status: int, word: str, text: str) -> None:
        super().__init__(text)
        self.status, self.word, self.text = status, word, text


def refuse_signature(word: str = "signature") -> Refused:
    """Return the 401 of a delivery that can't be trusted; *word* says in the log why."""
    return Refused(401, word, WRONG)


def is_any(given: Sequence[bytes], expected: Sequence[bytes]) -> bool:
    """
    Return whether one of *given* is one of *expected*, in constant time.

    All pairs are compared, so that the time does not say which secret was the right one.
    """
    found = False
    for one in given:
        for other in expected:
            found |= hmac.compare_digest(one, other)
    return found


def sign(secrets: Sequence[bytes], text: bytes, digest: str = "sha256") -> list[bytes]:
    """Return the HMAC of *text* with each of *secrets*."""
    return [hmac.digest(secret, text, digest) for secret in secrets]


def check_body(given: str, secrets: Sequence[bytes], raw: bytes) -> None:
    """Raise Refused unless *given* is the base64 of the HMAC-SHA256 of *raw*."""
    if not is_any([read_base64(given)], sign(secrets, raw)):
        raise refuse_signature()


def read_base64(text: str) -> bytes:
    """Return the bytes of base64 in its one form; raises Refused for anything else."""
    found = _read(lambda: base64.b64decode(text.encode("ascii"), validate=True))
    if base64.b64encode(found).decode() != text:  # the last character has bits to spare
        raise refuse_signature()
    return found


def read_hex(text: str) -> bytes:
    """Return the bytes of hex digits in either case; raises Refused for anything else."""
    return _read(lambda: binascii.unhexlify(text.encode("ascii")))


def _read(decode: Callable[[], bytes]) -> bytes:
    try:
        return decode()
    except ValueError:  # binascii.Error and UnicodeEncodeError are ones
        raise refuse_signature() from None


def check_time(at: Millis, now: Millis, most: Millis) -> None:
    """Raise Refused unless *at* is within *most* of *now*, in either direction."""
    if abs(at - now) > most:
        raise refuse_signature("clock")

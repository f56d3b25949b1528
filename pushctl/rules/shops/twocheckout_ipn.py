"""
2Checkout's IPN: its form, its signatures, the receipt it waits for.

The source of every signature is each value behind its length in bytes, in the order in
which the fields came. An ``X[]`` stands where its first element stands, as PHP groups them.
"""

import hmac
import re
from binascii import unhexlify
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.rules.limits import MAX_HOOK_ENTRIES
from pushctl.rules.shops.signatures import Refused, refuse_signature
from pushctl.rules.units import SECOND


class Algorithm(NamedTuple):
    """A signature that an IPN may carry."""

    field: str
    digest: str  # as hashlib names it
    name: str  # as the receipt names it; empty: the receipt has the old form


# The newest first: the receipt uses the first of them that came.
SHA3 = Algorithm("SIGNATURE_SHA3_256", "sha3_256", "sha3-256")
SHA2 = Algorithm("SIGNATURE_SHA2_256", "sha256", "sha256")
MD5 = Algorithm("HASH", "md5", "")
_SHAS = (SHA3, SHA2)
_UNSIGNED = frozenset(it.field for it in (*_SHAS, MD5))

_RUNS = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")

# PHP's strlen counts bytes; a value is kept as the bytes that were signed.
Fields = Mapping[str, Sequence[bytes]]


def parse(raw: bytes) -> Fields:
    """
    Return the form's values by name, ``X[]`` without its brackets, in the order received.

    Raises Refused for a form with too many fields, or with one that comes twice: nobody
    could say which of the two is meant.
    """
    if max(raw.count(b"&"), raw.count(b"%") // 10) >= MAX_HOOK_ENTRIES:
        raise Refused(413, "fields", f"The form has more than {MAX_HOOK_ENTRIES} fields.")
    fields: dict[str, list[bytes]] = {}
    seen: dict[bytes, bool] = {}  # names as they came, and whether they may come again
    lists: dict[str, bool] = {}
    for piece in raw.split(b"&"):
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        name = _unquote(name)
        base, bracket, rest = name.partition(b"[")
        key, many = base.decode("utf-8", "replace"), bool(bracket)
        if not seen.setdefault(name, True) or lists.setdefault(key, many) != many:
            raise Refused(400, "repeated", "A field comes twice.")
        seen[name] = rest == b"]"
        fields.setdefault(key, []).append(_unquote(value))
    return fields


def _unquote(value: bytes) -> bytes:
    """Return a part of a form without its percent-encoding; faster than urllib."""
    value = value.replace(b"+", b" ")
    return _RUNS.sub(_decode_run, value) if b"%" in value else value


def _decode_run(run: re.Match[bytes]) -> bytes:
    return unhexlify(run[0].replace(b"%", b""))


def build_source(fields: Fields) -> bytes:
    """Return what is signed: an empty value is "0", a zero is "10"."""
    values = [one for name, many in fields.items() if name not in _UNSIGNED for one in many]
    return _prefix(values)


def find_key(fields: Fields, secrets: Sequence[bytes], *, md5: bool) -> tuple[bytes, Algorithm]:
    """
    Return the secret that signed an IPN, and the newest algorithm that it is signed with.

    Every SHA signature that is present must be right. MD5 alone is enough where *md5* allows
    it; who strips the SHA fields gets no further elsewhere. Raises Refused.
    """
    signed = [it for it in _SHAS if _has(fields, it)]
    if not signed:
        if not _has(fields, MD5):
            raise refuse_signature("unsigned")
        if not md5:
            raise Refused(
                401, "md5", "MD5 alone is not taken: let the IPN have SHA-2 or SHA-3."
            )
        signed = [MD5]
    source = build_source(fields)
    # Each secret is tried, whatever comes out: the time must not say which one was right.
    found = [key for key in secrets if key and _are_right(fields, signed, key, source)]
    if not found:
        raise refuse_signature()
    return found[0], signed[0]


def write_receipt(fields: Fields, key: bytes, algorithm: Algorithm, now: Millis) -> bytes:
    """Return the body without which 2Checkout sends the notification again, for two days."""
    date = datetime.fromtimestamp(now // SECOND, UTC).strftime("%Y%m%d%H%M%S")
    names = ("IPN_PID", "IPN_PNAME", "IPN_DATE")
    told = [next(iter(fields.get(name, ())), b"") for name in names]
    digest = hmac.digest(key, _prefix([*told, date.encode()]), algorithm.digest).hex()
    if not algorithm.name:
        return f"<EPAYMENT>{date}|{digest}</EPAYMENT>".encode()
    return f'<sig algo="{algorithm.name}" date="{date}">{digest}</sig>'.encode()


def _prefix(values: Sequence[bytes]) -> bytes:
    return b"".join(b"%d%b" % (len(value), value) for value in values)


def _has(fields: Fields, algorithm: Algorithm) -> bool:
    # An empty signature is none: it must not make an unsigned notification pass.
    return any(value.strip() for value in fields.get(algorithm.field, ()))


def _are_right(fields: Fields, signed: Sequence[Algorithm], key: bytes, source: bytes) -> bool:
    right = True
    for it in signed:
        told = [value.strip().lower() for value in fields[it.field]]
        expected = hmac.digest(key, source, it.digest).hex().encode()
        right &= len(told) == 1 and hmac.compare_digest(told[0], expected)
    return right

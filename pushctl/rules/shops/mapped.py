"""
Any program that signs its webhooks: a mapping in pushctl.toml says what they mean.

Paths are JMESPath (jmespath.org), from the extra ``pushctl[mapped]``. Signatures are an
HMAC-SHA256 in a header, or those of Standard Webhooks (standardwebhooks.com).
"""

import hashlib
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushctl.model import Millis
from pushctl.rules.config import checks
from pushctl.rules.shops import mapped_values, payload, signatures
from pushctl.rules.shops.mapped_values import (
    CartMap,
    EventMap,
    OrderMap,
    ProductMap,
    Reader,
    check_path,
)
from pushctl.rules.shops.sources import Headers
from pushctl.rules.shops.told import Told
from pushctl.rules.units import MINUTE, SECOND

HMAC, STANDARD = "hmac-sha256", "standard-webhooks"
_TOLERANCE = 5 * MINUTE
_MOST_SIGNATURES = 20
_MOST_MAPPINGS = 20


def _one_of(*known: str) -> Callable[[str], tuple[str, str] | None]:
    def check(value: str) -> tuple[str, str] | None:
        if value in known:
            return None
        return f"is {value!r}", f"Write one of: {', '.join(known)}."

    return check


def _few(values: Sequence[Any]) -> tuple[str, str] | None:
    if len(values) <= _MOST_MAPPINGS:
        return None
    return f"has {len(values)} tables", f"Write at most {_MOST_MAPPINGS}."


def _mappings() -> Any:
    return field(default=(), metadata={"check": _few})


@dataclass(frozen=True)
class Options:
    signature: str = field(default=HMAC, metadata={"check": _one_of(HMAC, STANDARD)})
    # of hmac-sha256: where it stands, and how it is written
    header: str = field(default="X-Signature", metadata={"check": checks.header_name})
    encoding: str = field(default="hex", metadata={"check": _one_of("hex", "base64")})
    prefix: str = ""  # "sha256="
    # a header with the seconds; then "<seconds>.<body>" is signed, and good for 5 minutes
    timestamp_header: str | None = field(default=None, metadata={"check": checks.header_name})
    # what names a delivery; none: the hash of its body
    delivery: str | None = field(default=None, metadata={"check": check_path})
    orders: tuple[OrderMap, ...] = _mappings()
    carts: tuple[CartMap, ...] = _mappings()
    products: tuple[ProductMap, ...] = _mappings()
    events: tuple[EventMap, ...] = _mappings()


def verify(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Options
) -> None:
    """Raise Refused unless one of *secrets* signed the body in the scheme of *options*."""
    if options.signature == STANDARD:
        _verify_standard(raw, headers, secrets, now)
        return
    given = headers.get(options.header.lower(), "")
    if not given.startswith(options.prefix):
        raise signatures.refuse_signature()
    decode = signatures.read_hex if options.encoding == "hex" else signatures.read_base64
    found = decode(given.removeprefix(options.prefix))
    signed, at = raw, None
    if options.timestamp_header is not None:
        text = headers.get(options.timestamp_header.lower(), "")
        at = _read_seconds(text)
        signed = text.encode() + b"." + raw
    if not signatures.is_any([found], signatures.sign(secrets, signed)):
        raise signatures.refuse_signature()
    if at is not None:
        signatures.check_time(at, now, _TOLERANCE)


def _verify_standard(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis
) -> None:
    name, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    words = headers.get("webhook-signature", "").split(" ")[:_MOST_SIGNATURES]
    given = [word.removeprefix("v1,") for word in words if word.startswith("v1,")]
    at = _read_seconds(seconds)
    if not (name and given):
        raise signatures.refuse_signature()
    signed = f"{name}.{seconds}.".encode("latin-1") + raw
    found = [signatures.read_base64(one) for one in given]
    if not signatures.is_any(found, signatures.sign(_list_keys(secrets), signed)):
        raise signatures.refuse_signature()
    signatures.check_time(at, now, _TOLERANCE)


def _list_keys(secrets: Sequence[bytes]) -> list[bytes]:
    """Return the keys of secrets as the standard writes them: "whsec_" and base64."""
    keys = []
    for secret in secrets:
        try:
            keys.append(b64decode(secret.removeprefix(b"whsec_"), validate=True))
        except ValueError:
            continue
    return [key for key in keys if key]


def _read_seconds(text: str) -> Millis:
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise signatures.refuse_signature()
    return int(text) * SECOND


def read(
    raw: bytes, headers: Headers, options: Options, email: Callable[[str], str | None]
) -> Told | None:
    """Return what the mappings find in a delivery; None where none of them is meant."""
    reader = Reader(mapped_values.parse(raw), email)
    orders = [one for each in options.orders for one in reader.list_orders(each)]
    carts = [one for each in options.carts for one in reader.list_carts(each)]
    carts += [one for each in options.events for one in reader.list_events(each)]
    products = [one for each in options.products for one in reader.list_products(each)]
    if not (orders or carts or products):
        return None
    named = options.delivery and payload.read_id(reader.find(options.delivery))
    if options.signature == STANDARD and not named:
        named = headers.get("webhook-id")
    digest = hashlib.sha256(raw).hexdigest()
    name = payload.name_delivery("mapped", named or digest)
    return Told("mapped", name, tuple(orders), tuple(carts), tuple(products))


def list_unfound(raw: bytes, options: Options) -> list[str]:
    """Return the paths of *options* that find nothing in a delivery, with their settings."""
    reader = Reader(mapped_values.parse(raw), lambda _: None)
    found = []
    for name in ("orders", "carts", "products", "events"):
        for number, mapping in enumerate(getattr(options, name), 1):
            found += [f"{name}.{number}.{one}" for one in reader.list_unfound(mapping)]
    return found

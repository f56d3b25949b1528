"""
Values of deliveries: what can't be meant is None, so that the rest of a delivery counts.

Texts are bounded here; ``told.encode`` refuses what is longer.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NoReturn, TypeVar

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import amounts, money
from pushctl.rules.limits import (
    MAX_LABEL_CHARACTERS,
    MAX_ORDER_CODES,
    MAX_ORDER_NUMBER_CHARACTERS,
    MAX_TEXT_CHARACTERS,
)
from pushctl.rules.money import LARGEST, Money
from pushctl.rules.shops.order import Line
from pushctl.rules.units import SECOND
from pushctl.rules.web import fields

# Where our script's key stands in a shop's attributes of a basket.
KEYS = ("_pushctl", "pushctl")
# ``at`` of what a source gives no time: the receiver puts in its own.
NOW: Millis = 0
# ``at`` of an end that a payment, whenever it was, goes before.
BEFORE_ALL: Millis = 1

_DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,20})?", re.ASCII)
_Found = TypeVar("_Found")


def parse(raw: bytes) -> Mapping[str, Json]:
    """Return a JSON object whose fractions are exact; raises InputError for all else."""
    try:
        found = json.loads(raw, parse_float=Decimal, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise InputError("it is not JSON") from None
    if not isinstance(found, dict):
        raise InputError("it is no JSON object")
    return found


def refuse_constant(_: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError("no number")


def name_delivery(*parts: str | bytes) -> str:
    """Return a name for what *parts* say: the same body again has the same name."""
    digest = hashlib.sha256()
    for part in parts:
        plain = part.encode("utf-8", "replace") if isinstance(part, str) else part
        digest.update(b"%d:" % len(plain) + plain)
    return digest.hexdigest()[:32]


def read_table(value: Json) -> Mapping[str, Json]:
    """Return an object, or an empty one for all else."""
    return value if isinstance(value, dict) else {}


def list_tables(value: Json) -> list[Mapping[str, Json]]:
    """Return the objects of a list, which may be missing."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def read_id(value: Json, most: int = MAX_ORDER_NUMBER_CHARACTERS) -> str | None:
    """Return a number or a text that names something; 0, "0" and "" name nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not value:
        return None
    text = str(value).strip()
    # Forms and PHP write the 0 of a guest as a text: all guests would be one person.
    if not 0 < len(text) <= most or not text.isprintable() or text == "0":
        return None
    return text


def read_text(value: Json, most: int = MAX_TEXT_CHARACTERS) -> str | None:
    """Return a text, cut to *most* characters."""
    if not isinstance(value, str):
        return None
    # A lone surrogate, as JSON may have it, is in no UTF-8.
    plain = value.encode("utf-8", "replace").decode()
    return plain.replace("\0", "").strip()[:most] or None


def read_key(value: Json) -> str | None:
    """Return the key of a basket that our script made."""
    return _try(fields.cart_key, value)


def find_key(pairs: Iterable[tuple[Json, Json]]) -> str | None:
    """Return our script's key from the names and values of a basket's attributes."""
    found = (read_key(value) for name, value in pairs if name in KEYS)
    return next((key for key in found if key), None)


def read_alias(value: Json) -> str | None:
    """Return the shop's id of a person."""
    return _try(fields.alias, read_id(value, MAX_LABEL_CHARACTERS))


def _try(check: Callable[[Json], _Found], value: Json) -> _Found | None:
    try:
        return None if value is None else check(value)
    except InputError:
        return None


def hash_email(value: Json, email: Callable[[str], str | None]) -> str | None:
    """Return the hash of an e-mail address; the address itself goes no further."""
    if not isinstance(value, str) or "@" not in value or len(value) > MAX_LABEL_CHARACTERS:
        return None
    return email(value)


def read_codes(values: Iterable[Json]) -> tuple[str, ...]:
    """Return promo codes, each once."""
    found = (_try(fields.label, read_id(one, MAX_LABEL_CHARACTERS)) for one in values)
    return tuple(dict.fromkeys(one for one in found if one))[:MAX_ORDER_CODES]


def read_time(value: Json) -> Millis | None:
    """Return a time of ISO 8601; one without an offset is in UTC."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    at = round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * SECOND)
    return at if at > 0 else None


def read_currency(value: Json) -> str | None:
    """Return a code of ISO 4217."""
    code = value.upper() if isinstance(value, str) else ""
    return code if code in amounts.CURRENCIES else None


def read_number(value: Json) -> Decimal | None:
    """Return a number, or one that a program wrote as a text: "19.99"."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if not isinstance(value, int | Decimal) or not -LARGEST < value < LARGEST:
        return None
    return Decimal(value)


def read_amount(value: Json, currency: str | None, *, fine: bool = False) -> Money | None:
    """
    Return an amount of 0 or more that a program wrote in units: "19.99" or 19.99.

    It is rounded to the currency's coins, half a coin up; *fine* keeps up to six digits, as
    prices have them, and so does an unknown currency.
    """
    number = read_number(value)
    if number is None or number < 0:
        return None
    return money.of_exact(number, currency, fine=fine)


def read_quantity(value: Json) -> float | int | None:
    """Return how many of a line there are."""
    number = read_number(value)
    return None if number is None or number < 0 else amounts.plain(float(number))


def read_lines(value: Json, currency: str | None, name: str) -> tuple[Line, ...]:
    """Return what was bought, as Shopify and WooCommerce list it; *name* is a line's name."""
    return tuple(
        Line(
            id=read_id(one.get("product_id")),
            name=read_text(one.get(name)),
            quantity=read_quantity(one.get("quantity")),
            price=read_amount(one.get("price"), currency, fine=True),
        )
        for one in list_tables(value)
    )


def add_up(parts: Iterable[Money | None], currency: str | None) -> Money | None:
    """Return the sum of amounts of one currency; None where one is unknown."""
    known = list(parts)
    if any(one is None or one.currency != currency for one in known):
        return None
    exponent = max((one.exponent for one in known if one), default=0)
    if not known and currency is not None:
        exponent = amounts.count_decimals(currency)
    minor = sum(one.minor * 10 ** (exponent - one.exponent) for one in known if one)
    return Money(minor, exponent, currency)

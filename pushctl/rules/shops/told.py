"""
What a shop or another program tells, in the one form that the inbox has for all of them.

The receiver verifies a delivery and reduces it to a ``Told``; ``encode`` makes the body of
the inbox's line, ``decode`` reads it at the import. Nothing of a buyer is in it but what a
``Clues`` has: no name, address, phone or e-mail.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import orjson

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import amounts, events, limits
from pushctl.rules.money import LARGEST, Money
from pushctl.rules.shops import cart
from pushctl.rules.shops.order import Line, State
from pushctl.rules.web import bodies, fields

PATH = "/v1/shop"  # of the inbox's line; no route of the receiver has this name
CARTS = (cart.UPDATED, cart.CHECKOUT)
# Events that follow of something else: of an order, a subscription, a price.
_OTHERS = frozenset(events.KNOWN) - {*CARTS, cart.EMPTIED, "wishlisted", "stock_awaited"}

_Part = TypeVar("_Part")
_MAX_DIGITS = 9  # of a price's exponent


class Clues(NamedTuple):
    """What may tell whose something is; None where the source doesn't say."""

    cart_key: str | None = None  # our script's key, which came back: 22 characters base64url
    alias: str | None = None  # the shop's own id of the person; its source is verified
    email_hash: str | None = None  # ``tokens.hash_email``: 64 digits of hex
    subscriber: str | None = None  # a subscription's public id


class ToldOrder(NamedTuple):
    """An order as it is now. A later word on the same number takes the place of this one."""

    number: str
    state: State
    total: Money | None  # what was to be paid at first, refunds not taken off
    refunded: Money | None  # all refunds so far; None: the source doesn't say
    lines: tuple[Line, ...]
    at: Millis  # when it got this state; 0: the source doesn't say, the receipt's time is taken
    clues: Clues = Clues()
    codes: tuple[str, ...] = ()  # promo codes that it used
    test: bool = False
    # What this delivery alone says was given back, for sources that don't say the sum: it is
    # added to the refunds before, once for each delivery.
    refund: Money | None = None


class ToldCart(NamedTuple):
    """
    A basket at the shop, or another event; *properties* are those of a page's event.

    ``url`` picks a basket up.
    """

    id: str  # names this state of the basket: known ones are not written again
    event: str  # "cart_updated", "checkout_started", or the shop's own
    properties: Mapping[str, Json]
    at: Millis
    clues: Clues = Clues()


class ToldProduct(NamedTuple):
    """What changed of a product; None stays as it was."""

    id: str
    price: Money | None
    available: bool | None
    about: Mapping[str, Json]  # name, url, image, currency, line, category, brand, family
    was: Money | None = None  # the price before a reduction; lists alone tell it


class ToldErasure(NamedTuple):
    """Somebody whom the shop wants erased, and the numbers of that person's orders."""

    clues: Clues
    orders: tuple[str, ...] = ()


class Told(NamedTuple):
    """All that one delivery of a source says."""

    source: str  # "2checkout", "shopify": the source of its orders
    delivery: str  # names the delivery; a second one of this name changes nothing
    orders: tuple[ToldOrder, ...] = ()
    carts: tuple[ToldCart, ...] = ()
    products: tuple[ToldProduct, ...] = ()
    erasures: tuple[ToldErasure, ...] = ()


def encode(told: Told) -> str:
    """
    Return *told* as JSON.

    Texts of order lines are cut to their bound, and the first lines of long orders are
    kept. Raises InputError for all else that ``decode`` would refuse.
    """
    body = {
        "source": told.source,
        "delivery": told.delivery,
        "orders": [_encode_order(one) for one in told.orders],
        "carts": [_encode_cart(one) for one in told.carts],
        "products": [_encode_product(one) for one in told.products],
        "erasures": [
            {"orders": list(one.orders), **_list_clues(one.clues)} for one in told.erasures
        ],
    }
    text = orjson.dumps(_drop_empty(body)).decode()
    decode(text)
    return text


def decode(body: str) -> Told:
    """Return what *body* tells; raises InputError for another form, type or size."""
    given = _Given(bodies.parse(body), "the body")
    told = Told(
        source=given.read("source", _read_name),
        delivery=given.read("delivery", _read_label),
        orders=given.read_parts("orders", _decode_order),
        carts=given.read_parts("carts", _decode_cart),
        products=given.read_parts("products", _decode_product),
        erasures=given.read_parts("erasures", _decode_erasure),
    )
    given.refuse_others()
    return told


# --- to JSON -------------------------------------------------------------------------------


def _encode_order(told: ToldOrder) -> dict[str, Json]:
    return {
        "number": told.number,
        "state": told.state.value,
        "total": _list_money(told.total),
        "refunded": _list_money(told.refunded),
        "lines": [_encode_line(one) for one in told.lines[: limits.MAX_ORDER_LINES]],
        "at": told.at,
        **_list_clues(told.clues),
        "codes": list(told.codes),
        "test": told.test or None,
        "refund": _list_money(told.refund),
    }


def _encode_line(line: Line) -> dict[str, Json]:
    most = limits.MAX_CART_TEXT_CHARACTERS
    return _drop_empty(
        {
            "id": line.id and line.id[:most],
            "name": line.name and line.name[:most],
            "quantity": line.quantity,
            "price": _list_money(line.price),
        }
    )


def _encode_cart(told: ToldCart) -> dict[str, Json]:
    return {
        "id": told.id,
        "event": told.event,
        "properties": dict(told.properties),
        "at": told.at,
        **_list_clues(told.clues),
    }


def _encode_product(told: ToldProduct) -> dict[str, Json]:
    return {
        "id": told.id,
        "price": _list_money(told.price),
        "available": told.available,
        "about": dict(told.about),
    }


def _list_clues(clues: Clues) -> dict[str, Json]:
    return clues._asdict()


def _list_money(amount: Money | None) -> Json:
    return None if amount is None else list(amount)


def _drop_empty(values: Mapping[str, Json]) -> dict[str, Json]:
    """Return *values* without what is absent; a part of a list likewise, but not deeper."""
    return {
        key: [_drop_empty(one) if isinstance(one, dict) else one for one in value]
        if isinstance(value, list)
        else value
        for key, value in values.items()
        if value is not None and value != []
    }


# --- from JSON -----------------------------------------------------------------------------


class _Given:
    """The values of an object, each to be read once; *name* is for errors."""

    def __init__(self, values: Json, name: str) -> None:
        if not isinstance(values, dict):
            raise InputError(f"{name} is no object")
        self._values, self._name = dict(values), name

    def read(self, key: str, check: Callable[[Json], _Part]) -> _Part:
        """Return a value; raises InputError with its name."""
        try:
            return check(self._values.pop(key, None))
        except InputError as error:
            raise InputError(f"{key} of {self._name} {error}") from error

    def find(self, key: str, check: Callable[[Json], _Part]) -> _Part | None:
        """Return a value that may be absent."""
        return self.read(key, check) if key in self._values else None

    def read_parts(
        self,
        key: str,
        read: Callable[["_Given"], _Part],
        most: int = limits.MAX_TOLD_PARTS,
    ) -> tuple[_Part, ...]:
        """Return the objects of a list, which may be absent."""
        found = []
        for number, one in enumerate(self.read(key, _bound(most)), 1):
            part = _Given(one, f"{key}[{number}]")
            found.append(read(part))
            part.refuse_others()
        return tuple(found)

    def refuse_others(self) -> None:
        # What is misspelt here would be lost without a word.
        if self._values:
            raise InputError(f"{self._name} has something unknown: {min(self._values)[:40]!a}")


def _bound(most: int) -> Callable[[Json], list[Json]]:
    def check(value: Json) -> list[Json]:
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            raise InputError(f"is no list of at most {most}")
        return value

    return check


def _decode_order(given: _Given) -> ToldOrder:
    told = ToldOrder(
        number=given.read("number", _read_number),
        state=given.read("state", _read_state),
        total=given.find("total", _read_amount),
        refunded=given.find("refunded", _read_amount),
        lines=given.read_parts("lines", _decode_line, limits.MAX_ORDER_LINES),
        at=given.read("at", _read_time),
        clues=_decode_clues(given),
        codes=given.read("codes", _read_codes),
        test=given.find("test", _read_switch) or False,
        refund=given.find("refund", _read_amount),
    )
    currencies = {it.currency for it in (told.total, told.refunded, told.refund) if it}
    if len(currencies) > 1:
        raise InputError("an order's refund has another currency than its total")
    return told


def _decode_line(given: _Given) -> Line:
    return Line(
        given.find("id", _read_text),
        given.find("name", _read_text),
        given.find("quantity", _read_quantity),
        given.find("price", _read_price),
    )


def _decode_cart(given: _Given) -> ToldCart:
    return ToldCart(
        id=given.read("id", _read_label),
        event=given.read("event", _read_cart_event),
        properties=given.read("properties", _read_free),
        at=given.read("at", _read_time),
        clues=_decode_clues(given),
    )


def _decode_product(given: _Given) -> ToldProduct:
    return ToldProduct(
        id=given.read("id", _read_label),
        price=given.find("price", _read_amount),
        available=given.find("available", _read_switch),
        about=given.read("about", _read_free),
    )


def _decode_erasure(given: _Given) -> ToldErasure:
    numbers = given.read("orders", _bound(limits.MAX_TOLD_PARTS))
    return ToldErasure(_decode_clues(given), tuple(_read_number(one) for one in numbers))


def _decode_clues(given: _Given) -> Clues:
    return Clues(
        given.find("cart_key", fields.cart_key),
        given.find("alias", fields.alias),
        given.find("email_hash", fields.email_hash),
        given.find("subscriber", fields.public_id),
    )


def _read_label(value: Json) -> str:
    return fields.label(value)


def _read_name(value: Json) -> str:
    return fields.label(value, limits.MAX_ID_CHARACTERS)


def _read_number(value: Json) -> str:
    return fields.label(value, limits.MAX_ORDER_NUMBER_CHARACTERS)


def _read_state(value: Json) -> State:
    try:
        return State(str(value))
    except ValueError:
        raise InputError(f"is none of {', '.join(State)}") from None


def _read_cart_event(value: Json) -> str:
    name = events.name_event(fields.label(value, limits.MAX_ID_CHARACTERS))
    if name in _OTHERS:
        raise InputError("is an event that is not told so")
    return name


def _read_text(value: Json) -> str:
    most = limits.MAX_CART_TEXT_CHARACTERS
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        raise InputError(f"is no text of at most {most} characters")
    return value


def _read_time(value: Json) -> Millis:
    if type(value) is not int or not 0 <= value < limits.MAX_NUMBER:
        raise InputError("is no time in milliseconds")
    return value


def _read_quantity(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError("is no number")
    if not 0 <= value < limits.MAX_NUMBER:
        raise InputError("is below 0, or too large")
    return value


def _read_switch(value: Json) -> bool:
    if not isinstance(value, bool):
        raise InputError("is neither true nor false")
    return value


def _read_codes(value: Json) -> tuple[str, ...]:
    return tuple(fields.label(one) for one in _bound(limits.MAX_ORDER_CODES)(value))


def _read_free(value: Json) -> Mapping[str, Json]:
    return {} if value is None else fields.free(value)


def _read_price(value: Json) -> Money:
    if not isinstance(value, list) or len(value) != 3:
        raise InputError("is no list of minor units, exponent and currency")
    minor, exponent, currency = value
    if type(minor) is not int or type(exponent) is not int:
        raise InputError("has minor units or an exponent that are no whole number")
    if not 0 <= exponent <= _MAX_DIGITS or abs(minor) >= LARGEST * 10**exponent:
        raise InputError("is beyond what an amount can be")
    if currency is not None and currency not in amounts.CURRENCIES:
        raise InputError("has a currency that ISO 4217 doesn't know")
    return Money(minor, exponent, currency)


def _read_amount(value: Json) -> Money:
    amount = _read_price(value)
    if amount.minor < 0:
        raise InputError("is below 0")
    return amount

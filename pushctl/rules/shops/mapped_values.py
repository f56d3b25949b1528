"""The mappings of a "mapped" source: which path finds which value, and what it means."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import amounts
from pushctl.rules.events import KNOWN
from pushctl.rules.limits import (
    MAX_CART_ITEMS,
    MAX_ID_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    MAX_TOLD_PARTS,
)
from pushctl.rules.money import LARGEST, Money
from pushctl.rules.shops import cart, payload
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.told import CARTS, Clues, ToldCart, ToldOrder, ToldProduct
from pushctl.rules.units import SECOND
from pushctl.rules.web import fields as fields_of

# Seconds since the epoch have ten digits for two centuries more, milliseconds thirteen.
_MOST_SECONDS = 100_000_000_000
_Email = Callable[[str], str | None]


@lru_cache(maxsize=512)
def _compile(path: str) -> Any:
    return jmespath.compile(path)


def check_path(path: str) -> tuple[str, str] | None:
    """Check a path of JMESPath; it is part of a setting's metadata."""
    remedy = "Write a path as on jmespath.org: data.order.id"
    if not 0 < len(path) <= MAX_TEXT_CHARACTERS:
        return f"is a path of {len(path)} characters", remedy
    try:
        _compile(path)
    except (JMESPathError, RecursionError) as error:
        return f"is no path: {str(error).splitlines()[0]}", remedy
    return None


def _path(remedy: str | None = None) -> Any:
    metadata: dict[str, Any] = {"check": check_path, "path": True}
    if remedy is None:
        return field(default=None, metadata=metadata)
    return field(metadata={**metadata, "remedy": remedy})


@dataclass(frozen=True, kw_only=True)
class Common:
    """Paths that every mapping has."""

    when: str | None = _path()  # false, null, "" or [] there: the mapping is not meant
    each: str | None = _path()  # a list: the other paths begin at each of its elements
    currency: str | None = _path()
    minor: bool = False  # amounts are whole minor units


@dataclass(frozen=True, kw_only=True)
class Whose(Common):
    """Paths to what tells whose it is."""

    cart_key: str | None = _path()
    alias: str | None = _path()
    email: str | None = _path()
    at: str | None = _path()  # ISO 8601, or seconds or milliseconds since the epoch
    items: str | None = _path()  # a list; the paths of an item begin at its elements
    item_id: str | None = _path()
    item_name: str | None = _path()
    item_quantity: str | None = _path()
    item_price: str | None = _path()
    total: str | None = _path()


def _check_states(words: Mapping[str, str]) -> tuple[str, str] | None:
    for word, state in words.items():
        if state not in tuple(State):
            return f"has {word!r} = {state!r}", f"Write one of: {', '.join(State)}."
    return None


@dataclass(frozen=True, kw_only=True)
class OrderMap(Whose):
    """[[sources.NAME.orders]]"""

    number: str = _path("Write the path of what names the order.")
    state: str = _path("Write the path of its state, or \"'paid'\".")
    # their words for states: {"settled" = "paid"}
    states: Mapping[str, str] = field(default_factory=dict, metadata={"check": _check_states})
    refunded: str | None = _path()
    codes: str | None = _path()
    test: str | None = _path()


def _check_event(value: str) -> tuple[str, str] | None:
    if value in CARTS:
        return None
    return f"is {value!r}", f"Write one of: {', '.join(CARTS)}."


@dataclass(frozen=True, kw_only=True)
class CartMap(Whose):
    """[[sources.NAME.carts]]"""

    event: str = field(default=cart.UPDATED, metadata={"check": _check_event})
    url: str | None = _path()


def _check_name(value: str) -> tuple[str, str] | None:
    try:
        fields_of.label(value, MAX_ID_CHARACTERS)
    except InputError as error:
        return str(error), "Write the event's name: bonus_credited"
    if value.casefold() in KNOWN:
        return f"is {value!r}, which pushctl makes itself or reads from carts", "Write another."
    return None


def _check_each_path(pair: tuple[str, str]) -> tuple[str, str] | None:
    return check_path(pair[1])


@dataclass(frozen=True, kw_only=True)
class EventMap(Common):
    """[[sources.NAME.events]]"""

    name: str = field(
        metadata={"check": _check_name, "remedy": "Write the event's name: bonus_credited"}
    )
    id: str | None = _path()  # what names one event; none: all of its content
    at: str | None = _path()
    cart_key: str | None = _path()
    alias: str | None = _path()
    email: str | None = _path()
    # name -> path
    properties: Mapping[str, str] = field(
        default_factory=dict, metadata={"each": _check_each_path}
    )


@dataclass(frozen=True, kw_only=True)
class ProductMap(Common):
    """[[sources.NAME.products]]"""

    id: str = _path("Write the path of what names the product.")
    price: str | None = _path()
    available: str | None = _path()
    name: str | None = _path()
    url: str | None = _path()
    image: str | None = _path()


def parse(raw: bytes) -> Json:
    try:
        return json.loads(raw, parse_constant=payload.refuse_constant)
    except (ValueError, RecursionError):
        raise InputError("it is not JSON") from None


class Reader:
    """Finds the values of mappings in one delivery."""

    def __init__(self, body: Json, email: _Email) -> None:
        self._body = body
        self._email = email

    def find(self, path: str) -> Json:
        return _search(path, self._body)

    def list_orders(self, mapping: OrderMap) -> Iterator[ToldOrder]:
        for place in self._list_places(mapping):
            yield self._read_order(mapping, place)

    def list_carts(self, mapping: CartMap) -> Iterator[ToldCart]:
        for place in self._list_places(mapping):
            yield self._read_cart(mapping, place)

    def list_events(self, mapping: EventMap) -> Iterator[ToldCart]:
        for place in self._list_places(mapping):
            yield self._read_event(mapping, place)

    def list_products(self, mapping: ProductMap) -> Iterator[ToldProduct]:
        for place in self._list_places(mapping):
            yield self._read_product(mapping, place)

    def list_unfound(self, mapping: Common) -> list[str]:
        """Return the settings of *mapping* whose paths find nothing where it is meant."""
        found: dict[str, bool] = {}
        for place in self._list_places(mapping):
            items = payload.list_tables(_search(getattr(mapping, "items", None), place))
            first = items[0] if items else None
            for each in fields(mapping):
                path = getattr(mapping, each.name)
                if path is None or not each.metadata.get("path") or each.name in _FRAME:
                    continue
                start = first if each.name.startswith("item_") else place
                found[each.name] = (
                    found.get(each.name, False) or _search(path, start) is not None
                )
            for name, path in getattr(mapping, "properties", {}).items():
                key = f"properties.{name}"
                found[key] = found.get(key, False) or _search(path, place) is not None
        if not found:
            return ["when" if mapping.when else "each"]
        return [name for name, there in found.items() if not there]

    def _list_places(self, mapping: Common) -> list[Json]:
        if mapping.when is not None and not _search(mapping.when, self._body):
            return []
        if mapping.each is None:
            return [self._body]
        found = _search(mapping.each, self._body)
        return found[:MAX_TOLD_PARTS] if isinstance(found, list) else []

    def _read_order(self, mapping: OrderMap, place: Json) -> ToldOrder:
        number = payload.read_id(_search(mapping.number, place))
        if number is None:
            raise InputError("orders.number finds nothing")
        word = _search(mapping.state, place)
        state = mapping.states.get(str(word), str(word))
        if state not in tuple(State):
            raise InputError("orders.state finds a word that orders.states doesn't name")
        money = _Money(mapping, place)
        codes = _search(mapping.codes, place)
        return ToldOrder(
            number=number,
            state=State(state),
            total=money.read(mapping.total),
            refunded=money.read(mapping.refunded),
            lines=tuple(self._list_lines(mapping, place, money)),
            at=_read_time(_search(mapping.at, place)),
            clues=self._read_clues(mapping, place),
            codes=payload.read_codes(codes if isinstance(codes, list) else [codes]),
            test=_search(mapping.test, place) is True,
        )

    def _read_cart(self, mapping: CartMap, place: Json) -> ToldCart:
        money = _Money(mapping, place)
        lines = self._list_lines(mapping, place, money)
        total = money.read(mapping.total)
        properties: dict[str, Json] = {
            "items": [_make_item(one) for one in lines[:MAX_CART_ITEMS]]
            if mapping.items
            else None,
            "total": total and total.number,
            "currency": money.currency,
            "url": payload.read_text(_search(mapping.url, place)),
        }
        at, clues = _read_time(_search(mapping.at, place)), self._read_clues(mapping, place)
        kept = {name: value for name, value in properties.items() if value is not None}
        content = json.dumps([kept, at, list(clues)], sort_keys=True)
        name = payload.name_delivery("cart", content)
        return ToldCart(name, mapping.event, kept, at, clues)

    def _read_event(self, mapping: EventMap, place: Json) -> ToldCart:
        found = {key: _search(path, place) for key, path in mapping.properties.items()}
        kept = {key: value for key, value in found.items() if _can_be_kept(key, value)}
        at, clues = _read_time(_search(mapping.at, place)), self._read_clues(mapping, place)
        own = payload.read_id(_search(mapping.id, place))
        content = own or json.dumps([kept, at, list(clues)], sort_keys=True)
        return ToldCart(
            payload.name_delivery(mapping.name, content), mapping.name, kept, at, clues
        )

    def _read_product(self, mapping: ProductMap, place: Json) -> ToldProduct:
        number = payload.read_id(_search(mapping.id, place))
        if number is None:
            raise InputError("products.id finds nothing")
        here = _search(mapping.available, place)
        about = {
            name: payload.read_text(_search(getattr(mapping, name), place))
            for name in ("name", "url", "image")
        }
        return ToldProduct(
            id=number,
            price=_Money(mapping, place).read(mapping.price, fine=True),
            available=here if isinstance(here, bool) else None,
            about={name: value for name, value in about.items() if value},
        )

    def _read_clues(self, mapping: Whose | EventMap, place: Json) -> Clues:
        return Clues(
            cart_key=payload.read_key(_search(mapping.cart_key, place)),
            alias=payload.read_alias(_search(mapping.alias, place)),
            email_hash=payload.hash_email(_search(mapping.email, place), self._email),
        )

    def _list_lines(self, mapping: Whose, place: Json, money: "_Money") -> list[Line]:
        found = _search(mapping.items, place)
        return [
            Line(
                id=payload.read_id(_search(mapping.item_id, one)),
                name=payload.read_text(_search(mapping.item_name, one)),
                quantity=payload.read_quantity(
                    _make_exact(_search(mapping.item_quantity, one))
                ),
                price=money.read(mapping.item_price, one, fine=True),
            )
            for one in payload.list_tables(found)
        ]


# Not values of a thing.
_FRAME = ("when", "each")


class _Money:
    """Reads the amounts of one thing in its currency."""

    def __init__(self, mapping: Common, place: Json) -> None:
        self._place = place
        self._minor = mapping.minor
        self.currency = payload.read_currency(_search(mapping.currency, place))

    def read(self, path: str | None, place: Json = None, *, fine: bool = False) -> Money | None:
        value = _make_exact(_search(path, self._place if place is None else place))
        if not self._minor:
            return payload.read_amount(value, self.currency, fine=fine)
        number = payload.read_number(value)
        whole = number is not None and number == number.to_integral_value()
        if number is None or not whole or not 0 <= number < LARGEST or self.currency is None:
            return None
        return Money(int(number), amounts.count_decimals(self.currency), self.currency)


def _search(path: str | None, place: Json) -> Json:
    if path is None:
        return None
    try:
        return _compile(path).search(place)
    except (JMESPathError, RecursionError, ArithmeticError, TypeError, ValueError):
        return None  # a function was given what it can't take


def _can_be_kept(name: str, value: Json) -> bool:
    """Return whether a property of an event is within the bounds of all events."""
    if value is None:
        return False
    try:
        fields_of.free({name: value})
        json.dumps(value, ensure_ascii=False).encode()
    except (InputError, UnicodeEncodeError):
        return False
    return True


def _make_exact(value: Json) -> Json:
    # The shortest text of a float is what was written.
    return Decimal(repr(value)) if isinstance(value, float) else value


def _read_time(value: Json) -> Millis:
    if isinstance(value, str):
        return payload.read_time(value) or payload.NOW
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return payload.NOW
    at = round(value * SECOND) if value < _MOST_SECONDS else round(value)
    return at if at < 1_000 * _MOST_SECONDS else payload.NOW


def _make_item(line: Line) -> dict[str, Json]:
    price = line.price and line.price.number
    item = {"id": line.id, "name": line.name, "quantity": line.quantity, "price": price}
    return {name: value for name, value in item.items() if value is not None}

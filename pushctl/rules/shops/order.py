"""Orders: what one is, and how a page's ``purchase`` becomes one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from pushctl.model import Json
from pushctl.rules import money
from pushctl.rules.limits import MAX_ORDER_NUMBER_CHARACTERS
from pushctl.rules.money import Money
from pushctl.rules.shops import cart

# What names the order; "id" alone is a product's.
NUMBERS = ("order", "order_id", "transaction_id")

PAGE = "page"  # the source: what the buyer's browser says


class State(StrEnum):
    PENDING = "pending"  # placed, and not paid yet
    PAID = "paid"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Line(NamedTuple):
    """What was bought; None where it is not known."""

    id: str | None
    name: str | None
    quantity: float | None
    price: Money | None  # of one


class Purchase(NamedTuple):
    """An order as its source tells it."""

    number: str  # unique for the source and the site
    total: Money | None
    lines: tuple[Line, ...]


def read(properties: Mapping[str, Json], currency: str | None) -> Purchase | None:
    """
    Return the order that a ``purchase`` tells of, or None where it names none.

    *currency* is the site's, for amounts that name none. A total that can't be meant
    (below 0, unreadable, in two currencies) is unknown.
    """
    number = _read_number(properties)
    if number is None:
        return None
    told = cart.complete(properties, currency)
    total = money.of(*cart.read_worth(told))
    return Purchase(number, None if total and total.minor < 0 else total, _read_lines(told))


def _read_number(properties: Mapping[str, Json]) -> str | None:
    for name in NUMBERS:
        value = properties.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value).strip()
            if 0 < len(text) <= MAX_ORDER_NUMBER_CHARACTERS:
                return text
    return None


def _read_lines(told: Mapping[str, Json]) -> tuple[Line, ...]:
    return tuple(
        Line(it.id, it.name, it.quantity, money.of(it.price, it.currency, fine=True))
        for it in cart.list_items(told)
    )

"""Orders: what one is, and how a page's ``purchase`` becomes one."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from pushctl.model import Json
from pushctl.rules import money
from pushctl.rules.limits import MAX_ORDER_NUMBER_CHARACTERS
from pushctl.rules.money import Money
from pushctl.rules.shops import cart, promo_codes

# What names the order; "id" alone is a product's.
NUMBERS = ("order", "order_id", "order_number", "transaction_id")

# Where exports of shops say what became of an order, and their words for one without money.
_STATES = ("status", "state", "order_status", "payment_status", "financial_status")
_UNPAID = frozenset(
    ("cancelled", "canceled", "refunded", "failed", "voided", "declined", "expired", "unpaid",
     "pending", "pending payment", "on hold", "draft", "checkout draft", "trash")
)  # fmt: skip

PAGE = "page"  # the source: what the buyer's browser says

# Sources that have the shop's own numbers, and not those of one program; of two that tell of
# the same number the later one in this list is believed, and each program before them all.
GENERAL = (PAGE, "import", "api")


def are_same(one: str, other: str) -> bool:
    """Return whether a number of one source is the same order as that number of another."""
    return one == other or one in GENERAL or other in GENERAL


def rank(source: str) -> int:
    """Return how far a source is believed beside others."""
    return GENERAL.index(source) if source in GENERAL else len(GENERAL)


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
    codes: tuple[str, ...] = ()  # promo codes


def read(properties: Mapping[str, Json], currency: str | None) -> Purchase | None:
    """
    Return the order that a ``purchase`` tells of, or None where it names none.

    *currency* is the site's, for amounts that name none. A total that can't be meant
    (below 0, unreadable, in two currencies) is unknown.
    """
    number = read_number(properties)
    if number is None:
        return None
    told = cart.complete(properties, currency)
    total = money.of(*cart.read_worth(told))
    known = None if total and total.minor < 0 else total
    return Purchase(number, known, _read_lines(told), promo_codes.list_told(properties))


def read_number(properties: Mapping[str, Json]) -> str | None:
    """Return the number that a ``purchase`` gives its order, or None."""
    for name in NUMBERS:
        value = properties.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value).strip()
            if 0 < len(text) <= MAX_ORDER_NUMBER_CHARACTERS:
                return text
    return None


def find_unpaid_state(properties: Mapping[str, Json]) -> str | None:
    """Return the word by which an exported order says that nobody paid for it, or None."""
    for name in _STATES:
        word = re.sub(r"[\s_-]+", " ", str(properties.get(name, "")).strip().lower())
        if word.removeprefix("wc ") in _UNPAID:
            return word
    return None


def _read_lines(told: Mapping[str, Json]) -> tuple[Line, ...]:
    return tuple(
        Line(it.id, it.name, it.quantity, money.of(it.price, it.currency, fine=True))
        for it in cart.list_items(told)
    )

"""What shops tell, as the receiver would write it to the inbox."""

from itertools import count
from typing import Any

from pushctl.model import InboxRecord, Millis
from pushctl.rules.money import Money
from pushctl.rules.shops import told
from pushctl.rules.shops.order import State
from pushctl.rules.shops.told import Clues, Told, ToldOrder
from tests.support import NOON

_numbers = count()


def tell_order(
    number: str, state: str, at: Millis = NOON, total: int | None = 5000,
    currency: str = "EUR", clues: Clues = Clues(), **more: Any,
) -> ToldOrder:  # fmt: skip
    amount = None if total is None else Money(total, 2, currency)
    values = {"refunded": None, "lines": (), **more}
    return ToldOrder(
        number=number, state=State(state), total=amount, at=at, clues=clues, **values
    )


def record(
    *orders: ToldOrder, source: str = "shopify", delivery: str | None = None,
    at: Millis = NOON, site: str = "shop", **parts: Any,
) -> InboxRecord:  # fmt: skip
    """Return the line of a delivery; each has a name of its own where none is given."""
    number = next(_numbers)
    said = Told(source, delivery or f"d{number}", orders, **parts)
    body = told.encode(said)
    return InboxRecord(id=f"t{number:021}", at=at, path=told.PATH, site=site, body=body)

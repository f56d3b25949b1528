"""
Events by which a server or a file tells of an order: placed, paid, cancelled, given back.

Their names and fields are those of web analytics: a ``refund`` has the order's number and
what it gave back, or no amount where all of it was. A page's are events alone: it may
report its own purchase, and give nothing back.
"""

from collections.abc import Mapping

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules.shops import cart, order
from pushctl.rules.shops.order import State
from pushctl.rules.shops.told import Clues, ToldOrder

PENDING, CANCELLED, REFUND = "order_pending", "order_cancelled", "refund"

_STATES = {
    PENDING: State.PENDING,
    cart.PURCHASE: State.PAID,
    CANCELLED: State.CANCELLED,
    REFUND: State.REFUNDED,
}
# Of these an order has one each, whichever id its event has.
ONCE = (PENDING, cart.PURCHASE, CANCELLED)


def read(
    name: str, properties: Mapping[str, Json], currency: str | None, at: Millis, clues: Clues
) -> ToldOrder | None:
    """
    Return what the event *name* tells of an order; None where it tells of none.

    *currency* is the site's. Raises InputError for a refund whose amount can't be meant:
    without one, all was given back.
    """
    state = _STATES.get(name)
    found = order.read(properties, currency) if state else None
    if state is None or found is None:
        return None
    if state is not State.REFUNDED:
        return ToldOrder(
            found.number, state, found.total, None, found.lines, at, clues, found.codes
        )
    if found.total is None and any(properties.get(it) is not None for it in cart.AMOUNTS):
        raise InputError("the amount of a refund can't be read")
    if found.total is not None and found.total.minor <= 0:
        raise InputError("a refund gives back nothing")
    return ToldOrder(found.number, state, None, None, (), at, clues, refund=found.total)

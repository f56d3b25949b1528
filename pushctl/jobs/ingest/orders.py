"""
The orders of pages: one for each ``purchase`` that has an order's number, once.

A number that the shop itself has told of is that order; a page then tells whose it may be.
Without a number no order is written: a page that is loaded again would count twice. The
event ends reminders all the same. An order is its subscription's from the beginning.
"""

from collections.abc import Iterable

from pushctl.jobs.ingest import shop_orders
from pushctl.jobs.ingest.verify import Context
from pushctl.model import InboxRecord
from pushctl.rules.limits import MAX_DAILY_PAGE_ORDERS
from pushctl.rules.shops import cart, order
from pushctl.rules.units import DAY
from pushctl.store.events import Event
from pushctl.store.orders import Found

NEW, KNOWN = "written", "known already"
NO_NUMBER = "not written: a purchase without an order number"
TOO_MANY = f"not written: more than {MAX_DAILY_PAGE_ORDERS} of one subscriber in a day"


def write(ctx: Context, record: InboxRecord, events: Iterable[Event]) -> None:
    """Write the orders among a request's *events*."""
    for event in events:
        if event.name == cart.PURCHASE:
            ctx.orders[_write(ctx, record.site, event)] += 1


def _write(ctx: Context, site: str, event: Event) -> str:
    bought = order.read(event.properties, ctx.currencies[site])
    if bought is None:
        return NO_NUMBER
    orders, buyer = ctx.store.orders, event.subscription
    # Anybody can send purchases, and orders are kept for ever.
    if orders.count_since(buyer, event.received_at - DAY) >= MAX_DAILY_PAGE_ORDERS:
        return TOO_MANY
    told = orders.find_verified(ctx.sites[site], bought.number)
    if told is not None:
        shop_orders.claim(ctx.store, told, buyer, event.at)
        if told.id is not None and told.history.is_bought:
            # Not every shop tells which codes it took.
            ctx.store.promo_codes.redeem(told.id, bought.codes, event.at)
        return KNOWN
    new = orders.add(
        ctx.sites[site], order.PAGE, bought, order.State.PAID, event.at, event.received_at,
        Found(buyer, None, order.PAGE),
    )  # fmt: skip
    return NEW if new else KNOWN

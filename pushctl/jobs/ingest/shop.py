"""
What a shop has told: orders, baskets, products, people to erase.

The receiver has verified it. A delivery is applied once; a part of it that can't be applied
is counted, and the others are.
"""

from collections.abc import Callable
from typing import TypeVar

from pushctl.errors import InputError
from pushctl.jobs.ingest import erasures, matching, preferences, products, shop_orders, tracking
from pushctl.jobs.ingest.verify import Body, Context
from pushctl.model import InboxRecord
from pushctl.rules.shops import cart, told
from pushctl.rules.shops.told import ToldCart, ToldErasure, ToldProduct
from pushctl.store.events import Event

NOBODYS_CART = "a basket or event of nobody who is known"

_Part = TypeVar("_Part")


def apply(ctx: Context, record: InboxRecord, _body: Body) -> str:
    """Apply a delivery of a source; raises InputError for one of another form."""
    said = told.decode(record.body)
    site, source = ctx.sites[record.site], said.source
    if not ctx.store.shop_deliveries.take(site, source, said.delivery, record.at):
        return f"{source} told it before"
    for order in said.orders:
        _try(ctx, "an order", order, lambda one: _take_order(ctx, record, source, one))
    for basket in said.carts:
        _try(ctx, "a basket", basket, lambda one: _take_cart(ctx, record, source, one))
    for product in said.products:
        _try(ctx, "a product", product, lambda one: _take_product(ctx, record, one))
    for person in said.erasures:
        _try(ctx, "an erasure", person, lambda one: _erase(ctx, record, source, one))
    return f"told by {source}"


def _try(ctx: Context, name: str, part: _Part, take: Callable[[_Part], None]) -> None:
    try:
        with ctx.store.savepoint():
            take(part)
    except (InputError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        why = str(error) if isinstance(error, InputError) else f"bug: {type(error).__name__}"
        ctx.left_out[f"{name} of a shop: {why}"] += 1


def _take_order(ctx: Context, record: InboxRecord, source: str, one: told.ToldOrder) -> None:
    ctx.orders[shop_orders.apply_told(ctx, record.site, source, one, record.at)] += 1


def _take_cart(ctx: Context, record: InboxRecord, source: str, one: ToldCart) -> None:
    fault = cart.find_fault(one.event, one.properties)
    if fault:
        ctx.event_faults[fault] += 1
        return
    people = matching.find_people(ctx, record.site, one.clues).subscriptions
    if not people:
        ctx.left_out[NOBODYS_CART] += 1
    at = min(one.at or record.at, record.at)
    key = f"{source}:{one.id}"
    events = [
        Event(who, one.event, at, record.at, one.properties, f"{who}:{key}") for who in people
    ]
    admitted = tracking.admit_events(ctx.store, events)
    if admitted:
        ctx.store.events.add(admitted)


def _take_product(ctx: Context, record: InboxRecord, one: ToldProduct) -> None:
    shop = products.Shop(
        ctx.sites[record.site], ctx.links[record.site], ctx.currencies[record.site]
    )
    products.change(ctx.store, shop, one, record.at)


def _erase(ctx: Context, record: InboxRecord, source: str, one: ToldErasure) -> None:
    """Erase who is named, with all browsers of theirs, and what their orders say of them."""
    store, site = ctx.store, ctx.sites[record.site]
    people = matching.list_named(store, site, one.clues)
    # Also of somebody who has no browser here: lines of orders may name them.
    ctx.erased_names.update(name for name in one.clues if name is not None)
    for who in store.subscriptions.get_many([each.id for each in people]):
        preferences.erase_subscription(ctx, who.id, who.public_id, record.at)
    if one.clues.alias is not None:
        store.erasure.remove_alias_from_audiences(one.clues.alias)
    store.erasure.blank_orders(site, source, one.clues, one.orders)
    keys = erasures.list_buyer_keys(record.site, source, one.clues, one.orders)
    ctx.erased_buyers.extend((key, record.at) for key in keys)

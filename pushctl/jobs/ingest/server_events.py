"""
Events that a shop's server tells: they are the person's, on each of their active browsers.

What tells of an order by its number (``rules/shops/order_events.py``) becomes one, also where
nobody is found: then it stands in `orders unmatched`, with the reason.
"""

from collections.abc import Sequence

from pushctl.errors import InputError
from pushctl.jobs.ingest import orders, shop_orders, tracking
from pushctl.jobs.ingest.matching import Match, find_people
from pushctl.jobs.ingest.verify import Context
from pushctl.model import InboxRecord, Json
from pushctl.rules.shops import cart, order_events, server_items
from pushctl.rules.shops.server_items import ToldEvent
from pushctl.rules.shops.told import Clues, ToldOrder
from pushctl.store.events import Event

SOURCE = "api"  # of its orders

Result = str | None  # why an item was not applied; None: it was


def apply(
    ctx: Context, record: InboxRecord, request: str, items: Sequence[Json]
) -> list[Result]:
    """Write the events of a request; return for each item why it was not applied, or None."""
    known: dict[Clues, Match] = {}
    results: list[Result] = []
    waiting: list[Event] = []  # written together, in their order
    for number, item in enumerate(items):
        try:
            clues = server_items.read_person(item)
            told = server_items.read_event(item, record.at)
            if fault := cart.find_fault(told.name, told.properties):
                ctx.event_faults[fault] += 1
                raise InputError(fault)
            if clues not in known:
                known[clues] = find_people(ctx, record.site, clues)
            bought = _read_order(ctx, record, told, clues)
            if bought is not None and _was_given_back(ctx, record, told, bought):
                results.append(None)
                continue
            if bought is not None and told.name == cart.PURCHASE:
                site_id, number_of = ctx.sites[record.site], bought.number
                at = shop_orders.date_purchase(ctx.store, site_id, number_of, told.at)
                told = told._replace(at=at)
            key = f"{request}:{number}"
            waiting += _list_events(record, told, known[clues], key, bought)
            if bought is not None:
                # Its event is there before the order would write one with less in it.
                _add(ctx, waiting)
                outcome = shop_orders.apply_told(ctx, record.site, SOURCE, bought, record.at)
                ctx.orders[outcome] += 1
            results.append(_explain(ctx, known[clues], bought))
        except InputError as error:
            results.append(str(error))
    _add(ctx, waiting)
    return results


def _read_order(
    ctx: Context, record: InboxRecord, told: ToldEvent, clues: Clues
) -> ToldOrder | None:
    """Return the order that an event tells of, None where it tells of none."""
    currency = ctx.currencies[record.site]
    found = order_events.read(told.name, told.properties, currency, told.at, clues)
    if found is None and told.name == cart.PURCHASE:
        ctx.orders[orders.NO_NUMBER] += 1
    if found is not None and found.refund is not None and told.id is None:
        raise InputError("a refund with an amount needs an id: told twice it would count twice")
    return found


def _was_given_back(
    ctx: Context, record: InboxRecord, told: ToldEvent, bought: ToldOrder
) -> bool:
    """Say whether a refund was told before, under this id; it is noted now."""
    if bought.refund is None:
        return False
    # Ids are the shop's, and may be numbers of each order's own.
    delivery = f"refund {told.id} of {bought.number}"
    site = ctx.sites[record.site]
    return not ctx.store.shop_deliveries.take(site, SOURCE, delivery, record.at)


def _list_events(
    record: InboxRecord, told: ToldEvent, people: Match, key: str, bought: ToldOrder | None
) -> list[Event]:
    """Return an item's events, one for each browser."""
    owner = () if people.owner is None else (people.owner,)
    return [
        Event(
            subscription=one,
            name=told.name,
            at=told.at,
            received_at=record.at,
            properties=told.properties,
            # A purchase is one, whoever tells of it, and under whichever id.
            dedupe_key=shop_orders.make_key(told.name, one, bought.number)
            if bought and told.name in order_events.ONCE
            else f"{one}:{told.id or key}",
        )
        for one in people.subscriptions or owner
    ]


def _add(ctx: Context, waiting: list[Event]) -> None:
    admitted = tracking.admit_events(ctx.store, waiting)
    if admitted:
        ctx.store.events.add(admitted)
    waiting.clear()


def _explain(ctx: Context, people: Match, bought: ToldOrder | None) -> Result:
    """Return why an event is not kept, or None."""
    if people.owner is None:
        # Most buyers are no subscribers: their orders are kept all the same.
        return None if bought else people.why_not or "nobody was found"
    everybody = people.subscriptions or (people.owner,)
    if tracking.find_untracked(ctx.store, everybody).issuperset(everybody):
        return tracking.NOT_KEPT
    return None

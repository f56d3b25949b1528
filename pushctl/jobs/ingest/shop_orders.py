"""
The orders of shops and programs: written, brought up to date, matched, now or later.

A verified source goes before a page: where both tell of a number of one site it is one
order, as the source tells it. What is paid becomes a ``purchase`` of each browser of the
person, as a page would send it, so that it ends their reminders.
"""

from collections.abc import Iterable, Mapping

import orjson

from pushctl.errors import InputError
from pushctl.jobs.ingest import matching, tracking
from pushctl.jobs.ingest.matching import Match
from pushctl.jobs.ingest.verify import Body, Context
from pushctl.model import InboxRecord, Json, Millis
from pushctl.rules.limits import MAX_LEVEL_ENTRIES
from pushctl.rules.money import Money
from pushctl.rules.shops import cart, order
from pushctl.rules.shops.history import PAYMENT_TAKES, History
from pushctl.rules.shops.payload import BEFORE_ALL
from pushctl.rules.shops.told import Clues, ToldOrder
from pushctl.rules.units import DAY
from pushctl.rules.web import fields
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.orders import ERASED, NOBODYS, UNTRACKED, Found, StoredOrder, encode_lines

WRITTEN, CHANGED, KNOWN = "written", "changed", "known already"
UNMATCHED = "written: of no subscriber that is known"

# An unmatched order waits so long for somebody who subscribes or logs in.
WAITS: Millis = 60 * DAY
# A page's word about whose an order is holds for this time around its report.
_PAGE_HOLDS: Millis = 7 * DAY
# What was bought before ends no reminder that is still on its way.
_NEWS: Millis = 30 * DAY


def apply_told(
    ctx: Context, site: str, source: str, told: ToldOrder, received_at: Millis
) -> str:
    """
    Write an order as *source* tells it, and what follows of it; return what became of it.

    Tellings may come in any order; the caller takes each delivery once.
    """
    site_id, store = ctx.sites[site], ctx.store
    told = told._replace(at=told.at or received_at)
    row = store.orders.find_same(site_id, source, told.number)
    known = row if row and row.source == source else None
    clues = merge_clues(told.clues, row.clues if row else Clues())
    match = matching.find(store, site_id, clues)
    found = _find_owner(row, match, told.at)
    if row is not None and order.rank(row.source) > order.rank(source):
        return _match_known(store, row, found)
    made = StoredOrder(
        id=row.id if row else None,
        site=site_id,
        source=source,
        number=told.number,
        history=(known.history if known else History()).add(told),
        lines=_choose_lines(known, told),
        codes=tuple(sorted({*told.codes, *(known.codes if known else ())})),
        test=told.test or bool(known and known.test),
        received_at=row.received_at if row else received_at,
        found=found,
        clues=clues,
    )
    made = _withhold(store, made)
    if made == row:
        return KNOWN
    store.orders.save(made, told.codes)
    news = not (known and known.history.is_bought) or known.found != made.found
    if made.history.is_bought and news and made.found.unmatched != ERASED:
        add_purchases(store, made, _list_people(store, site_id, match, made.found), received_at)
    if row is not None:
        return CHANGED
    return UNMATCHED if made.found.unmatched else WRITTEN


def _match_known(store: Store, row: StoredOrder, found: Found) -> str:
    """Keep an order as a better source told of it; somebody may be found for it."""
    if row.found.subscription is None and found.subscription is not None:
        store.orders.save(_withhold(store, row._replace(found=found)))
    return KNOWN


def merge_clues(newer: Clues, older: Clues) -> Clues:
    pairs = zip(newer, older, strict=True)
    return Clues(*(one if one is not None else other for one, other in pairs))


def learn_cart_key(ctx: Context, record: InboxRecord, subscription: int, body: Body) -> None:
    """Note the key that a browser has put into its basket at the shop, if it names one."""
    given = body.get("cart")
    if given is None:
        return
    try:
        key = fields.cart_key(given)
    except InputError as error:
        raise InputError(f"cart {error}") from error
    site_id = ctx.sites[record.site]
    if ctx.store.matches.find_by_id(site_id, key):
        return  # of a link of ours, which somebody passed on: no script draws it
    if ctx.store.matches.learn_cart_key(site_id, key, subscription, record.at):
        match_late(ctx.store, site_id, subscription, Clues(cart_key=key), record.at)


def match_late(store: Store, site_id: int, subscription: int, clues: Clues, now: Millis) -> int:
    """Give a subscription the orders that waited for one of *clues*; return how many."""
    found = store.orders.list_unmatched(site_id, clues, now - WAITS)
    for one in found:
        how = next(
            name for name, mine, theirs in (
                (matching.CART_KEY, one.clues.cart_key, clues.cart_key),
                (matching.ALIAS, one.clues.alias, clues.alias),
                (matching.EMAIL, one.clues.email_hash, clues.email_hash),
            ) if mine is not None and mine == theirs
        )  # fmt: skip
        made = _withhold(store, one._replace(found=Found(subscription, None, how)))
        store.orders.save(made)
        if made.history.is_bought:
            people = matching.find(store, site_id, one.clues).subscriptions
            add_purchases(store, made, {subscription, *people}, now)
    return len(found)


def claim(store: Store, told: StoredOrder, buyer: int, at: Millis) -> None:
    """Give an order of a shop that is nobody's to the browser whose page reports it."""
    unmatched = told.found.subscription is None and told.found.unmatched not in NOBODYS
    if unmatched and abs(told.history.at - at) <= _PAGE_HOLDS:
        store.orders.save(told._replace(found=Found(buyer, None, order.PAGE)))


def tell_failed_payments(store: Store, now: Millis) -> int:
    """Note as ``payment_failed`` what was not paid in time; return how many orders."""
    found = store.orders.list_unpaid(now)
    for one in found:
        with store.write():
            match = matching.find(store, one.site, one.clues)
            people = _list_people(store, one.site, match, one.found)
            at = one.history.at + PAYMENT_TAKES
            if at > now - DAY and one.found.unmatched not in NOBODYS:
                _add_events(store, cart.FAILED, one, people, at, now)
            assert one.id is not None
            store.orders.set_failed(one.id, now)
    return len(found)


def add_purchases(
    store: Store, bought: StoredOrder, people: Iterable[int], received_at: Millis
) -> None:
    """Write the purchase once for each browser; a page's own report of it is the same one."""
    at = min(bought.history.at, received_at)
    if at > received_at - _NEWS:
        at = date_purchase(store, bought.site, bought.number, at)
        _add_events(store, cart.PURCHASE, bought, people, at, received_at)


def date_purchase(store: Store, site_id: int, number: str, at: Millis) -> Millis:
    """
    Return the time of the event of a purchase that was made *at*.

    Where a payment was called failed because nobody had told of it yet, it is after that: it
    ends what has begun by then.
    """
    return max(at, store.orders.get_failed_at(site_id, number) or at)


def _add_events(
    store: Store, name: str, told: StoredOrder, people: Iterable[int], at: Millis, now: Millis
) -> None:
    properties, key = _describe(told), told.number
    # Sources number their orders apart. Pages and servers mean the first one's.
    if store.orders.is_namesake(told.site, told.source, told.number):
        key = f"{told.number} of {told.source}"
    events = [Event(one, name, at, now, properties, make_key(name, one, key)) for one in people]
    admitted = tracking.admit_events(store, events)
    if admitted:
        store.events.add(admitted)


def make_key(name: str, subscription: int, number: str) -> str:
    """Return what makes an event of an order one, whoever tells of it."""
    return f"{subscription}:{name}:{number}"


def _describe(told: StoredOrder) -> dict[str, Json]:
    """Return an order as a page would tell of it."""
    total = told.history.total
    items = orjson.loads(told.lines)[:MAX_LEVEL_ENTRIES]
    properties: dict[str, Json] = {"order": told.number, "items": [*map(_describe_line, items)]}
    if total is not None:
        properties |= {"total": total.number, "currency": total.currency}
    if told.test:
        properties["test"] = True
    return {key: value for key, value in properties.items() if value not in (None, [])}


def _describe_line(line: Mapping[str, Json]) -> dict[str, Json]:
    told = {name: line[name] for name in ("id", "name", "quantity", "currency") if name in line}
    if line.get("minor") is not None:
        told["price"] = Money(line["minor"], line["exponent"], line.get("currency")).number
    return {key: value for key, value in told.items() if value is not None}


def _find_owner(row: StoredOrder | None, match: Match, at: Millis) -> Found:
    """Return whose an order is, *row* being what was known of it before."""
    if row is not None and row.found.unmatched in NOBODYS:
        return row.found
    owner = row.found.subscription if row else None
    by_page = owner is not None and row is not None and row.found.matched == order.PAGE
    if row is not None and owner is not None and not by_page:
        return row.found
    if match.owner is not None:
        return Found(match.owner, None, match.how)
    # A page can guess the numbers of orders to come.
    timeless = at == BEFORE_ALL
    near = row is not None and (timeless or abs(row.history.at - at) <= _PAGE_HOLDS)
    if row is not None and by_page and (near or row.source != order.PAGE):
        return row.found
    return Found(None, match.why_not)


def _choose_lines(known: StoredOrder | None, told: ToldOrder) -> str:
    """Return the lines of the newest word that has any, of two the greater."""
    lines = encode_lines(told.lines)
    if known is None or not told.lines:
        return known.lines if known else lines
    at = known.history.lines_at
    return lines if at is None else max((told.at, lines), (at, known.lines))[1]


def _withhold(store: Store, made: StoredOrder) -> StoredOrder:
    """Return what may be kept of an order: nothing of a person who does not want it."""
    owner = made.found.subscription
    untracked = owner is not None and bool(tracking.find_untracked(store, [owner]))
    return withhold(made, untracked=untracked)


def withhold(made: StoredOrder, *, untracked: bool) -> StoredOrder:
    """Return what may be kept of an order whose owner is *untracked* or not."""
    if untracked:
        made = made._replace(found=Found(None, UNTRACKED))
    if made.found.unmatched in NOBODYS:
        return made._replace(lines="[]", codes=(), clues=Clues())
    return made


def _list_people(store: Store, site_id: int, match: Match, found: Found) -> set[int]:
    """Return the browsers that get the order's events."""
    owner = found.subscription
    if owner is None or owner == match.owner:
        return set(match.subscriptions)
    return {*match.subscriptions, *matching.list_devices(store, site_id, owner)}

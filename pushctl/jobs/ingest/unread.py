"""
What people did, of which no drain knows yet: read from the inbox, and nothing is applied.

Who has bought or left a moment ago gets no reminder, although the next drain is a minute
away. A line is believed by the same proof that the drain asks for.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import orjson

from pushctl import inbox
from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.ingest import (
    drain,
    matching,
    requests,
    server_requests,
    shop_orders,
    tracking,
)
from pushctl.jobs.ingest.verify import Body, Context, Refusal, find_signer, is_signed
from pushctl.model import InboxRecord, Millis
from pushctl.rules import tokens
from pushctl.rules.limits import MAX_PAUSE_SECONDS
from pushctl.rules.shops import cart, order_events, server_items, told
from pushctl.rules.shops.history import History
from pushctl.rules.shops.told import Clues, ToldOrder
from pushctl.rules.units import MIB
from pushctl.rules.web import bodies
from pushctl.store import Store
from pushctl.store.subscriptions import KnownSubscription

# In one look, so that a backlog keeps nobody's outcomes waiting.
MOST_BYTES = 16 * MIB

# Why somebody wants no reminder any more.
UNSUBSCRIBED, ERASED = "unsubscribed meanwhile", "erased meanwhile"
PAUSED = "asked for a pause meanwhile"

# A letter of a name may be written as \\u0070: such a line is read whole.
_ESCAPE = b"\\\\u"


_Named = tuple[str, Millis]  # an event's name and time


class Seen(NamedTuple):
    """An event of a subscription, before it is an event of the database."""

    subscription: int
    name: str
    at: Millis


class Unread:
    """
    Finds the events called one of *names* in lines that came since it was made.

    *left* has who left or asked for a pause in them, each subscription with the reason.
    """

    def __init__(self, store: Store, config: Config, names: Collection[str]) -> None:
        self._store, self._config, self._names = store, config, frozenset(names)
        segments = inbox.list_segments(config.inbox)
        cursors = store.inbox_cursors.load(segments)
        self._peek = inbox.Peek(config.inbox, cursors, _make_needles(self._names))
        self._ctx: Context | None = None
        # Endpoints that moved, and whose new place no drain has written.
        self._moved: dict[bytes, KnownSubscription] = {}
        self.left: dict[int, str] = {}

    def look(self) -> tuple[list[Seen], bool]:
        """Return what came since the last look, and whether that is all of it."""
        records, whole = self._peek.look(MOST_BYTES)
        return [one for record in records for one in self._read(record)], whole

    def _read(self, record: InboxRecord) -> list[Seen]:
        """Return the events of a line; none where the drain will refuse it."""
        if self._ctx is None:
            self._ctx = drain.open_context(self._store, self._config, self._config.secret())
        read = _READERS.get(record.path)
        if read is None or record.site not in self._ctx.sites:
            return []
        try:
            return list(read(self, self._ctx, record, bodies.parse(record.body)))
        # As the drain has it: one bad line must stop nothing.
        except (Refusal, InputError, ValueError, TypeError, LookupError, ArithmeticError):
            return []

    def _read_events(self, ctx: Context, record: InboxRecord, body: Body) -> Iterator[Seen]:
        # Before the proof, which costs most.
        if not (found := self._list_events(record, body)):
            return
        known = self._find_signer(ctx, record, body, repeatable=True)
        yield from _believe(found, known.id, tracking.is_private(record, None, known))

    def _find_signer(
        self, ctx: Context, record: InboxRecord, body: Body, *, repeatable: bool
    ) -> KnownSubscription:
        """Return who signed a line, also at an endpoint that no drain knows yet."""
        known = self._moved.get(tokens.endpoint_hash(bodies.text(body, "endpoint")))
        if known is not None and is_signed(record, known.auth):
            return known
        return find_signer(ctx, record, body, repeatable=repeatable)

    def _read_leaving(self, ctx: Context, record: InboxRecord, body: Body) -> Iterable[Seen]:
        """Note who asks in the browser for no message, or for none for some time."""
        why = _WISHES.get(record.path, PAUSED)
        pause = body.get("pause") or 0
        if why is not PAUSED or (type(pause) is int and 0 < pause <= MAX_PAUSE_SECONDS):
            self._note(self._find_signer(ctx, record, body, repeatable=False).id, why)
        return ()

    def _read_dismissals(self, ctx: Context, record: InboxRecord, body: Body) -> Iterable[Seen]:
        """Note whom a shop's server unsubscribes or has erased."""
        if ctx.store.api_requests.find_digest(bodies.text(body, "request")) is not None:
            return ()  # applied before: they may have come back since
        for item in bodies.several(body, "items"):
            with suppress(InputError):  # that item alone is refused
                for one in server_requests.find_addressed(ctx, record, item):
                    self._note(one, _WISHES[record.path])
        return ()

    def _note(self, subscription: int, why: str) -> None:
        """Keep the reason that says most."""
        known = self.left.get(subscription)
        if known is None or known is PAUSED:
            self.left[subscription] = why

    def _read_subscribe(self, ctx: Context, record: InboxRecord, body: Body) -> Iterator[Seen]:
        made = requests.read_registration(ctx, record, body)
        known = ctx.store.subscriptions.find_by_endpoint(made.endpoint_hash)
        if known is None:
            known = requests.find_previous(ctx, record, body, made)
            if known is None:
                return  # somebody new: no message waits for them
            known = known._replace(auth=made.auth, p256dh=made.p256dh)
            self._moved[made.endpoint_hash] = known
        requests.check_keys(record, known, made)
        private = tracking.is_private(record, tracking.read_wish(body), known)
        yield from _believe(self._list_events(record, body), known.id, private)

    def _read_told(self, ctx: Context, record: InboxRecord, body: Body) -> Iterator[Seen]:
        """Yield what a shop tells: orders that are paid, and baskets."""
        said = told.decode(record.body)
        for order in said.orders:
            yield from self._read_order(ctx, record, order)
        for basket in said.carts:
            name = cart.meaning(basket.event, basket.properties)
            if not cart.find_fault(basket.event, basket.properties):
                at = min(basket.at or record.at, record.at)
                yield from self._name(ctx, record, basket.clues, name, at)

    def _read_items(self, ctx: Context, record: InboxRecord, body: Body) -> Iterator[Seen]:
        """Yield what a shop's server tells."""
        for item in bodies.several(body, "items"):
            with suppress(InputError):  # that item alone is refused
                clues = server_items.read_person(item)
                event = server_items.read_event(item, record.at)
                if not cart.find_fault(event.name, event.properties):
                    name, at = cart.meaning(event.name, event.properties), event.at
                    order = order_events.read(name, event.properties, None, at, clues)
                    if order is not None:
                        yield from self._read_order(ctx, record, order)
                    if order is None or name != cart.PURCHASE:
                        yield from self._name(ctx, record, clues, name, at)

    def _read_order(
        self, ctx: Context, record: InboxRecord, order: ToldOrder
    ) -> Iterator[Seen]:
        """Yield the purchase of an order that is paid, or was."""
        if History().add(order).is_bought:
            at, site = min(order.at or record.at, record.at), ctx.sites[record.site]
            at = shop_orders.date_purchase(ctx.store, site, order.number, at)
            yield from self._name(ctx, record, order.clues, cart.PURCHASE, at)

    def _name(
        self, ctx: Context, record: InboxRecord, clues: Clues, name: str, at: Millis
    ) -> Iterator[Seen]:
        """Yield an event for each subscription of those whom *clues* name."""
        if name not in self._names:
            return
        match = matching.find_people(ctx, record.site, clues)
        people = set(match.subscriptions).union(() if match.owner is None else [match.owner])
        if name != cart.PURCHASE:
            people -= tracking.find_untracked(ctx.store, people)
        for one in people:
            yield Seen(one, name, at)

    def _list_events(self, record: InboxRecord, body: Body) -> list[_Named]:
        """Return name and time of the events that are looked for."""
        found = []
        for number, given in enumerate(bodies.several(body, "events")):
            event = requests.read_event(record, 0, number, given)
            name = cart.meaning(event.name, event.properties)
            if name in self._names and not cart.find_fault(event.name, event.properties):
                found.append((name, min(event.at, event.received_at)))
        return found


_WISHES = {
    "/v1/unsubscribe": UNSUBSCRIBED,
    "/v1/forget": ERASED,
    "/v1/server/unsubscribe": UNSUBSCRIBED,
    "/v1/server/erase": ERASED,
}

_READERS: dict[str, Callable[[Unread, Context, InboxRecord, Body], Iterable[Seen]]] = {
    "/v1/events": Unread._read_events,
    "/v1/subscribe": Unread._read_subscribe,
    "/v1/unsubscribe": Unread._read_leaving,
    "/v1/forget": Unread._read_leaving,
    "/v1/preferences": Unread._read_leaving,
    "/v1/server/events": Unread._read_items,
    "/v1/server/unsubscribe": Unread._read_dismissals,
    "/v1/server/erase": Unread._read_dismissals,
    told.PATH: Unread._read_told,
}

# Lines that are read whatever else stands in them.
_PATHS = (*_WISHES, "/v1/preferences", told.PATH)


def _believe(found: Iterable[_Named], subscription: int, private: bool) -> Iterator[Seen]:
    """Yield what its person has done; of somebody *private*, as the drain has it."""
    for name, at in found:
        if name == cart.PURCHASE or not private:
            yield Seen(subscription, name, at)


def _make_needles(names: Collection[str]) -> list[bytes]:
    """Return what stands in each line that may be about leaving or one of *names*."""
    texts = {*names, *((cart.UPDATED,) if cart.EMPTIED in names else ())}
    # What was given back was bought.
    texts |= {order_events.REFUND} if cart.PURCHASE in names else set()
    needles = [_escape(_escape(text)).encode().lower() for text in sorted(texts)]
    return [
        *needles,
        _ESCAPE,
        b'\\"previous\\"',
        *(f'"path":"{one}"'.encode() for one in _PATHS),
    ]


def _escape(text: str) -> str:
    """Return *text* as it stands within a text of JSON."""
    return orjson.dumps(text).decode()[1:-1]

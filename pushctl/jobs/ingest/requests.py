"""
What each request of a browser changes in the database: one handler a route.

A handler returns the outcome that the request is counted under. It raises Refusal
without proof that the browser holds the subscription's ``auth``, InputError for a body
of another form: that one goes to the quarantine.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.jobs.ingest import (
    aliases,
    orders,
    preferences,
    profile,
    server_messages,
    server_requests,
    shop,
    shop_orders,
    tagging,
    tracking,
)
from pushctl.jobs.ingest.verify import Body, Context, Refusal, authenticate, is_signed
from pushctl.model import InboxRecord, InteractionKind, Json, Millis, SubscriptionState
from pushctl.rules import limits, tokens
from pushctl.rules.delivery import endpoints
from pushctl.rules.events import name_event
from pushctl.rules.shops import cart, order, told
from pushctl.rules.web import bodies, keys, reserved_attributes
from pushctl.store.events import ARRIVAL, Event
from pushctl.store.interactions import Interaction
from pushctl.store.subscriptions import KnownSubscription, Registration

_About = Mapping[str, str | None]

# Stamps are in whole seconds, and a request takes its time.
_ON_ITS_WAY: Millis = 5_000


class Verdict(NamedTuple):
    done: bool
    outcome: str  # what the request is counted under


def apply(ctx: Context, record: InboxRecord) -> Verdict:
    """Apply *record*, or refuse it; raises InputError for one of another form."""
    handler = _HANDLERS.get(record.path)
    if handler is None:
        raise InputError("no such address")
    if record.site not in ctx.sites:
        raise InputError("the site is not in pushctl.toml")
    try:
        return Verdict(True, handler(ctx, record, bodies.parse(record.body)))
    except Refusal as refusal:
        return Verdict(False, str(refusal))


def _subscribe(ctx: Context, record: InboxRecord, body: Body) -> str:
    made = read_registration(ctx, record, body)
    # Read before anything is written: what is wrong in them refuses the whole.
    tags, events = bodies.timed_tags(body, "tags"), bodies.several(body, "events")
    given = bodies.properties(body.get("attributes"), "attributes")
    attributes = reserved_attributes.list_allowed(given)
    left_out = len(attributes) < len(given)
    wish = tracking.read_wish(body)

    known = ctx.store.subscriptions.find_by_endpoint(made.endpoint_hash)
    _refuse_erased(ctx, record, body, made, known)
    before = known or find_previous(ctx, record, body, made)
    private = tracking.is_private(record, wish, before)
    about = profile.describe_browser(ctx, record, body, private=private)
    if private:
        attributes = {}
    if known is not None:
        outcome, subscription = _update(ctx, record, body, known, made, about), known.id
    elif before is not None:
        outcome, subscription = _move(ctx, record, body, before, made, about), before.id
    else:
        landing = profile.describe_landing(record, body, private=private)
        everything = {**landing, **attributes}  # in one row: a second statement costs as much
        subscription = ctx.store.subscriptions.add(made, about, record.at, everything)
        outcome, attributes = _welcome(ctx, record, body, subscription), {}
    if made.key_id in ctx.ended_keys:
        outcome = _set_aside(ctx, record, subscription, outcome)
    proved = before is not None and before.proved
    tracking.note(ctx.store, record, wish, subscription, before)
    if attributes:
        ctx.store.subscriptions.set_attributes(subscription, attributes)
    preferences.keep_consent(ctx, record, subscription, body)
    tagging.set_tags(ctx, record, subscription, tags, proved=proved)
    if left_out:
        ctx.left_out[reserved_attributes.LEFT_OUT] += 1
    if not private:
        shop_orders.learn_cart_key(ctx, record, subscription, body)
    _add_events(ctx, record, subscription, events, private=private)
    return outcome


def _refuse_erased(
    ctx: Context,
    record: InboxRecord,
    body: Body,
    made: Registration,
    known: KnownSubscription | None,
) -> None:
    """
    Raise Refusal for a registration that would bring back an erased person.

    Pages and workers send their subscription again by themselves, perhaps at a new
    endpoint; only a person who asks for it anew ("chosen") is a new subscriber.
    """
    at = ctx.store.tombstones.get_time(ctx.secret, made.endpoint_hash)
    if at is not None and record.at <= at:
        raise Refusal("sent before the person was forgotten")
    if known is not None or body.get("chosen") is True:
        return
    before = body.get("previous")
    if at is None and isinstance(before, str):
        hashed = tokens.endpoint_hash(before)
        if ctx.store.subscriptions.find_by_endpoint(hashed) is None:
            at = ctx.store.tombstones.get_time(ctx.secret, hashed)
        if at is not None:  # next time it comes without its old endpoint
            ctx.store.tombstones.add(ctx.secret, made.endpoint_hash, at)
    if at is not None:
        raise Refusal("the person was forgotten")


def read_registration(ctx: Context, record: InboxRecord, body: Body) -> Registration:
    given = bodies.table(body, "subscription")
    secrets = bodies.table(given, "keys")
    endpoint = bodies.text(given, "endpoint")
    endpoints.origin(endpoint, ctx.hosts)
    return Registration(
        site_id=ctx.sites[record.site],
        endpoint=endpoint,
        endpoint_hash=tokens.endpoint_hash(endpoint),
        p256dh=keys.p256dh(bodies.text(secrets, "p256dh")),
        auth=keys.auth(bodies.text(secrets, "auth")),
        key_id=_read_key_id(ctx, body),
    )


def _read_key_id(ctx: Context, body: Body) -> str:
    name = keys.key_id(keys.server_key(bodies.text(body, "key")))
    if name not in ctx.keys and name not in ctx.ended_keys:
        raise InputError(f"subscribed with the key {name}, which is not in the keys folder")
    return name


def _update(
    ctx: Context,
    record: InboxRecord,
    body: Body,
    known: KnownSubscription,
    made: Registration,
    about: _About,
) -> str:
    """Update a known endpoint; raises Refusal for other keys, in any state."""
    check_keys(record, known, made)
    subscriptions = ctx.store.subscriptions
    subscriptions.refresh(known.id, about, record.at)
    if known.key_id != made.key_id:
        subscriptions.set_key_id(known.id, made.key_id)
    if known.worker is not None:
        subscriptions.own(known.id)
    # Quarantined ones stay: what the push service refuses, a visit doesn't mend. Nor does
    # a visit from before the push service said "gone": it was only read later.
    gone = known.state in (SubscriptionState.GONE, SubscriptionState.UNSUBSCRIBED)
    keyless = made.key_id in ctx.ended_keys
    if not gone or keyless or record.at < known.state_at or _stays_away(record, body, known):
        return "seen again"
    subscriptions.mark([known.id], SubscriptionState.ACTIVE, "subscribed again", record.at)
    return "revived"


def _set_aside(ctx: Context, record: InboxRecord, subscription: int, outcome: str) -> str:
    """Keep who came with a key of ours that has ended: a visit brings them back whole."""
    ctx.store.health.give_up(subscription, record.at)
    return f"{outcome}, by a key that has ended"


def check_keys(record: InboxRecord, known: KnownSubscription, made: Registration) -> None:
    """
    Raise Refusal where a registration has other keys than its endpoint is known with.

    Browsers make a new endpoint with new keys. A sender with other keys has only seen the
    endpoint: they would cut the person off or hand over alias, tags and history.
    """
    if known.site != record.site:
        raise Refusal("subscription of another site")
    if not hmac.compare_digest(known.auth, made.auth) or known.p256dh != made.p256dh:
        raise Refusal("other keys for a known endpoint")


def _stays_away(record: InboxRecord, body: Body, known: KnownSubscription) -> bool:
    """
    Return whether a subscription stays unsubscribed although its browser registers it.

    Browsers do that at each visit, and when their endpoint moves. Whoever has left, here, at
    the shop or elsewhere, comes back only by asking for messages anew, later than that.
    """
    return known.state is SubscriptionState.UNSUBSCRIBED and (
        body.get("chosen") is not True or record.at < known.state_at
    )


def _move(
    ctx: Context,
    record: InboxRecord,
    body: Body,
    previous: KnownSubscription,
    made: Registration,
    about: _About,
) -> str:
    """Move a subscription to its new endpoint, as its browser has proved."""
    subscriptions, stays = ctx.store.subscriptions, _stays_away(record, body, previous)
    subscriptions.move(previous.id, made, "new endpoint", record.at, revive=not stays)
    subscriptions.refresh(previous.id, about, record.at)
    if previous.proved:
        ctx.proved.append(made.endpoint_hash)
    return "moved"


def _welcome(ctx: Context, record: InboxRecord, body: Body, subscription: int) -> str:
    """Note that somebody new has come; return the outcome."""
    if body.get("adopted") is True:  # they subscribed long ago, elsewhere: nothing begins
        return "adopted"
    # Welcome messages and drips begin with it (docs/triggers.md).
    key = f"{subscription}{ARRIVAL}"
    ctx.store.events.add([Event(subscription, "subscribed", record.at, record.at, {}, key)])
    return "subscribed"


def find_previous(
    ctx: Context, record: InboxRecord, body: Body, made: Registration
) -> KnownSubscription | None:
    if not isinstance(body.get("previous"), str):
        return None
    known = ctx.store.subscriptions.find_by_endpoint(
        tokens.endpoint_hash(bodies.text(body, "previous"))
    )
    if known is None or known.site != record.site:
        return None
    proof = body.get("previous_signature")
    if isinstance(proof, str) and tokens.is_signed(
        known.auth, f"{record.path}#previous", made.endpoint.encode(), proof, record.at
    ):
        return known
    return known if is_signed(record, known.auth) else None


def _unsubscribe(ctx: Context, record: InboxRecord, body: Body) -> str:
    known = authenticate(ctx, record, body)
    state = SubscriptionState.UNSUBSCRIBED
    ctx.store.subscriptions.mark([known.id], state, "asked in the browser", record.at)
    return "unsubscribed"


def _take_events(ctx: Context, record: InboxRecord, body: Body) -> str:
    events = bodies.several(body, "events")
    known = authenticate(ctx, record, body, repeatable=True)  # each event has an id of its own
    private = tracking.is_private(record, None, known)
    if not private:
        shop_orders.learn_cart_key(ctx, record, known.id, body)
    faults = sum(ctx.event_faults.values())
    added = _add_events(ctx, record, known.id, events, private=private)
    if private:
        return f"events {tracking.NOT_KEPT}"
    if not added and sum(ctx.event_faults.values()) - faults == len(events) > 0:
        raise Refusal("events that can't be meant")
    return "events" if added else "events known already"


def _add_events(
    ctx: Context,
    record: InboxRecord,
    subscription: int,
    events: Sequence[Json],
    *,
    private: bool,
) -> int:
    if not events:
        return 0
    read = [read_event(record, subscription, number, one) for number, one in enumerate(events)]
    if private:
        tracking.end_reminders(ctx.store, read)
        return 0
    faults = [cart.find_fault(one.name, one.properties) for one in read]
    # A fault in a page's script must not empty a basket, nor fill it with nothing.
    ctx.event_faults.update(fault for fault in faults if fault)
    meant = [one for one, fault in zip(read, faults, strict=True) if not fault]
    added = ctx.store.events.add(meant)
    orders.write(ctx, record, meant)
    if added:  # known events prove no visit: somebody may have caught and repeated them
        ctx.store.subscriptions.refresh(subscription, {}, record.at)
    return added


def read_event(record: InboxRecord, subscription: int, number: int, given: Json) -> Event:
    if not isinstance(given, dict):
        raise InputError("an event is no object")
    name = bodies.label(given.get("name"), "an event's name", limits.MAX_ID_CHARACTERS)
    name = name_event(name)
    # Within the subscription: nobody can use up another's ids.
    own = _read_id(given, "an event's id", f"{record.id}:{number}")
    key = f"{subscription}:{own}"
    properties = bodies.properties(given.get("properties"), "an event's properties")
    bought = order.read_number(properties) if name == cart.PURCHASE else None
    if bought is not None:  # the shop's server may tell of it, too
        key = shop_orders.make_key(name, subscription, bought)
    return Event(
        subscription=subscription,
        name=name,
        at=bodies.moment(_correct_clock(given.get("at"), record), record.at),
        received_at=record.at,
        properties=properties,
        dedupe_key=key,
    )


def _read_id(given: Mapping[str, Json], name: str, otherwise: str) -> str:
    own = given.get("id")
    return otherwise if own is None else bodies.label(own, name, limits.MAX_ID_CHARACTERS)


def _correct_clock(at: Json, record: InboxRecord) -> Json:
    """
    Return a browser's time *at* by our clock.

    The request is signed as it is sent, so its stamp shows by how much the browser's clock
    is off. That is minutes on many machines: a reminder of a basket would come too early,
    or after the person has bought on another device.
    """
    behind = record.at - tokens.read_time(record.signature, record.at)
    return at + behind if type(at) is int and abs(behind) > _ON_ITS_WAY else at


def _take_report(ctx: Context, record: InboxRecord, body: Body) -> str:
    try:
        kind = InteractionKind(bodies.text(body, "kind"))
    except ValueError as error:
        raise InputError("kind is none of shown, clicked, closed, bought") from error
    action = body.get("action")
    label = bodies.label(action, "action") if action else None
    own = _read_id(body, "id", record.id)

    delivery = tokens.read_message_token(ctx.secret, bodies.text(body, "message"))
    if delivery is None:
        raise Refusal("message token is not ours")
    subject = ctx.store.interactions.get_subject(delivery)
    if subject is None:
        raise Refusal("unknown message")
    # A visitor's clock may be wrong: steps that count from a display must not be.
    sent = min(subject.sent_at, record.at)
    at = max(bodies.moment(body.get("at"), record.at), sent)
    if kind is InteractionKind.BOUGHT:
        new = ctx.store.interactions.add_thanks(delivery, at)
    else:
        once = kind is not InteractionKind.CLICKED  # many clicks, one display
        key = f"{delivery}:{kind.value}" if once else f"{delivery}:{kind.value}:{own}"
        new = ctx.store.interactions.add(Interaction(delivery, kind, label, at, key))
    if new and subject.may_be_of_api:
        ctx.store.messages.look_again(delivery, record.at)
    if subject.subscription is not None:
        if tracking.asks_for_privacy(record):
            ctx.store.tracking.find_gpc(subject.subscription, record.at)
        _prove(ctx, subject.subscription, at)
    return kind.value if new else "report known already"


def _prove(ctx: Context, subscription: int, at: Millis) -> None:
    """Note that a message was shown: from now on no stranger's share holds for it."""
    endpoint_hash = ctx.store.subscriptions.verify(subscription, at)
    if endpoint_hash is not None:
        ctx.store.tags.prove(subscription)
        ctx.proved.append(endpoint_hash)


_HANDLERS: Mapping[str, Callable[[Context, InboxRecord, Body], str]] = {
    "/v1/subscribe": _subscribe,
    "/v1/unsubscribe": _unsubscribe,
    "/v1/tags": tagging.change_tags,
    "/v1/identify": aliases.identify,
    "/v1/events": _take_events,
    "/v1/reports": _take_report,
    "/v1/preferences": preferences.set_preferences,
    "/v1/forget": preferences.erase,
    "/v1/prompts": preferences.count_prompt,
    told.PATH: shop.apply,
    **server_requests.HANDLERS,
    **server_messages.HANDLERS,
}

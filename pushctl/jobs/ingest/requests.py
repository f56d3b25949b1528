"""
What each request of a browser does to the database: believed or refused, one by one.

A browser proves only that it holds the subscription's ``auth``. Without that proof a
known subscription stays as it is: a refusal is counted by its reason, and dropped.
What is not of its form raises InputError and goes to the quarantine.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence

from pushctl.errors import InputError
from pushctl.jobs.ingest import preferences, profile
from pushctl.jobs.ingest.verify import Desk, Verdict, find, signed
from pushctl.model import InboxRecord, InteractionKind, Json, Millis, SubscriptionState
from pushctl.rules import limits, tokens
from pushctl.rules.delivery import endpoints
from pushctl.rules.web import bodies, keys, reserved_tags
from pushctl.store.events import ARRIVAL, Event
from pushctl.store.interactions import Interaction
from pushctl.store.subscriptions import KnownSubscription, Registration

__all__ = ["Desk", "Verdict", "apply"]

# Stamps are in whole seconds, and a request takes its time.
_ON_ITS_WAY: Millis = 5_000


def apply(desk: Desk, record: InboxRecord) -> Verdict:
    """Do what *record* asks for, or say why not; InputError when it can't be read."""
    handler = _HANDLERS.get(record.path)
    if handler is None:
        raise InputError("no such address")
    if record.site not in desk.sites:
        raise InputError("the site is not in pushctl.toml")
    return handler(desk, record, bodies.parse(record.body))


# --- the routes --------------------------------------------------------------------------


def _subscribe(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    made = _registration(desk, record, body)
    about = profile.about(desk, record, body)
    # Read before anything is written: what is wrong in them refuses the whole.
    tags, events = bodies.timed_tags(body, "tags"), bodies.several(body, "events")
    attributes = dict(bodies.properties(body.get("attributes"), "attributes"))
    if profile.asks_for_privacy(record):
        events, attributes = [], {}

    known = desk.store.subscriptions.find_by_endpoint(made.endpoint_hash)
    if (reason := _forgotten(desk, record, body, made, known)) is not None:
        return Verdict(False, reason)
    if known is not None:
        verdict = _again(desk, record, known, made, about)
        subscription = known.id
    else:
        verdict, subscription = _arrive(desk, record, body, made, about)
    if not verdict.done:
        return verdict
    if verdict.word == "subscribed":
        attributes = dict(profile.landing(record, body)) | attributes
    if attributes:
        desk.store.subscriptions.set_attributes(subscription, attributes)
    preferences.consent(desk, record, subscription, body)
    _set_tags(desk, subscription, tags, record.at)
    _add_events(desk, record, subscription, events)
    return verdict


def _forgotten(
    desk: Desk,
    record: InboxRecord,
    body: Mapping[str, Json],
    made: Registration,
    known: KnownSubscription | None,
) -> str | None:
    """
    Return why a registration may not bring back somebody who was erased, or None.

    Pages and workers tell their subscription again by themselves, perhaps at a new
    endpoint; only somebody who asks for it anew ("chosen") is a new subscriber.
    """
    at = desk.store.tombstones.get_time(desk.secret, made.endpoint_hash)
    if at is not None and record.at <= at:
        return "sent before the person was forgotten"
    if known is not None or body.get("chosen") is True:
        return None
    before = body.get("previous")
    if at is None and isinstance(before, str):
        hashed = tokens.endpoint_hash(before)
        if desk.store.subscriptions.find_by_endpoint(hashed) is None:
            at = desk.store.tombstones.get_time(desk.secret, hashed)
        if at is not None:  # next time it comes without its old endpoint
            desk.store.tombstones.add(desk.secret, made.endpoint_hash, at)
    return None if at is None else "the person was forgotten"


def _registration(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Registration:
    given = bodies.table(body, "subscription")
    secrets = bodies.table(given, "keys")
    endpoint = bodies.text(given, "endpoint")
    endpoints.origin(endpoint, desk.hosts)
    return Registration(
        site_id=desk.sites[record.site],
        endpoint=endpoint,
        endpoint_hash=tokens.endpoint_hash(endpoint),
        p256dh=keys.p256dh(bodies.text(secrets, "p256dh")),
        auth=keys.auth(bodies.text(secrets, "auth")),
        key_id=_key_id(desk, body),
    )


def _key_id(desk: Desk, body: Mapping[str, Json]) -> str:
    """Return which of our keys the browser subscribed with; no other can reach it."""
    name = keys.key_id(keys.server_key(bodies.text(body, "key")))
    if name not in desk.keys:
        raise InputError(f"subscribed with the key {name}, which is not in the keys folder")
    return name


def _again(
    desk: Desk,
    record: InboxRecord,
    known: KnownSubscription,
    made: Registration,
    about: Mapping[str, str | None],
) -> Verdict:
    """
    Take the registration of an endpoint that is known: only from who holds its keys.

    Never another pair of keys, whatever the state: browsers make a new endpoint with new
    keys, so whoever brings other keys has only seen the endpoint, and taking them would
    cut the person off or hand over their place (alias, tags, history).
    """
    if known.site != record.site:
        return Verdict(False, "subscription of another site")
    same = hmac.compare_digest(known.auth, made.auth) and known.p256dh == made.p256dh
    if not same:
        return Verdict(False, "other keys for a known endpoint")
    subscriptions = desk.store.subscriptions
    subscriptions.refresh(known.id, about, record.at)
    if known.key_id != made.key_id:
        subscriptions.set_key_id(known.id, made.key_id)
    # Quarantined ones stay: what the push service refuses, a visit doesn't mend. Nor does
    # a visit from before the push service said "gone": it was only read later.
    if record.at < known.state_at:
        return Verdict(True, "seen again")
    if known.state in (SubscriptionState.GONE, SubscriptionState.UNSUBSCRIBED):
        state = SubscriptionState.ACTIVE
        subscriptions.mark([known.id], state, "subscribed again", record.at)
        return Verdict(True, "revived")
    return Verdict(True, "seen again")


def _arrive(
    desk: Desk,
    record: InboxRecord,
    body: Mapping[str, Json],
    made: Registration,
    about: Mapping[str, str | None],
) -> tuple[Verdict, int]:
    """Take an endpoint that is new: a browser's next one if it proves it, else a new one."""
    store = desk.store
    previous = _previous(desk, record, body, made)
    if previous is not None:
        store.subscriptions.move(previous.id, made, "new endpoint", record.at)
        store.subscriptions.refresh(previous.id, about, record.at)
        return Verdict(True, "moved"), previous.id
    subscription = store.subscriptions.add(made, about, record.at)
    # Welcome messages and drips begin with it (docs/triggers.md).
    key = f"{subscription}{ARRIVAL}"
    store.events.add([Event(subscription, "subscribed", record.at, record.at, {}, key)])
    return Verdict(True, "subscribed"), subscription


def _previous(
    desk: Desk, record: InboxRecord, body: Mapping[str, Json], made: Registration
) -> KnownSubscription | None:
    """Return the subscription that goes on at a new endpoint, if its holder asks for it."""
    if not isinstance(body.get("previous"), str):
        return None
    known = desk.store.subscriptions.find_by_endpoint(
        tokens.endpoint_hash(bodies.text(body, "previous"))
    )
    if known is None or known.site != record.site:
        return None
    proof = body.get("previous_signature")
    if isinstance(proof, str) and tokens.is_signed(
        known.auth, f"{record.path}#previous", made.endpoint.encode(), proof, record.at
    ):
        return known
    return known if signed(record, known.auth) else None


def _unsubscribe(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    known = find(desk, record, body)
    if isinstance(known, Verdict):
        return known
    state = SubscriptionState.UNSUBSCRIBED
    desk.store.subscriptions.mark([known.id], state, "asked in the browser", record.at)
    return Verdict(True, "unsubscribed")


def _change_tags(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    add, remove = bodies.timed_tags(body, "add"), bodies.tags(body, "remove")
    known = find(desk, record, body)
    if isinstance(known, Verdict):
        return known
    _set_tags(desk, known.id, add, record.at)
    for name in remove:
        if not reserved_tags.is_reserved(name):
            desk.store.tags.remove([known.id], name)
    return Verdict(True, "tagged")


def _set_tags(
    desk: Desk, subscription: int, tags: Sequence[tuple[str, Millis | None]], at: Millis
) -> None:
    store = desk.store.tags
    before = store.count_held(subscription) if tags else 0
    for name, life in tags:
        if not reserved_tags.is_reserved(name):
            until = None if life is None else at + life
            store.add([subscription], name, at, until, most=limits.MAX_TAG_NAMES)
    # Those that it has may be told again, however many there are.
    if tags and store.count_held(subscription) > max(limits.MAX_SUBSCRIPTION_TAGS, before):
        raise InputError(f"more than {limits.MAX_SUBSCRIPTION_TAGS} tags on one subscription")


def _identify(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    alias = None if body.get("alias") is None else bodies.label(body["alias"], "alias")
    signature = body.get("signature")
    known = find(desk, record, body)
    if isinstance(known, Verdict):
        return known
    if alias is None:
        desk.store.subscriptions.set_alias(known.id, None, trusted=False)
        return Verdict(True, "alias removed")
    if signature is not None:
        if not _alias_signed(desk.alias_secret, alias, signature):
            return Verdict(False, "alias with a wrong signature")
        desk.store.subscriptions.set_alias(known.id, alias, trusted=True)
        return Verdict(True, "identified")
    if known.alias_trusted:
        # What the shop has signed, a script on the page must not take away.
        return Verdict(known.alias == alias, "alias is signed already")
    desk.store.subscriptions.set_alias(known.id, alias, trusted=False)
    return Verdict(True, "labelled")


def _alias_signed(secret: bytes | None, alias: str, signature: Json) -> bool:
    if secret is None or not isinstance(signature, str):
        return False
    expected = tokens.encode(hmac.digest(secret, f"alias\n{alias}".encode(), "sha256"))
    return hmac.compare_digest(expected.encode(), signature.encode())


def _events(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    events = bodies.several(body, "events")
    known = find(desk, record, body, again=True)  # each event has an id of its own
    if isinstance(known, Verdict):
        return known
    if profile.asks_for_privacy(record):
        return Verdict(True, "events not kept: privacy asked for")
    if not _add_events(desk, record, known.id, events):
        return Verdict(True, "events known already")
    return Verdict(True, "events")


def _add_events(
    desk: Desk, record: InboxRecord, subscription: int, events: Sequence[Json]
) -> int:
    if not events:
        return 0
    added = desk.store.events.add(
        _event(record, subscription, number, one) for number, one in enumerate(events)
    )
    if added:  # events that were caught and sent again say nothing of anybody's being here
        desk.store.subscriptions.refresh(subscription, {}, record.at)
    return added


def _event(record: InboxRecord, subscription: int, number: int, given: Json) -> Event:
    if not isinstance(given, dict):
        raise InputError("an event is no object")
    name = bodies.label(given.get("name"), "an event's name", limits.MAX_ID_CHARACTERS)
    key = _own_id(given, "an event's id", f"{record.id}:{number}")
    return Event(
        subscription=subscription,
        name=name,
        at=bodies.moment(_by_our_clock(given.get("at"), record), record.at),
        received_at=record.at,
        properties=bodies.properties(given.get("properties"), "an event's properties"),
        # Within the subscription: nobody can use up another's ids.
        dedupe_key=f"{subscription}:{key}",
    )


def _own_id(given: Mapping[str, Json], name: str, otherwise: str) -> str:
    own = given.get("id")
    return otherwise if own is None else bodies.label(own, name, limits.MAX_ID_CHARACTERS)


def _by_our_clock(at: Json, record: InboxRecord) -> Json:
    """
    Return a browser's time as our clock would have told it.

    The request was signed when it was sent, so its stamp tells how far the browser's clock
    is off: by minutes on many a machine, and then somebody would be reminded of the basket
    while still shopping, or after buying on another device.
    """
    behind = record.at - tokens.read_time(record.signature, record.at)
    return at + behind if type(at) is int and abs(behind) > _ON_ITS_WAY else at


def _report(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    try:
        kind = InteractionKind(bodies.text(body, "kind"))
    except ValueError as error:
        raise InputError("kind is none of shown, clicked, closed") from error
    action = body.get("action")
    label = bodies.label(action, "action") if action else None
    own = _own_id(body, "id", record.id)

    delivery = tokens.read_message_token(desk.secret, bodies.text(body, "message"))
    if delivery is None:
        return Verdict(False, "message token is not ours")
    subject = desk.store.interactions.get_subject(delivery)
    if subject is None:
        return Verdict(False, "unknown message")
    once = kind is not InteractionKind.CLICKED  # many clicks, one display
    # A visitor's clock may be wrong: steps that count from a display must not be.
    sent = min(subject.sent_at, record.at)
    at = max(bodies.moment(body.get("at"), record.at), sent)
    key = f"{delivery}:{kind.value}" if once else f"{delivery}:{kind.value}:{own}"
    new = desk.store.interactions.add(Interaction(delivery, kind, label, at, key))
    if subject.subscription is not None:
        desk.store.subscriptions.verify(subject.subscription, at)
    return Verdict(True, kind.value if new else "report known already")


_HANDLERS: Mapping[str, Callable[[Desk, InboxRecord, Mapping[str, Json]], Verdict]] = {
    "/v1/subscribe": _subscribe,
    "/v1/unsubscribe": _unsubscribe,
    "/v1/tags": _change_tags,
    "/v1/identify": _identify,
    "/v1/events": _events,
    "/v1/reports": _report,
    "/v1/preferences": preferences.preferences,
    "/v1/forget": preferences.forget,
    "/v1/prompts": preferences.prompt,
}

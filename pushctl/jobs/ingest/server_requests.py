"""
Requests of the server API: each is applied once, item by item.

The receiver has checked key, scope and form. What can't be applied of an item is a reason in
the result of its request, which is published for the receiver (``status``); the other items
are applied. Results and rows name nobody.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from pushctl import status
from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.ingest import (
    erasures,
    preferences,
    publishing,
    server_events,
    shop_orders,
    tagging,
    tracking,
)
from pushctl.jobs.ingest.matching import find_people, list_named
from pushctl.jobs.ingest.server_events import SOURCE
from pushctl.jobs.ingest.verify import Body, Context, Refusal
from pushctl.model import InboxRecord, Json, Millis, SubscriptionState
from pushctl.rules.shops import server_items
from pushctl.rules.shops.server_items import Item
from pushctl.rules.shops.told import Clues
from pushctl.rules.units import DAY, MINUTE
from pushctl.rules.web import bodies, reserved_tags
from pushctl.store import Store, clocks
from pushctl.store.api_requests import ApiCall, ApiRequest

KNOWN = "API request known already"
OTHER_BODY = "another API request with the same Idempotency-Key"
_PREFIX = "/v1/server/"
MESSAGES = "messages"  # the route of a request that asks for one
# A power loss takes what was written within so long before it.
_UNSYNCED = 2 * MINUTE
_BOOT, _PUBLISHED = "api.boot", "api.published"

# Applies one item, or raises InputError with the reason why not.
_Apply = Callable[[Context, InboxRecord, Item], None]


def take(ctx: Context, record: InboxRecord, body: Body) -> str:
    """Apply a request of items; a known one changes nothing."""
    request, items = begin(ctx, record, body), body.get("items")
    if request is None:
        return KNOWN
    if not isinstance(items, list):
        raise InputError("items is no list")
    route = record.path.removeprefix(_PREFIX)
    if route == "events":
        reasons = server_events.apply(ctx, record, request, items)
    else:
        reasons = [_apply_item(ctx, record, _ITEMS[route], item) for item in items]
    refused = [
        {"index": index, "reason": reason} for index, reason in enumerate(reasons) if reason
    ]
    state = "refused" if len(refused) == len(items) else "applied"
    finish(
        ctx, record, body, route, state, items=len(items), applied=len(items) - len(refused),
        refused=refused,
    )  # fmt: skip
    return f"API {route}"


def begin(ctx: Context, record: InboxRecord, body: Body) -> str | None:
    """
    Return the id of a request that is new, None where it was applied before.

    Raises Refusal where another request came under the same Idempotency-Key.
    """
    request = bodies.text(body, "request")
    known = ctx.store.api_requests.find_digest(request)
    if known is not None and known != _digest(record):
        at, key = record.at - record.at % MINUTE, bodies.text(body, "key")
        ctx.store.api_requests.add_calls([ApiCall(at, key, record.path, "idempotency", 1)])
        raise Refusal(OTHER_BODY)
    return request if known is None else None


def finish(
    ctx: Context, record: InboxRecord, body: Body, route: str, state: str, **about: Json
) -> None:
    """Write the request's row, and have its result published with this batch."""
    result = note(ctx, record, body, route, state, **about)
    ctx.results[result["id"]] = result


def note(
    ctx: Context, record: InboxRecord, body: Body, route: str, state: str, **about: Json
) -> Mapping[str, Json]:
    """Write the request's row; return its result."""
    request, key = bodies.text(body, "request"), bodies.text(body, "key")
    result = {
        "id": request, "key": key, "state": state, "at": record.at, "route": route, **about,
    }  # fmt: skip
    made = ApiRequest(
        request, key, ctx.sites[record.site], route, record.at, _digest(record), state,
        int(about.get("items", 1)), len(about.get("refused", ())), result,
    )  # fmt: skip
    ctx.store.api_requests.add(made)
    return result


def publish(ctx: Context, config: Config) -> None:
    """
    Write the results of this batch to the folder ``status``, just before it is committed.

    After a crash in between the batch is applied once more, with the same results.
    """
    if not ctx.results:
        return
    times = [int(one["at"]) for one in ctx.results.values()]
    with publishing.tolerate(ctx.store, min(times)):
        meta, boot, newest = ctx.store.meta, clocks.read_boot().id, max(times)
        if meta.get(_BOOT) != boot:
            since = int(meta.get(_PUBLISHED) or newest) - _UNSYNCED
            publish_again(ctx.store, config, since, newest, without=ctx.results)
            meta.set(_BOOT, boot)
        _publish(config, ctx.results)
        meta.set(_PUBLISHED, str(newest))
    ctx.results.clear()


def publish_again(
    store: Store, config: Config, since: Millis, now: Millis, without: Collection[str] = ()
) -> None:
    """Publish the results of requests that came *since*, but those *without*."""
    found = {
        name: one
        for name, one in store.api_requests.list_results(since)
        if one["route"] != MESSAGES and name not in without
    }
    _publish(config, found)
    # The sweep publishes these (jobs/campaigns/api_results.py).
    store.messages.look_at_changed(since, since - 2 * DAY, now)


def _publish(config: Config, results: Mapping[str, Mapping[str, Json]]) -> None:
    whole: list[status.Applied] = []
    for request, result in results.items():
        if result["state"] == "applied" and not result["refused"]:
            route = str(result["route"])
            whole.append(status.Applied(request, result["at"], result["items"], route))
        else:
            status.publish_request(config.status, request, result)
    if whole:
        status.publish_applied(config.status, whole)


def _digest(record: InboxRecord) -> bytes:
    return hashlib.sha256(f"{record.path}\n{record.body}".encode()).digest()[:16]


def _apply_item(ctx: Context, record: InboxRecord, apply: _Apply, item: Json) -> str | None:
    """Return why an item could not be applied, None where it was."""
    try:
        with ctx.store.savepoint():
            if not isinstance(item, dict):
                raise InputError("it is no object")
            apply(ctx, record, item)
    except InputError as error:
        return str(error)
    return None


def find_addressed(ctx: Context, record: InboxRecord, item: Item) -> Sequence[int]:
    """
    Return the subscriptions that an item names; raises InputError without any.

    An alias or an e-mail hash names a person with all browsers, active or not; an id or a
    cart key names one browser.
    """
    clues = server_items.read_person(item)
    match = find_people(ctx, record.site, clues)
    if match.owner is None:
        raise InputError(match.why_not or "nobody was found")
    if clues.alias is None and clues.email_hash is None:
        return [match.owner]
    named = list_named(ctx.store, ctx.sites[record.site], clues)
    return [one.id for one in named]


def _change_tags(ctx: Context, record: InboxRecord, item: Item) -> None:
    add = bodies.timed_tags(
        {"add": list(map(_round_seconds, bodies.several(item, "add")))}, "add"
    )
    remove = bodies.tags(item, "remove")
    for name in (*(name for name, _ in add), *remove):
        if reserved_tags.is_reserved(name):
            raise InputError("only pushctl itself sets tags that begin with pushctl:")
    found = find_addressed(ctx, record, item)
    for subscription in _leave_out_untracked(ctx, found) if add else ():
        tagging.set_tags(ctx, record, subscription, add, proved=True)
    for subscription in found:
        for name in remove:
            ctx.store.tags.remove([subscription], name)


def _round_seconds(tag: Json) -> Json:
    """Return a tag whose life is an int: some languages write whole numbers as 60.0."""
    seconds = tag.get("seconds") if isinstance(tag, dict) else None
    if isinstance(seconds, float) and seconds.is_integer():
        return {**tag, "seconds": int(seconds)}
    return tag


def _set_attributes(ctx: Context, record: InboxRecord, item: Item) -> None:
    attributes = bodies.properties(item.get("attributes"), "attributes")
    for subscription in _leave_out_untracked(ctx, find_addressed(ctx, record, item)):
        ctx.store.subscriptions.set_attributes(subscription, attributes)


def _set_alias(ctx: Context, record: InboxRecord, item: Item) -> None:
    """Set a browser's alias, and give it the orders that waited for that."""
    given = item.get("alias")
    alias = None if given is None else bodies.alias(given)
    rest = {name: value for name, value in item.items() if name != "alias"}
    owner = find_people(ctx, record.site, server_items.read_person(rest)).owner
    if owner is None:
        raise InputError("no subscriber has this id or cart key")
    if alias is None:
        ctx.store.subscriptions.set_alias(owner, None, trusted=False)
        return
    _leave_out_untracked(ctx, [owner])
    ctx.store.subscriptions.set_alias(owner, alias, trusted=True)
    site = ctx.sites[record.site]
    shop_orders.match_late(ctx.store, site, owner, Clues(alias=alias), record.at)


def _leave_out_untracked(ctx: Context, found: Sequence[int]) -> Sequence[int]:
    """Return those of whom something may be kept; raises InputError where it is none."""
    untracked = tracking.find_untracked(ctx.store, found)
    if not (kept := [one for one in found if one not in untracked]):
        raise InputError(tracking.NOT_KEPT)
    return kept


def _unsubscribe(ctx: Context, record: InboxRecord, item: Item) -> None:
    state = SubscriptionState.UNSUBSCRIBED
    found = find_addressed(ctx, record, item)
    ctx.store.subscriptions.mark(found, state, "by the shop's server", record.at)


def _erase(ctx: Context, record: InboxRecord, item: Item) -> None:
    """Erase a person's browsers, and what orders say of the person, also nobody's."""
    clues, erasure = server_items.read_person(item), ctx.store.erasure
    site, known = ctx.sites[record.site], _list_known(ctx, record, item)
    for one in ctx.store.subscriptions.get_many(known):
        preferences.erase_subscription(ctx, one.id, one.public_id, record.at)
    ctx.erased_names.update(name for name in clues if name is not None)
    if clues.alias is not None:
        erasure.remove_alias_from_audiences(clues.alias)
    if not erasure.blank_orders(site, SOURCE, clues, ()) and not known:
        raise InputError("nobody was found, and no order")
    keys = erasures.list_buyer_keys(record.site, SOURCE, clues, ())
    ctx.erased_buyers.extend((key, record.at) for key in keys)


def _list_known(ctx: Context, record: InboxRecord, item: Item) -> Sequence[int]:
    with suppress(InputError):
        return find_addressed(ctx, record, item)
    return []


def _count_calls(ctx: Context, record: InboxRecord, body: Body) -> str:
    """Keep the receiver's counts of a minute: refused calls, and reads."""
    calls = []
    for one in body.get("calls") or ():
        key, route, what, count = one
        if not all(isinstance(each, str) for each in (key, route, what)):
            raise InputError("a call has no texts")
        if type(count) is not int:
            raise InputError("a count is no number")
        calls.append(ApiCall(record.at - record.at % MINUTE, key, route, what, count))
    ctx.store.api_requests.add_calls(calls)
    return "API calls"


_ITEMS: Mapping[str, _Apply] = {
    "tags": _change_tags,
    "attributes": _set_attributes,
    "aliases": _set_alias,
    "unsubscribe": _unsubscribe,
    "erase": _erase,
}

HANDLERS: Mapping[str, Callable[[Context, InboxRecord, Body], str]] = {
    f"{_PREFIX}events": take,
    **{f"{_PREFIX}{name}": take for name in _ITEMS},
    f"{_PREFIX}calls": _count_calls,
}

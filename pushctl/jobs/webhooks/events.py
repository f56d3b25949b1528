"""
Finds what webhooks are to be told of, and writes a call for each.

Calls and the cursor behind their rows are one transaction, so each row is told of once. An id
is made of the row: a call that is found twice, after a restore, has the same one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import orjson

from pushctl.config import Config
from pushctl.model import Json, Millis
from pushctl.rules.money import Money
from pushctl.rules.units import DAY
from pushctl.rules.web import standard_webhooks as standard
from pushctl.rules.web.webhooks import CLICKED, SHOWN, SUBSCRIBED, Webhook
from pushctl.store import Store
from pushctl.store.webhooks import CURSORS, Happened, NewCall

_BATCH = 2_000
# An order that was paid longer ago is history, of an imported file: no news for anybody.
_NEWS: Millis = 30 * DAY

_NEEDS = {"events": {SUBSCRIBED}, "interactions": {SHOWN, CLICKED}}


def sync(store: Store, config: Config, now: Millis) -> None:
    """Store which webhooks pushctl.toml has; with the first one everything begins."""
    hooks = {one.name: one.events for one in config.webhooks if one.events}
    store.webhooks.sync(hooks, now)


def find(store: Store, config: Config, now: Millis, enough: Callable[[], bool]) -> int:
    """Write the calls about what is new, until it is *enough*; return how many."""
    known = store.webhooks.load_states()
    hooks = {one.name: one for one in config.webhooks if one.name in known}
    if not hooks:
        return 0
    count, secret = 0, config.secret()
    for table in CURSORS:
        count += _follow(store, hooks, secret, table, now, enough)
    while True:
        with store.write():
            taken, happened = store.webhooks.take_sources(_BATCH, now - _NEWS)
            count += store.webhooks.add(_make_calls(hooks, secret, happened), now)
        if taken < _BATCH or enough():
            return count


def _follow(
    store: Store,
    hooks: Mapping[str, Webhook],
    secret: bytes,
    table: str,
    now: Millis,
    enough: Callable[[], bool],
) -> int:
    """Read one table from its cursor on; return how many calls that makes."""
    if not any(_NEEDS[table].intersection(one.events) for one in hooks.values()):
        store.webhooks.skip(table)
        return 0
    nouns = {
        "events": store.webhooks.list_arrivals,
        "interactions": store.webhooks.list_reports,
    }
    count, read = 0, nouns[table]
    while True:
        with store.write():
            after = int(store.meta.get(CURSORS[table]) or 0)
            last, happened = read(after, _BATCH)
            if last == after:
                return count
            count += store.webhooks.add(_make_calls(hooks, secret, happened), now)
            store.meta.set(CURSORS[table], str(last))
        if enough():
            return count


def _make_calls(
    hooks: Mapping[str, Webhook], secret: bytes, happened: Sequence[Happened]
) -> Iterator[NewCall]:
    for one in happened:
        message = standard.make_id(secret, one.event, one.source, one.row)
        for hook in hooks.values():
            elsewhere = one.person and hook.site not in (None, one.person.site)
            if one.event in hook.events and not elsewhere:
                payload = orjson.dumps(describe(hook, one)).decode()
                about = one.person.subscription if one.person else None
                yield NewCall(hook.name, message, one.event, payload, about)


def describe(hook: Webhook, one: Happened) -> dict[str, Json]:
    """Return what *hook* is told of *one*: names and public ids, nothing that opens a door."""
    data: dict[str, Json] = {}
    if one.person is not None:
        data |= {"site": one.person.site, "subscriber": one.person.public_id}
        if hook.people:
            data["alias"] = one.person.alias
    data |= one.data
    for name in ("entered_at", "started_at"):
        if data.get(name) is not None:
            data[name] = write_time(data[name])
    if "order" in data:
        data["order"] = _describe_order(data["order"])
    return {"type": one.event, "timestamp": write_time(one.at), "data": data}


def _describe_order(order: Mapping[str, Json]) -> dict[str, Json]:
    """Add the amount as people write it, a text: "49.00"; None where it is unknown."""
    minor, exponent = order["minor"], order["exponent"]
    known = minor is not None and exponent is not None
    return {**order, "amount": Money(minor, exponent, None).text if known else None}


def write_time(at: Millis) -> str:
    """Return a time as RFC 3339 has it: "2026-11-29T17:00:00.000Z"."""
    found = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return found.replace("+00:00", "Z")

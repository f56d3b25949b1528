"""
A person's own data: all that the database holds of them, for their eyes.

Times are ISO 8601 in UTC. Without *keys* the push service stands there with the mark
that tells two endpoints of it apart, and nobody can be written to with the file.
"""

from collections.abc import Mapping, Sequence

import orjson

from pushctl.errors import UsageError
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import tokens, wording
from pushctl.rules.delivery import endpoints
from pushctl.store import Store
from pushctl.store.dossiers import Dossiers

_SECRET = ("endpoint", "p256dh", "auth")
_HELD = ("attributes", "properties", "context")  # JSON inside a column


def people(
    store: Store, alias: str | None, ids: Sequence[str], now: Millis
) -> list[Subscription]:
    """
    Return the subscriptions of a person, called by *alias* or by *ids*.

    Raises NotFoundError for who isn't there, UsageError when nobody is named.
    """
    refs = [*([f"alias:{alias}"] if alias else []), *ids]
    if not refs:
        raise UsageError("name the person: --alias NAME, or --id ID")
    found = {one.id: one for ref in refs for one in store.subscriptions.find(ref, now)}
    return list(found.values())


def unsigned(person: Sequence[Subscription], alias: str | None) -> int:
    """Return how many of them only say by themselves that they are *alias*."""
    named = [one for one in person if one.alias == alias]
    return sum(one.alias is not None and not one.alias_trusted for one in named)


def written(store: Store, person: Sequence[Subscription], now: Millis, *, keys: bool) -> str:
    """Return everything about *person* as one JSON object, a browser after the other."""
    told = {
        "exported_at": wording.iso(now),
        "browsers": [_browser(Dossiers(store), one, keys=keys) for one in person],
    }
    return wording.json_text(told, indent=2)


def _browser(kept: Dossiers, one: Subscription, *, keys: bool) -> Mapping[str, Json]:
    record = dict(_readable(kept.load_record(one.id)))
    secrets = {name: record.pop(name) for name in _SECRET}
    record["alias_signed"] = bool(record["alias_signed"])
    record["push_service"] = endpoints.short(one.endpoint)
    if keys:
        pair = {name: tokens.encode(secrets[name]) for name in ("p256dh", "auth")}
        record |= {"endpoint": secrets["endpoint"], "keys": pair}
    sections = kept.load_sections(one.id)
    for name, rows in sections.items():
        record[name] = [_readable(row, keys=keys) for row in rows]
    return record


def _readable(row: Mapping[str, Json], *, keys: bool = True) -> Mapping[str, Json]:
    """Return a row with its times as text and its JSON opened; without empty columns."""
    told = {}
    for name, value in row.items():
        # A message's location is where its push service takes it back: a secret, too.
        if value is None or (name == "location" and not keys):
            continue
        if name in _HELD:
            value = orjson.loads(value)
        elif name in ("at", "until") or name.endswith(("_at", "_since")):
            value = wording.iso(value)
        told[name] = value
    return told

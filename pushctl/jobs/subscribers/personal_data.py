"""
Export one person's data, for that person.

Times are ISO 8601 in UTC. Without *keys* an endpoint is only its push service and a mark,
and nobody can send with the file.
"""

from collections.abc import Mapping, Sequence

import orjson

from pushctl.errors import UsageError
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import tokens, wording
from pushctl.rules.delivery import endpoints
from pushctl.rules.shops import promo_codes
from pushctl.store import Store
from pushctl.store.dossiers import Dossiers

_SECRET = ("endpoint", "p256dh", "auth")
_HELD = (  # JSON in a column
    "attributes", "properties", "context", "lines", "codes", "payload", "content",
)  # fmt: skip


def find_people(
    store: Store, alias: str | None, ids: Sequence[str], now: Millis
) -> list[Subscription]:
    """Return the subscriptions of *alias* and *ids*; raises NotFoundError, UsageError."""
    refs = [*([f"alias:{alias}"] if alias else []), *ids]
    if not refs:
        raise UsageError("name the person: --alias NAME, or --id ID")
    found = {one.id: one for ref in refs for one in store.subscriptions.find(ref, now)}
    return list(found.values())


def render(store: Store, person: Sequence[Subscription], now: Millis, *, keys: bool) -> str:
    """Return all data of *person* as one JSON object."""
    data = {
        "exported_at": wording.iso(now),
        "browsers": [_describe(Dossiers(store), one, keys=keys) for one in person],
    }
    return wording.json_text(data, indent=2)


def _describe(kept: Dossiers, one: Subscription, *, keys: bool) -> Mapping[str, Json]:
    record = dict(_make_readable(kept.load_record(one.id)))
    secrets = {name: record.pop(name) for name in _SECRET}
    record["alias_signed"] = bool(record["alias_signed"])
    record["push_service"] = endpoints.short(one.endpoint)
    if keys:
        pair = {name: tokens.encode(secrets[name]) for name in ("p256dh", "auth")}
        record |= {"endpoint": secrets["endpoint"], "keys": pair}
    for name, rows in kept.load_sections(one.id).items():
        record[name] = [_make_readable(row, keys=keys) for row in rows]
    return record


def _make_readable(row: Mapping[str, Json], *, keys: bool = True) -> Mapping[str, Json]:
    """Return a row with times as text and JSON parsed, without empty columns."""
    readable = {}
    for name, value in row.items():
        # Whoever has a message's location can recall it: it is a secret, too.
        if value is None or (name == "location" and not keys):
            continue
        if name in _HELD:
            value = orjson.loads(value)
            if name == "codes":
                value = [promo_codes.mask(one) for one in value]
        elif name == "code":
            value = promo_codes.mask(value)
        elif name in ("at", "until") or name.endswith(("_at", "_since")):
            value = wording.iso(value)
        readable[name] = value
    return readable

"""Check one record of a file of subscribers and return its row."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from pushctl.errors import InputError
from pushctl.model import Json, Millis, SubscriptionState
from pushctl.rules import limits, tokens, units
from pushctl.rules.delivery import endpoints
from pushctl.rules.web import fields, keys
from pushctl.store.imports import Row

_STATES = frozenset(SubscriptionState)
_TRUE = frozenset({"1", "true", "t", "yes"})
_FALSE = frozenset({"0", "false", "f", "no", ""})


@dataclass(frozen=True)
class Rules:
    hosts: Sequence[str]  # allowed push hosts
    sites: Mapping[str, int]  # name -> row
    site: str | None  # of records without one
    keys: Collection[str]  # ids of our VAPID keys
    key: str  # of records without one
    now: Millis


def read_row(given: Mapping[str, Json], rules: Rules) -> Row:
    """Return the row of a record; raises InputError that names the faulty field."""
    endpoint = _needed(given, "endpoint")
    endpoints.origin(endpoint, rules.hosts)
    about = _about(given)
    return Row(
        tokens.endpoint_hash(endpoint),
        endpoint,
        keys.p256dh(_needed(given, "p256dh")),
        keys.auth(_needed(given, "auth")),
        _site(given, rules),
        _key(given, rules),
        _state(given),
        about.get("alias"),
        _truth(given, "alias_trusted", default=True),
        about.get("language"),
        about.get("timezone"),
        about.get("country"),
        about.get("city"),
        about.get("browser"),
        about.get("os"),
        about.get("source"),
        _attributes(given),
        _moment(given, "subscribed_at", rules.now),
        _moment(given, "last_seen_at", rules.now),
        _tags(given),
    )


# Only present fields are checked: most records have few of them, and there are many records.
_ABOUT: Mapping[str, Callable[[str], str]] = {
    "alias": fields.label,
    "language": fields.language,
    "timezone": fields.timezone,
    "country": fields.country,
    "city": fields.label,
    "browser": fields.label,
    "os": fields.label,
    "source": fields.label,
}


def _about(given: Mapping[str, Json]) -> dict[str, str]:
    about: dict[str, str] = {}
    for name in given.keys() & _ABOUT.keys():
        value = given[name]
        if value is None or value == "":
            continue
        try:
            about[name] = _ABOUT[name](str(value) if isinstance(value, int) else value)
        except InputError as error:
            raise InputError(f"{name} {error}") from error
        except (TypeError, AttributeError) as error:
            raise InputError(f"{name} is no text") from error
    return about


def _needed(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{name} is missing")
    return value.strip()


def _site(given: Mapping[str, Json], rules: Rules) -> int:
    name = given.get("site") or rules.site
    if name is None:
        raise InputError("site is missing; name it with --site")
    if not isinstance(name, str) or name not in rules.sites:
        raise InputError("site is none of those in pushctl.toml")
    return rules.sites[name]


def _key(given: Mapping[str, Json], rules: Rules) -> str:
    name = given.get("key_id") or rules.key
    if not isinstance(name, str) or name not in rules.keys:
        raise InputError("key_id names a VAPID key that is not in the keys folder")
    return name


def _state(given: Mapping[str, Json]) -> str | None:
    state = given.get("state")
    if state is None:
        return "unsubscribed" if _truth(given, "invalid", default=False) else None
    if state not in _STATES:
        raise InputError(f"state is none of {', '.join(sorted(_STATES))}")
    return str(state)


def _truth(given: Mapping[str, Json], name: str, *, default: bool) -> bool:
    value = given.get(name)
    if value is None:
        return default
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise InputError(f"{name} is neither true nor false")
    return text in _TRUE


def _attributes(given: Mapping[str, Json]) -> str | None:
    value = given.get("attributes")
    if isinstance(value, str) and value:
        try:
            value = orjson.loads(value)
        except ValueError as error:
            raise InputError("attributes is no JSON object") from error
    # Columns called attr.NAME; and OneSignal's tags, which have values.
    parts = [value, given.get("attr"), _valued_tags(given)]
    if not any(parts):
        return None
    merged: dict[str, Json] = {}
    for part in filter(None, parts):
        try:
            merged |= fields.free(part)
        except InputError as error:
            raise InputError(f"attributes {error}") from error
    text = orjson.dumps(merged).decode()
    if len(text) > (most := limits.MAX_ATTRIBUTES_CHARACTERS):
        raise InputError(f"attributes have more than {most} characters")
    return text


def _valued_tags(given: Mapping[str, Json]) -> Mapping[str, Json] | None:
    value = given.get("tags")
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = orjson.loads(value)
        except ValueError as error:
            raise InputError("tags is no JSON") from error
    return value if isinstance(value, dict) else None


def _tags(given: Mapping[str, Json]) -> tuple[str, ...]:
    value = given.get("tags")
    if not value or isinstance(value, dict):
        return ()
    if isinstance(value, str):
        value = _split(value)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError("tags is no list of texts")
    try:
        return tuple(dict.fromkeys(map(fields.tag, value)))
    except InputError as error:
        raise InputError(f"tags: one {error}") from error


def _split(cell: str) -> Json:
    if cell.startswith("{"):
        return []
    if cell.startswith("["):
        try:
            return orjson.loads(cell)
        except ValueError as error:
            raise InputError("tags is no JSON list") from error
    # "a|b", else "a;b", else "a,b": a name may hold what comes later in this list.
    mark = next((one for one in "|;," if one in cell), "|")
    return [part for part in cell.split(mark) if part.strip()]


def _moment(given: Mapping[str, Json], name: str, now: Millis) -> Millis | None:
    """Return a time of ISO 8601, or of seconds or milliseconds since 1970."""
    value = given.get(name)
    if value is None or value == "":
        return None
    text = str(value).strip()
    try:
        number = float(text)
        number = number if abs(number) > 1e11 else number * 1000
    except ValueError:
        number = _iso(name, text)
    if not 0 <= number <= now + units.DAY:
        raise InputError(f"{name} is not between 1970 and now")
    return min(int(number), now)


def _iso(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError as error:
        raise InputError(f"{name} is no time such as 2026-04-28T08:00:00Z") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000

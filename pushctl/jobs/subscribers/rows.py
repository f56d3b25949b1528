"""Check one record of a file of subscribers and return its row."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from pushctl.errors import InputError
from pushctl.jobs.subscribers.files import Several, Unreadable
from pushctl.model import Json, Millis, NoTracking, Worker
from pushctl.rules import limits, tokens
from pushctl.rules.delivery import endpoints
from pushctl.rules.web import fields, keys, opt_out
from pushctl.store.imports import OURS, Change, Row

_T = TypeVar("_T")

_TRUE = frozenset({"1", "true", "t", "yes"})
_FALSE = frozenset({"0", "false", "f", "no", ""})


@dataclass(frozen=True)
class Rules:
    hosts: Sequence[str]  # allowed push hosts
    sites: Mapping[str, int]  # name -> row
    site: str | None  # of records without one
    keys: Collection[str]  # ids of our VAPID keys
    key: str | None  # of records without one
    now: Millis
    doubt_key: bool = False  # whether they may have come with another key
    answers: opt_out.Answers = field(default_factory=opt_out.Answers)
    worker: str | None = None  # of records without one; None: nothing is known of it


LeftOut = list[tuple[str, str]]  # (field, reason)


def read_row(given: Mapping[str, Json], rules: Rules) -> tuple[Row, LeftOut]:
    """
    Return the row of a record, and the fields that it can't have.

    Raises InputError for what nobody can do without: endpoint, keys, site, VAPID key.
    """
    endpoint = _needed(given, "endpoint")
    endpoints.origin(endpoint, rules.hosts)
    left: LeftOut = []
    about = _Optional(given, left)
    alias = about.read("alias", fields.alias)
    trusted = about.read("alias_trusted", _truth)
    if trusted is None:
        # What can't be read is no signature; without a word it comes from the owner.
        trusted = "alias_trusted" not in given
    row = Row(
        tokens.endpoint_hash(endpoint),
        endpoint,
        keys.p256dh(_needed(given, "p256dh")),
        keys.auth(_needed(given, "auth")),
        _site(given, rules),
        _key(given, rules),
        _state(given, rules),
        alias,
        trusted,
        about.read("language", fields.language),
        about.read("timezone", fields.timezone),
        about.read("country", fields.country),
        about.read("city", fields.label),
        about.read("browser", fields.label),
        about.read("os", fields.label),
        about.read("source", fields.label),
        _attributes(given, left),
        about.read("subscribed_at", lambda value: fields.moment(value, rules.now)),
        about.read("last_seen_at", lambda value: fields.moment(value, rules.now)),
        _tags(given, left),
        about.read("no_tracking", _no_tracking),
        _worker(given, rules, about),
    )
    return row, left


def read_change(given: Mapping[str, Json]) -> tuple[Change, LeftOut]:
    """Return what a record changes of somebody known, and the fields that it can't."""
    left: LeftOut = []
    about = _Optional(given, left)
    change = Change(
        about.read("language", fields.language),
        about.read("timezone", fields.timezone),
        about.read("country", fields.country),
        about.read("city", fields.label),
        _attributes(given, left),
        _tags(given, left),
    )
    return change, left


class _Optional:
    """Reads fields that a person can do without, and notes those that can't be read."""

    def __init__(self, given: Mapping[str, Json], left: LeftOut) -> None:
        self._given = given
        self._left = left

    def read(self, name: str, check: Callable[[str], _T]) -> _T | None:
        value = self._given.get(name)
        if value is None:
            return None
        if name == "alias" and isinstance(value, Several):
            self._left.append((name, "is another one in each of two columns"))
            return None
        reason = ""
        values = value.values if isinstance(value, Several) else (value,)
        if name == "timezone":  # a zone's name knows its summer; an offset doesn't
            values = tuple(sorted(values, key=lambda one: "/" not in str(one)))
        for one in values:
            try:
                return check(_text(one))
            except InputError as error:
                reason = reason or str(error)
        self._left.append((name, reason))
        return None


def _text(value: Json) -> str:
    if isinstance(value, Unreadable):
        raise InputError(value.reason)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise InputError("is no text")


def _needed(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name)
    if isinstance(value, Several):
        raise InputError(f"two columns mean {name}, and they differ")
    if isinstance(value, Unreadable):
        raise InputError(f"{name} {value.reason}")
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
    if name is None:
        raise InputError("key_id is missing, and no key is the own one; name it with --key")
    if not isinstance(name, str) or name not in rules.keys:
        raise InputError("key_id names a VAPID key that is not in the keys folder")
    return name


def _state(given: Mapping[str, Json], rules: Rules) -> str | None:
    says = given.get("says")
    if says is None:
        return None
    try:
        return opt_out.read(says, rules.answers)
    except LookupError as unclear:
        # They are asked about before the import begins; never taken for a yes.
        column, value = unclear.args
        raise InputError(f"{column} is {value[:40]!r}, which may say that they left") from None


def _truth(value: str) -> bool:
    text = value.strip().lower()
    if text not in _TRUE | _FALSE:
        raise InputError("is neither true nor false")
    return text in _TRUE


def _no_tracking(value: str) -> NoTracking | None:
    """Return why somebody must not be tracked; any other word for yes is their own no."""
    text = value.strip().lower()
    if text in _FALSE:
        return None
    return NoTracking.GPC if text == NoTracking.GPC else NoTracking.CONSENT


def _worker(given: Mapping[str, Json], rules: Rules, about: _Optional) -> str | None:
    if told := about.read("worker", _worker_name):
        return told
    if rules.worker == Worker.ONESIGNAL and rules.doubt_key and "key_id" not in given:
        return Worker.UNKNOWN  # without the other service's key nothing reaches them
    return rules.worker


def _worker_name(value: str) -> str:
    text = value.strip().lower()
    if text not in (*Worker, OURS):
        raise InputError(f"is none of {', '.join((*Worker, OURS))}")
    return text


def _attributes(given: Mapping[str, Json], left: LeftOut) -> str | None:
    # Columns called attr.NAME; and OneSignal's tags, which have values.
    parts = [_object(given, "attributes", left), given.get("attr"), _valued_tags(given, left)]
    if not any(parts):
        return None
    merged: dict[str, Json] = {}
    for part in filter(None, parts):
        for name, value in part.items():
            try:
                if isinstance(value, Unreadable):
                    raise InputError(value.reason)
                merged |= fields.free({name: value})
            except InputError as error:
                left.append(("attributes", str(error)))
    if len(merged) > (most := limits.MAX_LEVEL_ENTRIES):
        left.append(("attributes", f"are more than {most}"))
        return None
    try:
        text = orjson.dumps(merged).decode()
    except TypeError:  # half of a letter, which JSON can write and UTF-8 can't
        left.append(("attributes", "are not in UTF-8"))
        return None
    if len(text) > (most := limits.MAX_ATTRIBUTES_CHARACTERS):
        left.append(("attributes", f"have more than {most} characters"))
        return None
    return text if merged else None


def _object(given: Mapping[str, Json], name: str, left: LeftOut) -> Mapping[str, Json] | None:
    value = given.get(name)
    if isinstance(value, str) and value:
        value = _parse(value)
    if value is None or isinstance(value, dict):
        return value
    left.append((name, "is no object"))
    return None


def _parse(text: str) -> Json:
    try:
        return orjson.loads(text)
    except ValueError:
        return Unreadable("is no JSON")


def _valued_tags(given: Mapping[str, Json], left: LeftOut) -> Mapping[str, Json] | None:
    value = given.get("tags")
    if isinstance(value, str) and value.startswith("{"):
        return _object(given, "tags", left)
    return value if isinstance(value, dict) else None


def _tags(given: Mapping[str, Json], left: LeftOut) -> tuple[str, ...]:
    value = given.get("tags")
    if not value or isinstance(value, dict):
        return ()
    if isinstance(value, str):
        value = _split(value)
    if not isinstance(value, list):
        left.append(("tags", "is no list of texts"))
        return ()
    tags: dict[str, None] = {}
    for one in value:
        try:
            if not isinstance(one, str):
                raise InputError("is no text")
            tags[fields.tag(one)] = None
        except InputError as error:
            left.append(("tags", f"one {error}"))
    return tuple(tags)


def _split(cell: str) -> Json:
    if cell.startswith("{"):
        return []
    if cell.startswith("["):
        return _parse(cell)
    # "a|b", else "a;b", else "a,b": a name may hold what comes later in this list.
    mark = next((one for one in "|;," if one in cell), "|")
    return [part for part in cell.split(mark) if part.strip()]

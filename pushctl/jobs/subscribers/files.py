"""Read files of subscribers: whose column is what, whatever tool wrote it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import chain
from typing import IO, Any, NamedTuple

import orjson

from pushctl import records
from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.records import Record
from pushctl.rules.web import opt_out
from pushctl.rules.web.fields import NOTHING

REQUIRED = ("endpoint", "p256dh", "auth")

# Our fields, each with the columns that mean it, the better ones first: OneSignal's
# timezone is an offset, its timezone_id a name. OneSignal: identifier, web_p256, web_auth,
# external_user_id, timezone_id, created_at, last_active, device_os (its CSV export with
# extra_fields). public_key, auth_token: the tables of the common PHP packages. key_p256dh,
# key_auth, creation_time: Perfecty. uid: Pushpad.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "endpoint": ("endpoint", "identifier", "subscription.endpoint"),
    "p256dh": (
        "p256dh", "p256_dh", "keys.p256dh", "web_p256", "public_key", "key_p256dh",
        "p256dh_key", "subscription.keys.p256dh",
    ),
    "auth": (
        "auth", "keys.auth", "web_auth", "auth_token", "key_auth", "auth_key",
        "subscription.keys.auth",
    ),
    "site": ("site",),
    "key_id": ("key_id",),
    "alias": ("alias", "external_user_id", "external_id", "uid"),
    "alias_trusted": ("alias_trusted",),
    "language": ("language", "lang", "locale"),
    "timezone": ("timezone_id", "timezone", "time_zone"),
    "country": ("country", "country_code"),
    "city": ("city",),
    "browser": ("browser",),
    "os": ("os",),
    "source": ("source",),
    "attributes": ("attributes",),
    "subscribed_at": ("subscribed_at", "created_at", "creation_time"),
    "last_seen_at": ("last_seen_at", "last_active", "last_seen"),
    "tags": ("tags",),
    "no_tracking": ("no_tracking",), "worker": ("worker",),
}  # fmt: skip
_PLACES = {
    column: (field, place)
    for field, columns in COLUMNS.items()
    for place, column in enumerate(columns)
}
# Columns that hold a whole subscription as JSON.
WHOLE = frozenset(
    {"subscription", "subscription_info", "subscription_json", "push_subscription",
     "subscription_data", "web_push_subscription"}
)  # fmt: skip
_GUARDED = re.compile(r"'[=+\-@\t\r\n＝＋－＠]")
# Not 007, which is a code.
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,9})?", re.ASCII)
_NAME = re.compile(r"[\w .-]{1,40}")


class Unreadable(NamedTuple):
    reason: str


class Several(NamedTuple):
    """What columns of one meaning say when they differ, the better one first."""

    values: tuple[Json, ...]


class Line(NamedTuple):
    number: int  # of a record's first line, from 1
    raw: str
    # By our names, or the record's fault. "attr" holds the columns attr.NAME, "says" those
    # that may say that the person left.
    fields: Mapping[str, Json] | InputError


@dataclass(frozen=True)
class Source:
    lines: Iterator[Line]
    ignored: tuple[str, ...]  # unknown columns
    says: bool = True  # whether a line may say that a person left


def read(file: IO[bytes], name: str) -> Source:
    """Read the lines of *file* (``records.open_seekable``); raises InputError."""
    found = records.read(file, name)
    if found.columns is None:
        return Source(map(_read_object, found.rows), ())
    if not found.columns:
        return Source(iter(()), ())
    return _read_table(found.columns, found.rows, name)


def read_known(file: IO[bytes], name: str, clues: Collection[str]) -> Source | None:
    """
    Read the lines of a file about people who are known; None where it is none.

    It names people by columns among *clues* alone, and no endpoints. Columns that are no
    fields of ours are attributes.
    """
    found = records.read(file, name)
    if found.columns is not None:
        plan = _plan_known(tuple(found.columns), frozenset(clues))
        if plan is None:
            return None
        steps, ignored = plan
        return Source(
            (_type_attributes(_read_cells(one, steps)) for one in found.rows), ignored
        )
    first = next(found.rows, None)
    if first is None or not isinstance(first.found, Mapping):
        return None
    if _plan_known(tuple(first.found), frozenset(clues)) is None:
        return None
    rows = chain([first], found.rows)
    return Source((_read_known(one, frozenset(clues)) for one in rows), ())


@lru_cache(maxsize=4096)
def column(name: str) -> str:
    """Return a column's name as it is compared: isActive and "is active" are is_active."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s_-]+", "_", plain).lower()


# --- one record ----------------------------------------------------------------------------


class _Mode(Enum):
    FIELD = 0
    ATTRIBUTE = 1  # a column attr.NAME
    SAYS = 2
    WHOLE = 3  # a subscription in JSON
    KEYS = 4  # an object with p256dh and auth


class _Step(NamedTuple):
    """What becomes of one column: *name* is our field, or the attribute's or column's."""

    given: Any  # a key of an object, a position among cells
    mode: _Mode
    name: str
    place: int = 0  # how good the column is for the field; the best has 0
    several: bool = False  # other columns may mean the same field


def _plan(columns: Iterable[tuple[Any, str]], whole: Collection[str] = ()) -> tuple[_Step, ...]:
    """Return the steps of *columns*: (key or position, name as it is compared)."""
    chosen = (_choose_step(given, name, whole) for given, name in columns)
    steps = [step for step in chosen if step is not None]
    others = any(step.mode is _Mode.WHOLE for step in steps)
    fields = [step.name for step in steps if step.mode is _Mode.FIELD]
    return tuple(
        step._replace(several=others or fields.count(step.name) > 1)
        if step.mode is _Mode.FIELD
        else step
        for step in steps
    )


def _choose_step(given: Any, name: str, whole: Collection[str]) -> _Step | None:
    if name in whole or name in WHOLE:
        return _Step(given, _Mode.WHOLE, name)
    if name in _PLACES:
        field, place = _PLACES[name]
        return _Step(given, _Mode.FIELD, field, place)
    if name.startswith("attr."):
        return _Step(given, _Mode.ATTRIBUTE, name[5:])
    if opt_out.recognise(name) is not None:
        return _Step(given, _Mode.SAYS, name)
    return None


@lru_cache(maxsize=64)
def _plan_object(names: tuple[str, ...]) -> tuple[_Step, ...]:
    steps = _plan((name, column(name)) for name in names if not name.startswith("attr."))
    if "keys" in names:
        steps = tuple(
            step._replace(several=True) if step.name in ("p256dh", "auth") else step
            for step in steps
        )
        return (*steps, _Step("keys", _Mode.KEYS, "keys"))
    return steps


class _Record:
    """The fields of one record; columns that mean the same are put together."""

    def __init__(self) -> None:
        self.fields: dict[str, Json] = {}
        self._places: dict[str, int] = {}

    def fill(self, steps: Iterable[_Step], found: Any) -> None:
        fields = self.fields
        for given, mode, name, place, several in steps:
            value = found[given]
            if value is None or value == "":
                continue
            if type(value) is str:
                if value in NOTHING:
                    continue
                if not value.isascii() and _has_surrogates(value):
                    value = Unreadable("is not in UTF-8")
            if mode is not _Mode.FIELD:
                self._add_part(mode, name, value)
            elif several:
                self._add(name, place, value)
            else:
                fields[name] = value

    def fill_from(self, found: Mapping[str, Json]) -> None:
        self.fill(_plan_object(tuple(found)), found)

    def _add(self, field: str, place: int, value: Json) -> None:
        there = self.fields.setdefault(field, value)
        if field not in self._places:
            self._places[field] = place
        elif there != value:
            known = there.values if isinstance(there, Several) else (there,)
            better = place < self._places[field]
            self.fields[field] = Several((value, *known) if better else (*known, value))
            self._places[field] = min(place, self._places[field])

    def _add_part(self, mode: _Mode, name: str, value: Json) -> None:
        if mode is _Mode.ATTRIBUTE:
            self.fields.setdefault("attr", {})[name] = value
        elif mode is _Mode.SAYS:
            text = "(not in UTF-8)" if isinstance(value, Unreadable) else value
            self.fields.setdefault("says", {})[name] = text
        elif mode is _Mode.KEYS:
            for key in ("p256dh", "auth"):
                if isinstance(value, dict) and value.get(key):
                    self._add(key, 0, value[key])
        else:
            value = _parse_cell(value) if isinstance(value, str) else value
            if isinstance(value, dict):
                inner = _plan_object(tuple(value))
                self.fill((step._replace(several=True) for step in inner), value)


# Fields of one browser, or of a state that nobody's list of customers decides.
_NOT_OF_PEOPLE = frozenset(
    {"key_id", "alias_trusted", "browser", "os", "source", "subscribed_at", "last_seen_at",
     "no_tracking", "worker", "state"}
)  # fmt: skip


@lru_cache(maxsize=256)
def _plan_known(
    names: tuple[str, ...], clues: frozenset[str]
) -> tuple[tuple[_Step, ...], tuple[str, ...]] | None:
    """Return the steps of a record of somebody known, by place, and its ignored columns."""
    steps, ignored = [], []
    plain = [column(each) for each in names]
    for place, each in enumerate(plain):
        field, rank = _PLACES.get(each, (each, 0))
        if field in REQUIRED or each in WHOLE or each == "keys":
            return None
        if each in clues:
            steps.append(_Step(place, _Mode.FIELD, each))
        elif field in _NOT_OF_PEOPLE:
            ignored.append(each)
        elif each in _PLACES:
            steps.append(_Step(place, _Mode.FIELD, field, rank, several=True))
        elif each:
            # The shop's own words keep their case.
            own = names[place].strip()
            steps.append(_Step(place, _Mode.ATTRIBUTE, own[5:] if own[:5] == "attr." else own))
    return (tuple(steps), tuple(ignored)) if clues.intersection(plain) else None


def _type_attributes(line: Line) -> Line:
    """Make numbers of a table's attributes: an audience asks for points above 100."""
    if not isinstance(line.fields, InputError) and (told := line.fields.get("attr")):
        for name, value in told.items():
            if isinstance(value, str) and _NUMBER.fullmatch(value):
                told[name] = orjson.loads(value)
    return line


def _read_known(record: Record, clues: frozenset[str]) -> Line:
    number, raw, found = record
    if not isinstance(found, Mapping):
        fault = found if isinstance(found, InputError) else InputError("no JSON object")
        return Line(number, raw, fault)
    plan = _plan_known(tuple(found), clues)
    if plan is None:
        return Line(number, raw, InputError("an endpoint among lines about known people"))
    one = _Record()
    one.fill(plan[0], list(found.values()))
    return Line(number, raw, one.fields)


def _parse_cell(cell: str) -> Json:
    try:
        return orjson.loads(cell)
    except ValueError:
        return None


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _read_object(record: Record) -> Line:
    number, raw, found = record
    if not isinstance(found, Mapping):
        fault = found if isinstance(found, InputError) else InputError("no JSON object")
        return Line(number, raw, fault)
    one = _Record()
    one.fill_from(found)
    if "endpoint" not in one.fields:
        for name, value in found.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                fault = InputError(
                    "one object with a list of them. Give one subscriber a line: "
                    f"jq -c '.{name[:40]}[]'"
                )
                return Line(number, raw, fault)
    return Line(number, raw, one.fields)


# --- a table -------------------------------------------------------------------------------


def _read_table(header: Sequence[str], rows: Iterator[Record], name: str) -> Source:
    # Attributes keep their case: they are the shop's own words.
    columns = [
        "attr." + each.strip()[5:] if each.strip().lower().startswith("attr.") else column(each)
        for each in header
    ]
    whole = {each for each in columns if each in WHOLE}
    there = {_PLACES[each][0] for each in columns if each in _PLACES}
    missing = [each for each in REQUIRED if each not in there]
    if missing and not whole:
        first = next(rows, None)
        rows = rows if first is None else chain([first], rows)
        whole = _find_whole(columns, first)
        if not whole:
            raise InputError(_describe_missing(columns, missing, name))
    steps = _plan(enumerate(columns), whole)
    known = [columns[step.given] for step in steps]
    if twice := sorted({each for each in known if columns.count(each) > 1}):
        raise InputError(f"{name}: two columns are called {', '.join(twice)}. Remove one.")
    return Source(
        (_read_cells(record, steps) for record in rows),
        tuple(each for each in columns if each and each not in known),
        says=any(step.mode in (_Mode.SAYS, _Mode.WHOLE) for step in steps),
    )


def _read_cells(record: Record, steps: Sequence[_Step]) -> Line:
    number, raw, found = record
    if isinstance(found, InputError):
        return Line(number, raw, found)
    one = _Record()
    one.fill(steps, [unguard(cell) for cell in found])
    return Line(number, raw, one.fields)


def unguard(cell: str) -> str:
    """Return a cell without the apostrophe that exports put before a seeming formula."""
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell


def _find_whole(columns: Sequence[str], first: Record | None) -> set[str]:
    """Return the column whose first cell is a subscription in JSON."""
    if first is None or not isinstance(first.found, Sequence):
        return set()
    for name, cell in zip(columns, first.found, strict=True):
        if cell.lstrip().startswith("{"):
            found = _parse_cell(cell)
            if isinstance(found, dict) and "endpoint" in found:
                return {name}
    return set()


def _describe_missing(columns: Sequence[str], missing: Sequence[str], name: str) -> str:
    # Without a header the first line is somebody's endpoint and keys.
    if not all(_NAME.fullmatch(each) for each in columns if each):
        return (
            f"{name}: the first line is no header with names of columns. Write one above it: "
            "endpoint,p256dh,auth and so on. See docs/subscribers.md for the names."
        )
    return (
        f"{name}: there is no column called {', '.join(missing)}. It has "
        f"{', '.join(columns[:20]) or 'none'}. See docs/subscribers.md for the names."
    )

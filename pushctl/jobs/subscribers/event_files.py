"""Read files of events: who did what and when, as shops and their databases export it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, NamedTuple

import orjson

from pushctl import records
from pushctl.errors import InputError
from pushctl.jobs.subscribers import find_people
from pushctl.jobs.subscribers.files import column, unguard
from pushctl.jobs.subscribers.find_people import Clue
from pushctl.model import Json, Millis
from pushctl.records import Record
from pushctl.rules import limits, tokens
from pushctl.rules.events import name_event
from pushctl.rules.shops import cart, order
from pushctl.rules.web import bodies, fields

# The first of these columns that is there has the field; any other column is a property.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    **find_people.COLUMNS,
    "site": ("site",),
    "event": ("event", "event_name", "name"),
    "at": ("at", "time", "timestamp", "happened_at", "created_at", "date"),
    "id": ("event_id", "id"),
    "properties": ("properties",),
}
_CLUES = tuple(find_people.COLUMNS)
_ADDRESSES = find_people.COLUMNS["email"]


@dataclass(frozen=True)
class Rules:
    sites: Mapping[str, int]  # name -> row
    site: str | None  # of lines without one
    event: str | None  # the name of events in lines without one
    now: Millis
    hash_email: Callable[[str], str]


class ToldEvent(NamedTuple):
    clues: tuple[Clue, ...]  # the surest first
    site: int
    name: str
    at: Millis
    key: str  # names the event among those of its person
    properties: Mapping[str, Json]


class Line(NamedTuple):
    number: int  # of a record's first line, from 1
    raw: str
    found: ToldEvent | InputError


class _Plan(NamedTuple):
    """Which key or position of a record holds what."""

    fields: tuple[tuple[str, Any], ...]  # our name, key or position
    properties: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Source:
    lines: Iterator[Line]
    properties: tuple[str, ...]  # columns of CSV that become properties


def read(file: IO[bytes], name: str, rules: Rules) -> Source:
    """Read the lines of *file* (``records.open_seekable``); raises InputError."""
    found = records.read(file, name)
    if found.columns is None:
        return Source((_read_line(one, rules, None) for one in found.rows), ())
    # "Order ID" is order_id.
    plan = _make_plan([column(each) for each in found.columns], rules.event)
    if found.columns and not any(field in _CLUES for field, _ in plan.fields):
        known = ", ".join(f"{each[0]}" for each in find_people.COLUMNS.values())
        raise InputError(
            f"{name}: no column says whose the events are: {known}. It has "
            f"{', '.join(found.columns[:20])}. See docs/events.md for the names."
        )
    lines = (_read_line(one, rules, plan) for one in found.rows)
    return Source(lines, tuple(each for each, _ in plan.properties))


@lru_cache(maxsize=256)
def _plan_object(names: tuple[str, ...], event: str | None) -> _Plan:
    plan = _make_plan(names, event)
    return _Plan(
        tuple((field, names[place]) for field, place in plan.fields),
        tuple((each, each) for each, _ in plan.properties),
    )


def _make_plan(names: Sequence[str], event: str | None) -> _Plan:
    """Choose the columns; with an *event* for all lines "name" is a person's or a product's."""
    plain = [column(each) for each in names]
    chosen: dict[str, int] = {}
    for field, columns in _COLUMNS.items():
        asked = columns if event is None else [it for it in columns if it != "name"]
        place = next((plain.index(each) for each in asked if each in plain), None)
        if place is not None:
            chosen[field] = place
    # An address is never kept, whichever column has it.
    named = {place for place, each in enumerate(plain) if each in _ADDRESSES}
    others = set(range(len(names))) - set(chosen.values()) - named
    properties = ((names[place], place) for place in sorted(others) if names[place])
    return _Plan(tuple(chosen.items()), tuple(properties))


def _read_line(record: Record, rules: Rules, plan: _Plan | None) -> Line:
    number, raw, found = record
    try:
        if isinstance(found, InputError):
            raise found
        if isinstance(found, Mapping):
            given, others = _pick(found, _plan_object(tuple(found), rules.event))
        elif plan is not None:
            given, others = _pick_cells(found, plan)
        else:
            raise InputError("no JSON object")
        return Line(number, raw, _read_event(given, others, rules))
    except InputError as error:
        return Line(number, raw, error)


def _pick(found: Mapping[str, Json], plan: _Plan) -> tuple[dict[str, Json], dict[str, Json]]:
    given = {field: found[key] for field, key in plan.fields}
    others = {name: found[key] for name, key in plan.properties if found[key] is not None}
    return given, others


def _pick_cells(cells: Sequence[str], plan: _Plan) -> tuple[dict[str, Json], dict[str, Json]]:
    given: dict[str, Json] = {}
    for field, place in plan.fields:
        cell = unguard(cells[place])
        if cell and cell not in fields.NOTHING:
            given[field] = _parse(cell) if field == "properties" else cell
    others: dict[str, Json] = {}
    for name, place in plan.properties:
        cell = unguard(cells[place])
        if cell and cell not in fields.NOTHING:
            # A basket's items, as exports write them.
            others[name] = _parse(cell) if cell[0] in "[{" else cell
    return given, others


def _parse(cell: str) -> Json:
    try:
        return orjson.loads(cell)
    except ValueError:
        return cell


def _read_event(given: Mapping[str, Json], others: dict[str, Json], rules: Rules) -> ToldEvent:
    clues = find_people.read_clues(given, rules.hash_email)
    site = find_people.read_site(given.get("site"), rules.site, rules.sites)
    name = _read_name(given.get("event") or rules.event)
    own, time = given.get("id"), given.get("at")
    if time in (None, ""):
        raise InputError("at is missing: when it happened")
    properties = _read_properties(given.get("properties"), others)
    if fault := cart.find_fault(name, properties):
        raise InputError(fault)
    if name == cart.PURCHASE and (word := order.find_unpaid_state(properties)) is not None:
        raise InputError(f"a purchase that is {word!r} by its state is none")
    at = _read_moment(time, rules.now)
    if own not in (None, ""):
        key = _read_id(own)
    elif name == cart.PURCHASE and (number := order.read_number(properties)) is not None:
        key = f"{name}:{number}"  # as pages and shops name it (``shop_orders.make_key``)
    else:
        key = _compute_key(name, at, properties)
    return ToldEvent(clues, site, name, at, key, properties)


@lru_cache(maxsize=1024)
def _read_name(name: str | None) -> str:
    if name is None or name == "":
        raise InputError("event is missing: its name; or give one with --event")
    return name_event(bodies.label(name, "event", limits.MAX_ID_CHARACTERS))


def _read_moment(value: Json, now: Millis) -> Millis:
    try:
        return fields.moment(value, now)
    except InputError as error:
        raise InputError(f"at {error}") from error


def _read_id(own: Json) -> str:
    return bodies.label(str(own) if type(own) is int else own, "id", limits.MAX_ID_CHARACTERS)


def _read_properties(told: Json, others: dict[str, Json]) -> Mapping[str, Json]:
    if told not in (None, ""):
        if not isinstance(told, dict):
            raise InputError("properties is no object")
        others |= told
    return bodies.properties(others, "properties")


def _compute_key(name: str, at: Millis, properties: Mapping[str, Json]) -> str:
    """Return a key for an event without an id: the same event has the same one."""
    text = orjson.dumps([name, at, properties], option=orjson.OPT_SORT_KEYS)
    return "#" + tokens.encode(hashlib.blake2b(text, digest_size=16).digest())

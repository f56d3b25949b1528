"""Statements of SQL that a person asks: their answers as columns and rows to show."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pushctl.jobs.figures.raw_rows import sql_functions
from pushctl.model import Json
from pushctl.rules.columns import Column, Kind
from pushctl.rules.figures.views.catalogue import VIEWS
from pushctl.rules.limits import MAX_SQL_ROWS
from pushctl.rules.wording import clean, number
from pushctl.store import Store, free_sql

_LAST_MOMENT = 253_402_300_800_000  # the end of the year 9999: no calendar goes further


class Shown(NamedTuple):
    columns: list[Column]
    rows: list[Mapping[str, Json]]
    note: str  # what is left out, for people; empty: nothing


def ask(store: Store, statement: str, *, people: bool) -> Shown:
    """
    Run one SELECT on the views; raises InputError for what it may not do (store/free_sql).

    A column called ``at``, ``day`` or ``..._at`` that holds milliseconds is shown as times.
    """
    functions = sql_functions.make(store, statement)
    with free_sql.bound_process():
        names, rows, cut = free_sql.ask(
            store.path, statement, people=people, functions=functions
        )
    keys = _make_keys(names)
    columns = [
        Column(key, key, kind=_find_kind(name, [row[place] for row in rows]))
        for place, (key, name) in enumerate(zip(keys, names, strict=True))
    ]
    note = f"These are the first {number(MAX_SQL_ROWS)} rows; there are more." if cut else ""
    return Shown(
        columns, [dict(zip(keys, map(_plain, row), strict=True)) for row in rows], note
    )


def list_views(*, people: bool = True) -> Iterator[Mapping[str, Json]]:
    """Yield each column of each view: view, column, type, meaning."""
    for view in VIEWS.values():
        for field in view.list_fields(people=people):
            condition = " (only with --people)" if field.personal else ""
            yield {
                "view": view.name, "column": field.name, "type": field.type.value,
                "meaning": f"{field.meaning}{condition}",
            }  # fmt: skip


def _make_keys(names: list[str]) -> list[str]:
    """Return the columns' names, each once: a second "id" is "id_2"."""
    keys: list[str] = []
    for name in map(clean, names):
        key, again = name, 1
        while key in keys:
            again += 1
            key = f"{name}_{again}"
        keys.append(key)
    return keys


def _find_kind(name: str, values: list[Json]) -> Kind:
    known = [value for value in values if value is not None]
    if name in ("at", "day") or name.endswith("_at"):
        return Kind.TIME if all(map(_is_moment, known)) else Kind.TEXT
    # Ids are no amounts: "1,007" would be no number to look up.
    if name == "id" or name.endswith("_id"):
        return Kind.TEXT
    return (
        Kind.NUMBER if known and all(isinstance(it, int | float) for it in known) else Kind.TEXT
    )


def _is_moment(value: Json) -> bool:
    return isinstance(value, int) and 0 <= value < _LAST_MOMENT


def _plain(value: Json) -> Json:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

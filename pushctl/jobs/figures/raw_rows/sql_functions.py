"""
Functions of ``pushctl sql`` beside SQLite's own: what figures are counted by.

docs/sql.md lists them. None reads the database once a statement runs.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import lots, timing, units
from pushctl.store import Store
from pushctl.store.free_sql import Function

_QUARTER: Millis = 15 * units.MINUTE
_FURTHEST: Millis = 8_000_000_000_000_000  # no calendar goes further than some 250,000 years
_KEPT = 100_000


def make(store: Store, statement: str) -> dict[str, Function]:
    """Return the functions that *statement* may call, by their names."""
    functions = {"local": Function(3, _tell_local), "lot": Function(2, _draw)}
    # Who is one person with whom is read before, and only where somebody asks.
    if re.search(r"\bperson\s*\(", statement, re.IGNORECASE):
        functions["person"] = Function(1, _load_person(store))
    return functions


def _load_person(store: Store) -> Callable[[Json], Json]:
    import numpy as np

    from pushctl.jobs.figures.columns.messages import load_people

    people = load_people(store, ("person",))
    folding = people.folding
    numbers = folding.unfold(np.arange(folding.size)).tolist()
    persons = folding.unfold(people.person.astype(np.int64)).tolist()
    known = dict(zip(numbers[1:], persons[1:], strict=True))

    def find(subscriber: Json) -> Json:
        return known.get(subscriber) if isinstance(subscriber, int) else None

    return find


def _draw(name: Json, public_id: Json) -> Json:
    if not isinstance(name, str) or not isinstance(public_id, str):
        return None
    return lots.lot("holdout", name, public_id)


def _tell_local(at: Json, zone: Json, otherwise: Json) -> Json:
    """Return *at*, milliseconds, moved so that UTC's clock shows what the local one does."""
    if not isinstance(at, int) or not 0 <= at < _FURTHEST:
        return None
    offset = _find_offset(at // _QUARTER, str(zone or ""), str(otherwise or ""))
    return None if offset is None else at + offset


@lru_cache(_KEPT)
def _find_offset(quarter: int, zone: str, otherwise: str) -> Millis | None:
    """Return by how much a clock is ahead; every zone is off by whole quarters of an hour."""
    try:
        there = timing.zone(zone, otherwise)
        offset = timing.local(quarter * _QUARTER, there).utcoffset()
    except (InputError, ValueError, OverflowError):
        return None
    return None if offset is None else int(offset.total_seconds()) * units.SECOND

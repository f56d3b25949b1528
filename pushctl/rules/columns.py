"""A column of an answer, and how its values are written for people and for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pushctl.rules import wording
from pushctl.rules.figures.figure import Unit
from pushctl.rules.wording import duration, moment, number, share

Row = Mapping[str, object] | object


class Kind(StrEnum):  # of a declared figure: its unit
    TEXT = Unit.TEXT
    NUMBER = Unit.COUNT
    SHARE = Unit.SHARE
    TIME = Unit.MOMENT
    DURATION = Unit.MILLISECONDS
    LIST = "list"  # a sequence of texts


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of an answer. *key* is its name in CSV and JSON: a public interface.

    A table on a terminal leaves a column out where all rows have its *usual* value, and a
    *spare* one where there is no room for it.
    """

    key: str
    title: str
    kind: Kind = Kind.TEXT
    spare: bool = False
    whole: bool = False  # never over several lines
    usual: object = ...  # there is none

    @property
    def right(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.SHARE, Kind.DURATION)


def read_value(row: Row, column: Column) -> object:
    """Return the value of *column*, of a mapping or of an object."""
    return row.get(column.key) if isinstance(row, Mapping) else getattr(row, column.key)


def read_raw(row: Row, column: Column) -> object:
    """Return the value for programs: times as ISO 8601, the rest unchanged."""
    value = read_value(row, column)
    return wording.iso(value) if column.kind == Kind.TIME and isinstance(value, int) else value


def format_value(row: Row, column: Column, *, zone: bool = True) -> str:
    """Return the value for people on a terminal; *zone*: times say theirs."""
    match column.kind, read_value(row, column):
        case _, None | []:
            return "-"
        case _, bool(value):
            return "yes" if value else "no"
        case _, Mapping() as value:
            return ", ".join(f"{name}: {one}" for name, one in value.items()) or "-"
        case Kind.NUMBER | Kind.SHARE as kind, int() | float() as value:
            return share(value) if kind == Kind.SHARE else number(value)
        case Kind.TIME, int(value):
            return moment(value) if zone else wording.write_moment_without_zone(value)
        case Kind.DURATION, int(value):
            return duration(value)
        case Kind.LIST, Iterable() as value:
            return ", ".join(value)
        case _, value:
            return str(value)

"""A column of an answer, and how its values are written for people and for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from pushctl.rules import wording
from pushctl.rules.figures.figure import Unit
from pushctl.rules.wording import duration, moment, number, share

if TYPE_CHECKING:
    from pushctl.rules.money import Money

Row = Mapping[str, object] | object
_MOST_AMOUNTS = 3  # currencies of one cell on a terminal


class Kind(StrEnum):  # of a declared figure: its unit
    TEXT = Unit.TEXT
    NUMBER = Unit.COUNT
    SHARE = Unit.SHARE
    TIME = Unit.MOMENT
    DURATION = Unit.MILLISECONDS
    MONEY = Unit.MONEY  # a sequence of amounts
    LIST = "list"  # a sequence of texts


class Part(StrEnum):
    """What a program's column has of an amount in several currencies."""

    MINOR = "minor"  # of the first
    EXPONENT = "exponent"
    CURRENCY = "currency"
    MORE = "more"  # the others


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of an answer. *key* is its name in CSV and JSON: a public interface.

    A table on a terminal leaves a column out where all rows have its *usual* value, and a
    *spare* one where there is no room for it. A *bounded* one has its interval in the rows'
    KEY_low, KEY_high and KEY_n.
    """

    key: str
    title: str
    kind: Kind = Kind.TEXT
    spare: bool = False
    whole: bool = False  # never over several lines
    usual: object = ...  # there is none
    bounded: bool = False
    part: Part | None = None  # of the amount under ``key``

    @property
    def right(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.SHARE, Kind.DURATION, Kind.MONEY)

    @property
    def name(self) -> str:
        """Its name in CSV and JSON."""
        return f"{self.key}_{self.part}" if self.part else self.key


def expand(columns: Iterable[Column]) -> list[Column]:
    """
    Return *columns* as programs get them.

    Money is NAME_minor, NAME_exponent, NAME_currency (of the first amount) and NAME_more; an
    interval follows as NAME_low, NAME_high and NAME_n.
    """
    found: list[Column] = []
    for each in columns:
        plain = replace(each, bounded=False)
        if each.kind is Kind.MONEY:
            found += [replace(plain, title=f"{each.title} {it}", part=it) for it in Part]
        else:
            found.append(plain)
        if each.bounded:
            kind = Kind.NUMBER if each.kind is Kind.MONEY else each.kind
            found += [
                Column(f"{each.key}_low", f"{each.title} low", kind),
                Column(f"{each.key}_high", f"{each.title} high", kind),
                Column(f"{each.key}_n", f"{each.title} n", Kind.NUMBER),
            ]
    return found


def read_value(row: Row, column: Column) -> object:
    """Return the value of *column*, of a mapping or of an object."""
    if type(row) is dict:  # to ask whether it is a mapping takes most of the time
        return row.get(column.key)
    return row.get(column.key) if isinstance(row, Mapping) else getattr(row, column.key)


def read_raw(row: Row, column: Column) -> object:
    """Return the value for programs: times as ISO 8601, the rest unchanged."""
    value = read_value(row, column)
    if column.part is not None:
        return _read_part(value, column.part)
    return wording.iso(value) if column.kind == Kind.TIME and isinstance(value, int) else value


def _read_part(value: object, part: Part) -> object:
    if not isinstance(value, tuple | list):
        return None
    if part is Part.MORE:
        return [str(each) for each in value[1:]]
    return getattr(value[0], part) if value else None


def format_value(row: Row, column: Column, *, zone: bool = True) -> str:
    """Return the value for people on a terminal; *zone*: times say theirs."""
    return " ".join(split_value(row, column, zone=zone))


def split_value(row: Row, column: Column, *, zone: bool = True) -> list[str]:
    """
    Return the value for people in parts that may stand below each other.

    The interval of a *bounded* column is the last part: "7.1 %", "(5.6-8.8)".
    """
    value = read_value(row, column)
    if column.kind is Kind.MONEY and isinstance(value, tuple | list):
        amounts = [each.spoken for each in value]
        if has_too_many_amounts(value):
            rest = len(amounts) - _MOST_AMOUNTS + 1
            amounts[_MOST_AMOUNTS - 1 :] = [f"{rest} more"]
        parts = [f"{each} +" for each in amounts[:-1]] + (amounts[-1:] or ["-"])
    else:
        parts = [_format(column.kind, value, zone=zone)]
    bounds = _write_bounds(row, column, value) if column.bounded else ""
    return [*parts, bounds] if bounds else parts


def has_too_many_amounts(value: object) -> bool:
    """Return whether money in so many currencies is cut in a cell for people."""
    return isinstance(value, tuple | list) and len(value) > _MOST_AMOUNTS


def write_cell(row: Row, column: Column, *, zone: bool = True) -> str:
    """Return the cleaned value for people, line breaks between its parts."""
    return "\n".join(map(wording.clean, split_value(row, column, zone=zone)))


def _write_bounds(row: Row, column: Column, value: object) -> str:
    low, high = (
        read_value(row, replace(column, key=f"{column.key}_{end}")) for end in ("low", "high")
    )
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    if column.kind is Kind.SHARE:
        return _join_bounds(f"{100 * low:.1f}", f"{100 * high:.1f}")
    if column.kind is Kind.MONEY and isinstance(value, tuple | list) and value:
        first: Money = value[0]
        ends = (f"{first._replace(minor=int(end)).exact:,f}" for end in (low, high))
        return _join_bounds(*ends)
    return _join_bounds(number(low), number(high))


def _join_bounds(low: str, high: str) -> str:
    """Return "(5.6-8.8)", with "to" where a minus sign would be lost among hyphens."""
    return f"({low} to {high})" if "-" in low + high else f"({low}-{high})"


def _format(kind: Kind, value: object, *, zone: bool) -> str:
    match kind, value:
        case _, None | []:
            return "-"
        case _, bool(value):
            return "yes" if value else "no"
        case _, Mapping() as value:
            parts = (f"{key}: {_format(kind, each, zone=zone)}" for key, each in value.items())
            return ", ".join(parts) or "-"
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

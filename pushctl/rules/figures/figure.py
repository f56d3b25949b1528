"""
A figure is declared once; its place in SQL, tables, CSV, JSON and docs/figures.md follows.

To add a figure, declare a ``Figure`` in campaigns.py, subscribers.py or prompts.py beside
this file, add it to the ``Table`` that has it, and run ``./run python docs/generate.py``.
A count that is new needs its SQL, too: an expression under the figure's name in
store/reports.py, or a stage in store/prompts.py. A rate needs none: it is computed from
the two figures that it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pushctl.rules.figures.statistics.intervals import measure_share

if TYPE_CHECKING:
    from pushctl.rules.money import Money

# None is unknown: "-" on a terminal, empty in CSV. Money has an amount for each currency.
Value = str | int | float | tuple["Money", ...] | None
Row = Mapping[str, Value]  # values by their figures' names


def read_count(row: Row, name: str) -> int:
    """Return a count of *row*; 0 where it is unknown."""
    value = row.get(name)
    return value if isinstance(value, int) else 0


class Unit(StrEnum):
    TEXT = "text"
    COUNT = "count"
    SHARE = "share"  # a fraction: 0.123 is 12.3 %
    MILLISECONDS = "milliseconds"  # how long something takes
    MOMENT = "moment"  # Millis; in CSV and JSON ISO 8601 in UTC
    MONEY = "money"  # one amount for each currency; in CSV and JSON minor units


class Bounds(StrEnum):
    """Where a figure's interval comes from: NAME_low, NAME_high, and NAME_n, its people."""

    NONE = "none"
    GIVEN = "given"  # with the counts; the bounds of money are minor units of its first amount
    WILSON = "Wilson"  # from the counts: all of the denominator are different people


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One figure: *name* is its column in CSV and JSON (a public interface) and its SQL's key.

    *meaning* is its cell in docs/figures.md; *heading* the table's, else the name in words.
    For *spare* and *usual* see output.Column. With *bounds* it has an interval of 95 %.
    """

    name: str
    meaning: str
    unit: Unit = Unit.COUNT
    heading: str = ""
    spare: bool = False
    usual: object = ...  # there is none
    bounds: Bounds = Bounds.NONE

    @property
    def title(self) -> str:
        return self.heading or self.name.replace("_", " ").capitalize()

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the counts that it is computed from."""
        return (self.name,)

    def compute(self, counts: Row) -> Value:
        return counts.get(self.name)

    @property
    def bound_names(self) -> tuple[str, str, str]:
        """The columns of its interval: lower and upper bound, and how many people."""
        return f"{self.name}_low", f"{self.name}_high", f"{self.name}_n"

    def bound(self, counts: Row) -> Row:
        """Return its interval by ``bound_names``; nothing where it has none."""
        if self.bounds is Bounds.NONE:
            return {}
        known = self.compute(counts) is not None
        return {name: counts.get(name) if known else None for name in self.bound_names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(Figure):
    """The share that *numerator* has of *denominator*; unknown where that is 0."""

    meaning: str = ""
    unit: Unit = Unit.SHARE
    numerator: Figure
    denominator: Figure

    @property
    def sources(self) -> tuple[str, ...]:
        return (*self.numerator.sources, *self.denominator.sources)

    def compute(self, counts: Row) -> Value:
        part, whole = self.numerator.compute(counts), self.denominator.compute(counts)
        if not isinstance(part, int | float) or not isinstance(whole, int | float):
            return None
        return part / whole if whole else None

    def bound(self, counts: Row) -> Row:
        if self.bounds is not Bounds.WILSON:
            return Figure.bound(self, counts)
        part, whole = self.numerator.compute(counts), self.denominator.compute(counts)
        # More than all: strangers' counts, or a part of them is of earlier.
        if not isinstance(part, int) or not isinstance(whole, int) or not 0 <= part <= whole:
            return dict.fromkeys(self.bound_names)
        if not whole:
            return dict.fromkeys(self.bound_names)
        found = measure_share(part, whole)
        return dict(zip(self.bound_names, (found.low, found.high, whole), strict=True))


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of one command's answer: what a row stands for, and its figures."""

    command: str
    dimensions: tuple[Figure, ...]
    figures: tuple[Figure, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the counts that the figures are computed from, each once."""
        return tuple(dict.fromkeys(name for each in self.figures for name in each.sources))

    def fill(self, counts: Row) -> Row:
        """Return *counts* with every figure beside them, and its interval."""
        filled = dict(counts)
        for each in self.figures:
            filled |= {each.name: each.compute(counts), **each.bound(counts)}
        return filled

    def total(self, rows: Sequence[Row]) -> Row:
        """Return the sums of the counts; the rates are computed from the sums."""

        def add(name: str) -> float:
            return sum(one for row in rows if isinstance(one := row.get(name), int | float))

        return self.fill({name: add(name) for name in self.sources})

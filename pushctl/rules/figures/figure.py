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

Value = str | int | float | None  # None is unknown: "-" on a terminal, empty in CSV
Row = Mapping[str, Value]  # values by their figures' names


class Unit(StrEnum):
    TEXT = "text"
    COUNT = "count"
    SHARE = "share"  # a fraction: 0.123 is 12.3 %
    MILLISECONDS = "milliseconds"  # how long something takes
    MOMENT = "moment"  # Millis; in CSV and JSON ISO 8601 in UTC


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One figure: *name* is its column in CSV and JSON (a public interface) and its SQL's key.

    *meaning* is its cell in docs/figures.md; *heading* the table's, else the name in words.
    For *spare* and *usual* see output.Column.
    """

    name: str
    meaning: str
    unit: Unit = Unit.COUNT
    heading: str = ""
    spare: bool = False
    usual: object = ...  # there is none

    @property
    def title(self) -> str:
        return self.heading or self.name.replace("_", " ").capitalize()

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the counts that it is computed from."""
        return (self.name,)

    def compute(self, counts: Row) -> Value:
        return counts.get(self.name)


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
        """Return *counts* with every figure beside them."""
        return {**counts, **{each.name: each.compute(counts) for each in self.figures}}

    def total(self, rows: Sequence[Row]) -> Row:
        """Return the sums of the counts; the rates are computed from the sums."""

        def add(name: str) -> float:
            return sum(one for row in rows if isinstance(one := row.get(name), int | float))

        return self.fill({name: add(name) for name in self.sources})

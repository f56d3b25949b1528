"""
The rows behind a figure, as statements on the views: to look at, and to count again.

``rows_of_messages.py`` and ``rows_of_people.py`` beside this file say what each figure counts.
A statement is complete: `pushctl sql` runs it as it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pushctl.model import Millis

_INDENT = "\n       "


@dataclass(frozen=True, slots=True)
class Scope:
    """What a table is about, as ``jobs/figures/filters.Filter``; *zones* are those of sites."""

    site: str | None = None
    since: Millis | None = None
    until: Millis | None = None
    topic: str | None = None
    last: int | None = None
    zone: str = "UTC"
    zones: Mapping[str, str] = field(default_factory=dict)
    now: Millis = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """
    What one figure counts: rows of *tables*, of which *columns* are shown.

    *groups* are the dimensions of the figure's table by their names, expressions all of them.
    With *key* each of its values counts once; with *amount* the rows say how many it is.
    *given* stands before the SELECT.
    """

    tables: str
    where: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    columns: str = "d.*"
    key: str | None = None
    amount: str | None = None
    given: str = ""

    def narrow(self, *conditions: str, **changes: str | None) -> "Rows":
        """Return those of the rows that meet *conditions*, too."""
        kept = tuple(each for each in conditions if each)
        return replace(self, where=(*self.where, *kept), **changes)  # type: ignore[arg-type]

    def choose(self, values: Mapping[str, str | None]) -> "Rows":
        """Return the rows of one row of the table, which has *values* in its dimensions."""
        return self.narrow(
            *(f"{self.groups[name]} IS {quote(value)}" for name, value in values.items())
        )

    def count(self, figure: str, *, by_group: bool) -> str:
        """Return the statement that counts them as *figure*, of each row or of all."""
        measure = f"count(DISTINCT {self.key})" if self.key else "count(*)"
        if self.amount is not None:
            measure = f"sum({self.amount})"
        if by_group and self.groups:
            names = [f"{each} AS {quote_name(name)}" for name, each in self.groups.items()]
            shown = f",{_INDENT}".join([*names, f"{measure} AS {quote_name(figure)}"])
            places = ", ".join(map(str, range(1, len(names) + 1)))
            return f"{self._select(shown)}\n GROUP BY {places} ORDER BY {places}"
        return self._select(f"{measure} AS {quote_name(figure)}")

    def show(self) -> str:
        """Return the statement that shows them: as many rows as the figure says."""
        if self.key is None:
            return self._select(self.columns)
        each = ", ".join([*self.groups.values(), self.key])
        return f"{self._select(self.columns)}\n GROUP BY {each}"

    def _select(self, shown: str) -> str:
        given = f"{self.given}\n" if self.given else ""
        kept = [each for each in self.where if each]
        where = "\n   AND ".join(kept)
        end = f"\n WHERE {where}" if kept else ""
        return f"{given}SELECT {shown}\n  FROM {self.tables}{end}"  # noqa: S608 - quoted


def quote(value: str | float | None) -> str:
    """Return *value* as a literal of SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("\0", "").replace("'", "''") + "'"
    return repr(value)


def quote_name(name: str) -> str:
    """Return *name* as that of a column; our own ones need no quotes but "group"."""
    return name if name.isidentifier() and name != "group" else f'"{name}"'


def match(column: str, value: str | float | None) -> str:
    """Return the condition that *column* is *value*; empty where nothing is asked for."""
    return "" if value is None else f"{column} = {quote(value)}"


def within(column: str, since: float | None, until: float | None) -> tuple[str, str]:
    """Return the conditions that *column* lies in a time; empty ones where it has no end."""
    return (
        "" if since is None else f"{column} >= {since}",
        "" if until is None else f"{column} < {until}",
    )

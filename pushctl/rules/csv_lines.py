"""Rows as lines of CSV: for programs (RFC 4180), or as a spreadsheet program opens them."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Quoting = Literal[0, 1, 2, 3]  # csv's constants

BOM = "\ufeff"  # tells a spreadsheet program that it is UTF-8


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    How lines are written.

    *decimal* stands in numbers with a fraction. *spreadsheet*: with a BOM, lines end in CR
    and LF, and times are written as dates that such a program takes for one.
    """

    separator: str = ","
    decimal: str = "."
    spreadsheet: bool = False


PLAIN = Dialect()


class Lines:
    """
    Renders rows.

    Cells are text that ``wording.csv_cell`` has made harmless, or numbers.
    """

    def __init__(
        self, dialect: Dialect = PLAIN, quoting: Quoting = csv.QUOTE_NONNUMERIC
    ) -> None:
        self._decimal = dialect.decimal
        self._buffer = io.StringIO()
        end = "\r\n" if dialect.spreadsheet else "\n"
        self._writer = csv.writer(
            self._buffer, delimiter=dialect.separator, quoting=quoting, lineterminator=end
        )

    def render(self, rows: Iterable[Sequence[object]]) -> str:
        """Return *rows* as whole lines."""
        if self._decimal != ".":
            rows = [[self._localise(cell) for cell in row] for row in rows]
        self._writer.writerows(rows)
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text

    def _localise(self, cell: object) -> object:
        return repr(cell).replace(".", self._decimal) if isinstance(cell, float) else cell

"""Rows: as a table on a terminal, tab-separated in a pipe, as CSV or JSON."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from pushctl.output.locales import find_dialect
from pushctl.output.streams import (
    answer,
    clean,
    fit,
    has_colours,
    is_plain,
    lines,
    paint,
    say,
)
from pushctl.rules import wording
from pushctl.rules.columns import (
    Column,
    Kind,
    Row,
    expand,
    format_value,
    read_raw,
    read_value,
    write_cell,
)
from pushctl.rules.wording import number

if TYPE_CHECKING:
    from pushctl.rules.csv_lines import Dialect


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    EXCEL = "excel"  # CSV as the user's spreadsheet program opens it
    JSON = "json"


def rows(
    rows: Iterable[Row],
    columns: Sequence[Column],
    format: Format = Format.TABLE,
    *,
    title: str | None = None,
    total: Row | None = None,
    empty: str = "Nothing to show.",
    tall: bool = False,
) -> None:
    """
    Print *rows* (mappings or objects with the columns' keys) to stdout.

    On a terminal *total* is one more row, and *tall* prints a line for each column of a
    row. Without rows *empty* goes to stderr. CSV, JSON and tab-separated text are written
    as the rows come.
    """
    if format is Format.JSON:
        _write_json(rows, expand(columns))
    elif format in (Format.CSV, Format.EXCEL):
        _write_csv(rows, expand(columns), format)
    elif not sys.stdout.isatty():
        _write_tabs(rows, expand(columns), empty)
    elif is_plain():
        _write_sentences(rows, columns, title, total, empty)
    elif tall:
        _write_tall(list(rows), columns, title)
    else:
        _write_table(rows, columns, title, total, empty)


def record(row: Row, columns: Sequence[Column], format: Format = Format.TABLE) -> None:
    """Print one *row*: a line for each column, a JSON object, or one line of CSV."""
    if format is Format.JSON:
        print(wording.json_text(_read_values(row, expand(columns)), indent=2))
    elif format in (Format.CSV, Format.EXCEL):
        _write_csv([row], expand(columns), format)
    elif not sys.stdout.isatty():
        for column in expand(columns):
            print(column.title, wording.cell(read_raw(row, column)), sep="\t")
    elif is_plain():
        lines(_describe(row, columns))
    else:
        width = max(len(column.title) for column in columns)
        for column in columns:
            label = paint(column.title.ljust(width), "dim", sys.stdout)
            text = fit(
                f"{' ' * width}  {clean(format_value(row, column))}", sys.stdout, width + 2
            )
            print(f"{label}{text[width:]}")


def is_for_people(format: Format) -> bool:
    """Whether *format* makes a table on a terminal."""
    return format is Format.TABLE and sys.stdout.isatty()


def _write_csv(rows: Iterable[Row], columns: Sequence[Column], format: Format) -> None:
    from pushctl.rules import csv_lines

    dialect = find_dialect() if format is Format.EXCEL else csv_lines.PLAIN
    sheet = csv_lines.Lines(dialect)
    head = csv_lines.BOM if dialect.spreadsheet else ""
    print(end=head + sheet.render([[wording.csv_cell(column.name) for column in columns]]))
    for row in rows:
        print(end=sheet.render([[_read_cell(row, column, dialect) for column in columns]]))


def _read_cell(row: Row, column: Column, dialect: "Dialect") -> object:
    value = read_raw(row, column)
    if dialect.spreadsheet and column.kind is Kind.TIME and isinstance(value, str):
        value = value.replace("T", " ").removesuffix("Z")  # what is taken for a date
    return wording.csv_cell(value)


def _write_tabs(rows: Iterable[Row], columns: Sequence[Column], empty: str) -> None:
    count = 0
    for count, row in enumerate(rows, 1):
        if count == 1:
            print(*(column.title for column in columns), sep="\t")
        print(*(wording.cell(read_raw(row, column)) for column in columns), sep="\t")
    if not count:
        say(empty)


def _read_values(row: Row, columns: Sequence[Column]) -> dict[str, object]:
    return {column.name: read_raw(row, column) for column in columns}


def _write_json(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    separator = "["
    for row in rows:
        print(separator, wording.json_text(_read_values(row, columns)), sep="\n", end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")


# The layout of many more rows would take minutes.
_MOST_ROWS = 1000


def _write_table(
    rows: Iterable[Row],
    columns: Sequence[Column],
    title: str | None,
    total: Row | None,
    empty: str,
) -> None:
    several = iter(rows)
    shown = list(islice(several, _MOST_ROWS))
    if not shown:
        say(empty)
        return
    from pushctl import terminal

    def foot(column: Column) -> str:
        known = total is not None and (not isinstance(total, Mapping) or column.key in total)
        return write_cell(total, column) if known else ""

    some = [
        each for each in columns if any(read_value(row, each) != each.usual for row in shown)
    ]
    console = terminal.console(sys.stdout, has_colours(sys.stdout))
    zones = {
        it.key: wording.find_common_zone(read_value(row, it) for row in shown)
        for it in some
        if it.kind is Kind.TIME
    }

    def head(column: Column) -> str:
        zone = zones.get(column.key)
        return f"{column.title} ({zone})" if zone else column.title

    table = terminal.table(
        [terminal.Heading(head(it), it.right, foot(it), *_list_traits(it)) for it in some],
        [
            [write_cell(row, each, zone=not zones.get(each.key)) for each in some]
            for row in shown
        ],
        console.width,
        clean(title or ""),
    )
    if table is not None:
        console.print(table)
    else:
        # What no table would keep on a narrow terminal is for programs here, too.
        _write_tall(shown, [each for each in some if not each.spare] or some, title, total)
    if next(several, None) is not None:
        say(f"These are the first {number(_MOST_ROWS)} rows; --csv and --json show all.")


def _list_traits(column: Column) -> tuple[bool, bool, bool]:
    return column.spare, column.whole, column.bounded


def _write_tall(
    rows: Sequence[Row],
    columns: Sequence[Column],
    title: str | None,
    total: Row | None = None,
) -> None:
    if title:
        answer(title, "bold")
    for row in rows:
        record(row, columns)
        print()
    if total is not None:
        record(total, _list_known(total, columns))
        print()


def _list_known(total: Row, columns: Sequence[Column]) -> list[Column]:
    return [it for it in columns if not isinstance(total, Mapping) or it.key in total]


def _write_sentences(
    rows: Iterable[Row],
    columns: Sequence[Column],
    title: str | None,
    total: Row | None,
    empty: str,
) -> None:
    """Write a line of "name: value" for each column, an empty line between two rows."""
    if title:
        answer(title)
    count = 0
    for count, row in enumerate(rows, 1):
        lines([*([""] if count > 1 else []), *_describe(row, columns)])
    if not count:
        say(empty)
    elif total is not None:
        lines(["", *_describe(total, _list_known(total, columns))])


def _describe(row: Row, columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        if read_value(row, column) != column.usual:
            text = clean(format_value(row, column))
            yield f"{column.title}: {'unknown' if text == '-' else text}"

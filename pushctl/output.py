"""
Tables, CSV, JSON, progress: the only module that prints.

Answers go to stdout, everything else to stderr. Where stderr can't be written, the work
goes on and keeps its exit code: a full disk must not stop a campaign half-way.

Text from outside is cleaned on its way: no escape sequence, bidi override or markup of a
stranger reaches a terminal, no formula a spreadsheet. On a terminal numbers are grouped and
times local; elsewhere values are raw, times ISO 8601 in UTC. rich is loaded only where a
terminal shows it.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from enum import StrEnum
from itertools import islice
from typing import IO, Protocol

from pushctl.errors import UsageError
from pushctl.rules import wording
from pushctl.rules.columns import Column as Column
from pushctl.rules.columns import Kind as Kind
from pushctl.rules.columns import Row as Row
from pushctl.rules.columns import format_value, read_raw, read_value
from pushctl.rules.wording import number

clean = wording.clean


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def say(text: str, style: str | None = None) -> None:
    """Print *text* to stderr; *style* is bold, dim, red, green or yellow."""
    _print(fit(text, sys.stderr), sys.stderr, style)


def answer(text: str, style: str | None = None, mark: str = "") -> None:
    """Print an answer to stdout; *style* is for its *mark* alone, if it has one."""
    _print(text, sys.stdout, style, mark)


def lines(texts: Iterable[str]) -> None:
    """Print lines to stdout as they come; they are clean already."""
    sys.stdout.writelines(f"{text}\n" for text in texts)


def warn(text: str) -> None:
    _print_marked("Warning:", text, "yellow")


def error(text: str) -> None:
    _print_marked("Error:", text, "red")


def _print_marked(mark: str, text: str, style: str) -> None:
    # A whole sentence in yellow can't be read on a light background.
    _print(fit(f"{mark} {text}", sys.stderr), sys.stderr, style, mark)


def fit(text: str, stream: IO[str], indent: int | None = None) -> str:
    """
    Wrap *text* where *stream* is a terminal.

    Continued lines begin *indent* columns in, else below their line's first letter.
    """
    if not stream.isatty():
        return text
    import shutil

    return wording.wrapped(text, shutil.get_terminal_size().columns, indent)


_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def paint(text: str, style: str | None, stream: IO[str]) -> str:
    if style is None or not text or not has_colours(stream):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def has_colours(stream: IO[str]) -> bool:
    """See https://no-color.org."""
    return (
        stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def _print(text: str, stream: IO[str], style: str | None, mark: str = "") -> None:
    plain = clean(text, lines=True)
    mark = mark if mark and plain.startswith(mark) else plain
    with suppress(OSError) if stream is sys.stderr else nullcontext():
        print(paint(mark, style, stream) + plain.removeprefix(mark), file=stream, flush=True)


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
        _write_json(rows, columns)
    elif format is Format.CSV:
        _write_csv(rows, columns)
    elif not sys.stdout.isatty():
        _write_tabs(rows, columns, empty)
    elif tall:
        _write_tall(list(rows), columns, title)
    else:
        _write_table(rows, columns, title, total, empty)


def record(row: Row, columns: Sequence[Column], format: Format = Format.TABLE) -> None:
    """Print one *row*: a line for each column, a JSON object, or one line of CSV."""
    if format is Format.JSON:
        print(wording.json_text(_read_values(row, columns), indent=2))
    elif format is Format.CSV:
        _write_csv([row], columns)
    elif not sys.stdout.isatty():
        for column in columns:
            print(column.title, wording.cell(read_raw(row, column)), sep="\t")
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


def gap() -> None:
    """Print an empty line between two answers, on a terminal only."""
    if sys.stdout.isatty():
        print()


def _write_csv(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for row in rows:
        writer.writerow([wording.csv_cell(read_raw(row, column)) for column in columns])


def _write_tabs(rows: Iterable[Row], columns: Sequence[Column], empty: str) -> None:
    count = 0
    for count, row in enumerate(rows, 1):
        if count == 1:
            print(*(column.title for column in columns), sep="\t")
        print(*(wording.cell(read_raw(row, column)) for column in columns), sep="\t")
    if not count:
        say(empty)


def _read_values(row: Row, columns: Sequence[Column]) -> dict[str, object]:
    return {column.key: read_raw(row, column) for column in columns}


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
        return clean(format_value(total, column)) if known else ""

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
        [terminal.Heading(head(it), it.right, foot(it), it.spare, it.whole) for it in some],
        [
            [clean(format_value(row, each, zone=not zones.get(each.key))) for each in some]
            for row in shown
        ],
        console.width,
        clean(title or ""),
    )
    if table is not None:
        console.print(table)
    else:
        _write_tall(shown, columns, title)
    if next(several, None) is not None:
        say(f"These are the first {number(_MOST_ROWS)} rows; --csv and --json show all.")


def _write_tall(rows: Sequence[Row], columns: Sequence[Column], title: str | None) -> None:
    if title:
        answer(title, "bold")
    for row in rows:
        record(row, columns)
        print()


def panel(
    text: str, title: str = "", *, stdout: bool = False, right_to_left: bool = False
) -> None:
    """
    Print *text* in a frame on a terminal, else as plain lines; to stderr, or to *stdout*.
    """
    stream = sys.stdout if stdout else sys.stderr
    if not stream.isatty():
        _print(f"{title}\n{text}" if title else text, stream, None)
        return
    from pushctl import terminal

    frame = terminal.frame(clean(text, lines=True), clean(title), right_to_left)
    terminal.console(stream, has_colours(stream)).print(frame)


class Progress(Protocol):
    """The progress of long work. ``total`` may be set later, once it is known."""

    def advance(self, count: int = 1) -> None: ...

    def total(self, count: int) -> None: ...


class _Quiet:
    def advance(self, count: int = 1) -> None: ...

    def total(self, count: int) -> None: ...


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Progress]:
    """Show a progress bar on a terminal's stderr, else nothing."""
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    from pushctl import terminal

    where = terminal.console(sys.stderr, has_colours(sys.stderr))
    with ExitStack() as stack:
        try:
            bar: Progress = stack.enter_context(terminal.bar(where, clean(label), total))
        except RuntimeError:  # no thread can be started to redraw it
            bar = _Quiet()
        yield bar


def confirm(question: str, yes: bool = False) -> bool:
    """Ask for a yes unless *yes* (--yes) is set; raises UsageError without a terminal."""
    if yes:
        return True
    _need_terminal(f"{question} There is no terminal for the answer; add --yes to continue.")
    return _read(f"{question} [y/N] ").strip().casefold() in ("y", "yes")


def ask(
    question: str,
    default: str | None = None,
    fault: Callable[[str], str | None] = lambda answer: None,
) -> str:
    """
    Ask until there is an answer without *fault*; an empty answer is *default*.

    Raises UsageError without a terminal.
    """
    _need_terminal(f"{question} There is no terminal for the answer; give it as an option.")
    hint = f" [{default}]" if default else ""
    while True:
        given = _read(f"{question}{hint} ").strip() or default
        if given is not None:
            wrong = fault(given)
            if wrong is None:
                return given
            say(f"  {wrong}")


def is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _need_terminal(text: str) -> None:
    if not is_interactive():
        raise UsageError(clean(text))


def _read(prompt: str) -> str:
    print(paint(clean(prompt), "bold", sys.stderr), end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise UsageError("the input ended without an answer")
    return line

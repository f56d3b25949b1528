"""``pushctl export``: raw rows as files for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context, stats_shared
from pushctl.commands.options import (
    PeopleOption,
    SinceOption,
    SiteOption,
    UntilOption,
    find_login,
)
from pushctl.errors import UsageError
from pushctl.rules import csv_lines
from pushctl.rules.figures.views.catalogue import EXPORTED
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.figures.filters import Filter

_What = Annotated[str, typer.Argument(metavar="ROWS", help=f"One of: {', '.join(EXPORTED)}.")]
_Path = Path | None
_STDOUT = Path("-")


def command(
    ctx: typer.Context,
    rows: _What,
    csv: Annotated[_Path, typer.Option(help="Write CSV to this file.")] = None,
    excel: Annotated[
        _Path, typer.Option(help="Write CSV as your spreadsheet program opens it.")
    ] = None,
    jsonl: Annotated[_Path, typer.Option(help="Write a JSON object a line.")] = None,
    parquet: Annotated[_Path, typer.Option(help="Write Parquet (pushctl[parquet]).")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    site: SiteOption = None,
    people: PeopleOption = False,
) -> None:
    """
    Write raw rows as CSV, JSON or Parquet.

    \b
    pushctl export deliveries --parquet deliveries.parquet
    pushctl export orders --csv orders.csv --since 2026-11-01
    pushctl export events --jsonl - | gzip > events.jsonl.gz

    The columns are those of the views of `pushctl sql`; docs/export.md opens the files in
    DuckDB and pandas. A file is there whole, or not at all; "-" is standard output.
    """
    form, path = _find_file(rows, csv=csv, excel=excel, jsonl=jsonl, parquet=parquet)
    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    count = _export(context.of(ctx), rows, form, path, asked, people=people)
    output.say(counted(count, "row") if path == _STDOUT else f"{path}: {counted(count, 'row')}")


def _export(
    here: context.Context, rows: str, form: str, path: Path, asked: "Filter", *, people: bool
) -> int:
    from pushctl.jobs.figures.raw_rows import access_log, exports

    stream = output.open_raw() if path == _STDOUT else None
    dialect = output.find_dialect() if form == "excel" else csv_lines.PLAIN
    with (
        output.progress("Exporting", estimated=True) as bar,
        access_log.note(
            here.store, here.later, "export", find_login(), people=people
        ) as counts,
    ):
        count = exports.export(
            here.store, rows, path, exports.Form(form), bar, asked=asked, people=people,
            dialect=dialect, stream=stream,
        )  # fmt: skip
        counts.append(count)
    return count


def _find_file(rows: str, **forms: Path | None) -> tuple[str, Path]:
    """Return the one form that was asked for, and its file."""
    if rows not in EXPORTED:
        raise UsageError(f"{rows!r} can't be exported. There are: {', '.join(EXPORTED)}.")
    given = [(form, path) for form, path in forms.items() if path is not None]
    if len(given) != 1:
        known = ", ".join(f"--{form} FILE" for form in forms)
        raise UsageError(f"name one file: {known}")
    if given[0] == ("parquet", _STDOUT) and sys.stdout.isatty():
        raise UsageError("Parquet is no text for a terminal: name a file, or a pipe behind it")
    return given[0]

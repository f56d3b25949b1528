"""``--rows FIGURE`` and ``--sql FIGURE`` of every table: the rows behind one of its figures."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pushctl import output
from pushctl.commands import context, update_attribution
from pushctl.commands.options import Text
from pushctl.errors import UsageError
from pushctl.output import Format
from pushctl.states import Json

if TYPE_CHECKING:
    from pushctl.jobs.figures.filters import Filter
    from pushctl.rules.figures.figure import Table

_KEY = "pushctl.behind"
_OPTIONS = {
    "rows": Annotated[
        Text, typer.Option("--rows", metavar="FIGURE", help="Show the rows that it counts.")
    ],
    "sql": Annotated[
        Text, typer.Option("--sql", metavar="FIGURE", help="Print the SELECT that counts it.")
    ],
    "of": Annotated[
        Text, typer.Option("--of", metavar="ROW", help="With these: of one row of the table.")
    ],
}


# What a narrow terminal shows of a row; CSV and JSON have all columns.
_FIRST = (
    "id", "campaign", "name", "number", "subscriber_id", "status", "state", "kind", "amount",
    "currency", "sent_at", "at", "entered_at", "began_at", "ended_by", "day", "stage", "count",
    "segment", "subscribers", "code_id", "given_at",
)  # fmt: skip


class _Asked(NamedTuple):
    rows: str | None
    sql: str | None
    of: str | None


def with_rows(command: Any) -> Callable[..., None]:
    """Return the function *command* with the options above; ``answer`` carries them out."""

    @wraps(command)
    def run(**given: Any) -> None:
        asked = _Asked(*(given.pop(name) for name in _OPTIONS))
        for name, figure in (("rows", asked.rows), ("sql", asked.sql)):
            if figure and figure.startswith("-"):  # the next option: no figure was named
                raise UsageError(f"--{name} takes a figure, such as --{name} clicked.")
        if asked.rows and asked.sql:
            raise UsageError("--rows shows the rows, --sql how they are counted: keep one.")
        if asked.of is not None and not (asked.rows or asked.sql):
            raise UsageError("--of says of which row: add --rows FIGURE or --sql FIGURE.")
        if given["ctx"].invoked_subcommand and any(asked):
            raise UsageError("Write --rows, --sql and --of behind the name of the table.")
        given["ctx"].meta[_KEY] = asked
        command(**given)

    own = inspect.signature(command)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=each)
        for name, each in _OPTIONS.items()
    ]
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), *more])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return run


def answer(
    ctx: typer.Context,
    table: "Table",
    asked: "Filter",
    format: Format,
    *,
    by: str | None = None,
    **more: Json,
) -> bool:
    """
    Show the rows behind a figure of *table*, or their SELECT; return False if nobody asked.

    *by* and *more* are what the table was given (``rows_behind.World`` of jobs/figures/).
    """
    wanted: _Asked = ctx.meta[_KEY]
    figure = wanted.rows or wanted.sql
    if figure is None:
        return False
    from pushctl.jobs.figures.raw_rows import free_sql, rows_behind

    here = context.of(ctx)
    world = rows_behind.World(here.store, here.config, asked, by, more)
    found = rows_behind.find(world, table, figure, wanted.of)
    if wanted.sql:
        output.answer(found.count())
        return True
    update_attribution.refresh(here)
    shown = free_sql.ask(here.store, found.show(), people=False)
    columns = [
        replace(each, spare=each.key not in _FIRST, usual=None) for each in shown.columns
    ]
    output.rows(shown.rows, columns, format, empty="No row.")
    if shown.note:
        output.warn(f"{shown.note} --sql {figure} counts all of them.")
    return True

"""List tags."""

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List tags and count their subscribers.

    \b
    pushctl tags list
    """,
)

_COLUMNS = (
    output.Column("name", "Tag"),
    output.Column("active", "Active", kind=output.Kind.NUMBER),
    output.Column("total", "In any state", kind=output.Kind.NUMBER),
    output.Column("last_set_at", "Last put on", kind=output.Kind.TIME),
)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List all tags, the most frequent first.

    \b
    pushctl tags list --csv

    To add a tag by hand, use `pushctl subscribers tag`.
    """
    here = context.of(ctx)
    output.rows(here.store.tags.list_counts(here.now), _COLUMNS, format, empty="No tag yet.")

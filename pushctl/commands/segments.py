"""List, show and count audiences."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import audience_warnings, context
from pushctl.commands.options import FormatOption, Names
from pushctl.jobs.subscribers import audience

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and count saved audiences.

    \b
    pushctl segments list
    pushctl segments count --where "country = 'TR'"
    """,
)

_COLUMNS = (
    output.Column("name", "Segment"),
    output.Column("subscribers", "Subscribers", kind=output.Kind.NUMBER),
    output.Column("share", "Share", kind=output.Kind.SHARE),
    output.Column("expression", "Audience"),
)
_ONE = (*_COLUMNS, output.Column("meaning", "In words"))
_NONE = "No segment yet. Write one into pushctl.toml: [segments] vip = \"tag('VIP')\"."


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List saved audiences and count their subscribers.

    \b
    pushctl segments list --csv

    Write segments into pushctl.toml under [segments]. docs/audience.md shows how.
    """
    here = context.of(ctx)
    found = audience.list_segments(here.config, here.store, here.now)
    output.rows(found, _COLUMNS, format, empty=_NONE)
    for segment in found:
        if segment.problem:
            output.warn(f"segments.{segment.name}: {segment.problem}")


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A segment of pushctl.toml.")],
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show one saved audience in plain words and count its subscribers.

    \b
    pushctl segments show vip
    """
    here = context.of(ctx)
    output.record(audience.get_segment(here.config, here.store, name, here.now), _ONE, format)


@app.command()
def count(
    ctx: typer.Context,
    names: Annotated[Names, typer.Argument(help="Saved segments.")] = None,
    tag: Annotated[Names, typer.Option(help="Filter by a tag.")] = None,
    where: Annotated[Names, typer.Option(help="Filter by an expression.")] = None,
) -> None:
    """
    Count who matches all given segments, tags and expressions.

    \b
    pushctl segments count vip --tag "Abandoned basket 1"
    pushctl segments count --where "country = 'TR' and not seen within 30d"
    """
    here = context.of(ctx)
    typed, expression = audience.build(
        here.config, tags=tag or (), segments=names or (), where=where or ()
    )
    audience_warnings.warn_of_tags(here, tag or (), where or ())
    output.say(typed, "dim")
    output.answer(str(here.store.audience.count(expression, here.now)))

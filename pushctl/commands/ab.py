"""List, show, stop and decide tests of texts, templates and times."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context
from pushctl.commands.options import FormatOption, YesOption
from pushctl.output import Column, Format, Kind
from pushctl.rules.figures.tables import experiments
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.figures.experiments import results

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List, show, stop and decide A/B tests.

    \b
    pushctl ab list
    pushctl ab show "sale 2026-11-22"
    pushctl ab pick "sale 2026-11-22" b
    """,
)

NameArgument = Annotated[
    str, typer.Argument(help="The campaign's name, or trigger and step: basket/1.")
]

_ABOUT = (
    *columns.of(experiments.LIST),
    Column("on_tie", "If nobody wins"),
    Column("created_at", "Began", kind=Kind.TIME),
)
_EXACT = (
    *_ABOUT,
    Column("cause", "Cause"),
    Column("sample_p", "Sample ratio p"),
    Column("shares", "Sent from now on"),
    Column("outside", "Left out"),
    Column("outside_languages", "Left out by language"),
    Column("waiting", "Waiting"),
    Column("winner_got", "Got the winner"),
    Column("figures", "Arms"),
)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """
    List tests, newest first.

    \b
    pushctl ab list --json
    """
    from pushctl.jobs.figures.experiments import results

    rows = results.list_tests(context.of(ctx).store)
    empty = "No test yet. A template with a file en.b.toml beside en.toml makes one."
    output.rows(rows, columns.of(experiments.LIST), format, empty=empty)


@app.command()
def show(ctx: typer.Context, name: NameArgument, format: FormatOption = Format.TABLE) -> None:
    """
    Show a test: how each arm does, and who wins.

    \b
    pushctl ab show "sale 2026-11-22"
    pushctl ab show basket/1 --json

    CTR is people who clicked, of those whose message was accepted, with the interval of
    95 %. Best is the probability that an arm has the highest rate; loss is what choosing
    it costs on average. docs/experiments.md explains the table.
    """
    from pushctl.jobs.figures.experiments import results

    shown = results.load(context.of(ctx).store, name)
    if format is Format.JSON:
        output.record({**shown.about, "figures": shown.arms}, _EXACT, format)
    elif format in (Format.CSV, Format.EXCEL):
        output.rows(shown.arms, columns.of(experiments.SHOW_EXACT), format)
    else:
        _print(shown)


@app.command()
def stop(ctx: typer.Context, name: NameArgument, yes: YesOption = False) -> None:
    """
    Stop a test without a winner.

    \b
    pushctl ab stop "sale 2026-11-22"

    Who waits for the winner gets nothing. A step of a trigger sends its first text from then
    on.
    """
    from pushctl.jobs.campaigns import experiments

    here = context.of(ctx)
    if not output.confirm(f"Stop {name} without a winner?", yes):
        output.say("Nothing was changed.")
        return
    test, waiting = experiments.stop(here.store, name, here.now)
    dropped = f" {counted(waiting, 'person gets', 'people get')} no message." if waiting else ""
    output.say(f"{test.name} is stopped.{dropped}")


@app.command()
def pick(
    ctx: typer.Context,
    name: NameArgument,
    arm: Annotated[str, typer.Argument(help="The arm: a, b, c.")],
    yes: YesOption = False,
) -> None:
    """
    Decide a test by hand.

    \b
    pushctl ab pick "sale 2026-11-22" b
    pushctl ab pick basket/1 a

    Who waits for the winner gets this arm with the next sweep. A step of a trigger sends it
    to everybody from then on.
    """
    from pushctl.jobs.campaigns import experiments

    here = context.of(ctx)
    if not output.confirm(f"Make {arm} the winner of {name}?", yes):
        output.say("Nothing was changed.")
        return
    test, waiting = experiments.pick(here.store, name, arm, here.now)
    rest = f" {counted(waiting, 'person gets', 'people get')} it." if waiting else ""
    output.say(f"{arm} is the winner of {test.name}.{rest}")


def _print(shown: "results.Shown") -> None:
    known = [each for each in _ABOUT if shown.about[each.key] not in (None, each.usual)]
    output.record(shown.about, known)
    output.gap()
    output.rows(shown.arms, columns.of(experiments.SHOW))
    output.gap()
    for remark in shown.remarks:
        output.say(remark)

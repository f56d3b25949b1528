"""``pushctl events``: bring in what people did, from files of your shop or server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context, run_recording
from pushctl.commands.options import DryRunOption, FormatOption, Text
from pushctl.errors import UsageError
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.subscribers.event_imports import EventReport

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Import purchases and other events.

    \b
    pushctl events import orders.csv --event purchase --dry-run
    """,
)

_COLUMNS = (
    output.Column("lines", "Lines", kind=output.Kind.NUMBER),
    output.Column("people", "People found", kind=output.Kind.NUMBER),
    output.Column("new", "New events", kind=output.Kind.NUMBER),
    output.Column("known", "Known already", kind=output.Kind.NUMBER),
    output.Column("unknown", "Of unknown people", kind=output.Kind.NUMBER),
    output.Column("not_kept", "Not kept (no tracking)", kind=output.Kind.NUMBER, usual=0),
    output.Column("refused", "Refused", kind=output.Kind.NUMBER),
    output.Column("orders", "New orders", kind=output.Kind.NUMBER),
    output.Column("properties", "Columns taken as properties", kind=output.Kind.LIST),
    output.Column("rejects", "Other lines are in"),
)


@app.callback()
def root() -> None:
    pass


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help='CSV or JSON, plain or gzip; "-": stdin.')],
    site: Annotated[Text, typer.Option(help="Site for lines without a site.")] = None,
    event: Annotated[Text, typer.Option(help="Event for lines without one.")] = None,
    dry_run: DryRunOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Import what people did: purchases, visits, any events.

    \b
    pushctl events import events.jsonl --dry-run
    pushctl events import orders.csv --event purchase --site shop

    Times in the past are kept. What is older than a day begins no trigger; it counts in
    figures, goals and audiences. A purchase with an order number becomes an order. You can
    import a file again without harm, also after Ctrl-C. docs/events.md has the columns.
    """
    from pushctl import records
    from pushctl.jobs.subscribers import event_imports

    here = context.of(ctx)
    with output.progress("Importing", records.count_lines(file), estimated=True) as bar:
        report = event_imports.import_file(
            here.store, here.config, file, here.now, bar, site=site, event=event,
            dry_run=dry_run,
        )  # fmt: skip
    names = ("lines", "new", "known", "unknown", "orders", "refused")
    run_recording.count(here, {name: getattr(report, name) for name in names})
    _show(report, format, dry_run)


def _show(report: "EventReport", format: output.Format, dry_run: bool) -> None:
    output.record(report, _COLUMNS, format)
    for reason, count in report.reasons.most_common(5):
        output.warn(f"{counted(count, 'line')} left out: {reason}")
    if report.without_number:
        output.warn(
            f"{counted(report.without_number, 'purchase')} without an order number: no orders. "
            "Call its column order_id"
        )
    if report.rejects_left_out:
        output.warn(
            f"{counted(report.rejects_left_out, 'more line')} are not in that file: it is full"
        )
    if dry_run:
        output.say("Nothing was written.")
    if report.lines and not (report.people or report.orders):
        raise UsageError("no line names anybody who is known; see the reasons above")

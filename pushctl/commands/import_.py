"""Load the inbox into the database."""

import typer

from pushctl import lock, output
from pushctl.commands import context, run_recording
from pushctl.commands.options import FormatOption
from pushctl.jobs.ingest import drain

_COLUMNS = (
    output.Column("result", "Result"),
    output.Column("what", "What"),
    output.Column("lines", "Lines", kind=output.Kind.NUMBER),
)


def command(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Load the inbox into the database.

    \b
    pushctl import

    The receiver writes the inbox, and each sweep imports it too. A bad line goes to
    inbox/quarantine/, and the import continues. A request with a missing or wrong
    signature is refused (docs/inbox.md).
    """
    here = context.of(ctx)
    with output.progress("Importing") as bar:
        report = drain.drain(
            here.store, here.config, here.config.secret(), here.now, bar.advance,
            patience=lock.PATIENCE_SECONDS,
        )  # fmt: skip
    run_recording.count(here, report.count())
    output.rows(report.rows(), _COLUMNS, format, empty="There was nothing to import.")

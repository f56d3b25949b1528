"""What the receiver took becomes rows."""

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption

_COLUMNS = (
    output.Column("result", "Result"),
    output.Column("what", "What"),
    output.Column("lines", "Lines", kind=output.Kind.NUMBER),
)


def command(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Bring what the receiver took into the database.

    \b
    pushctl import

    Sweeps do it too. Bad lines go to inbox/quarantine/ and stop nothing; refused ones
    came without the signature of the browser that they speak for (docs/inbox.md).
    """
    from pushctl.jobs.ingest import drain

    here = context.of(ctx)
    with output.progress("Importing") as bar:
        report = drain.drain(
            here.store, here.config, here.config.secret(), here.now, bar.advance
        )
    output.rows(report.rows(), _COLUMNS, format, empty="Nothing was waiting.")

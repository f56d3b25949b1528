"""Let a restored or moved database send again."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import YesOption
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import erasures
from pushctl.rules.wording import counted

_COLUMNS = (
    output.Column("name", "Name"),
    output.Column("kind", "Kind"),
    output.Column("set_aside", "Set aside", kind=output.Kind.NUMBER),
    output.Column("to_come", "To come", kind=output.Kind.NUMBER),
    output.Column("next_at", "Next", kind=output.Kind.TIME),
)


def command(
    ctx: typer.Context,
    moved: Annotated[
        bool,
        typer.Option("--moved", help="This database is the newest; no copy has sent."),
    ] = False,
    yes: YesOption = False,
) -> None:
    """
    Let a restored or moved project send.

    \b
    pushctl release            after a restore from a backup
    pushctl release --moved    after a move; the old place does not send any more

    A backup does not know which messages were sent after it was made. So messages that
    were due before now become in doubt (pushctl in-doubt), and people leave their triggers
    where the lost time may matter. What is due later goes out at its own time; the table
    shows both. With --moved everything continues. People who were erased after the backup
    are erased again.
    """
    from pushctl.jobs.project.release import release

    here = context.of(ctx)
    why = restore_guard.find_trouble(here.store, here.config)
    output.say(f"{why}." if why else "Nothing to release: this database may send.")
    # Also where nothing was sent since the backup: who was erased since came back with it.
    if erased := erasures.erase_returned(here.store, here.config, here.now):
        output.say(f"{counted(erased, 'person', 'people')} erased anew.")
    if why and not moved:
        _show_waiting(here)
    if why and output.confirm("Allow it to send?", yes):
        counts = release(here.store, here.config, here.now, moved=moved)
        put = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        output.say(f"It may send now. Set aside: {put or 'nothing'}.")


def _show_waiting(here: context.Context) -> None:
    from pushctl.jobs.project.release import list_waiting

    rows = list_waiting(here.store, here.config, here.now)
    output.rows(rows, _COLUMNS, empty="Nothing waits in it.")
    if any(row.kind == "campaign" and row.set_aside for row in rows):
        output.say(
            "What is set aside of a campaign becomes in doubt. Where a second copy is better "
            "than none: pushctl in-doubt resend NAME."
        )

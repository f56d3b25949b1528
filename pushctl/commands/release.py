"""Let a restored or moved database send again."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import YesOption


def command(
    ctx: typer.Context,
    moved: Annotated[
        bool,
        typer.Option("--moved", help="It is the newest there is; nothing else has sent."),
    ] = False,
    yes: YesOption = False,
) -> None:
    """
    Let a restored or moved database send again.

    \b
    pushctl release            after a restore from a backup
    pushctl release --moved    the project has a new place, and nobody sends from the old

    What was sent after a backup was made, the backup doesn't know. So everything that it
    would still send is put aside: messages become in doubt (pushctl in-doubt), people on
    their way through triggers are taken off it. With --moved all of it goes on. People whom
    the backup has brought back although they were forgotten are forgotten once more.
    """
    from pushctl.jobs.delivery import restore_guard
    from pushctl.jobs.project.release import release

    here = context.of(ctx)
    why = restore_guard.trouble(here.store, here.config)
    output.say(f"{why}." if why else "Nothing to release: this database may send.")
    if why and output.confirm("Let it send?", yes):
        counts = release(here.store, here.config, here.now, moved=moved)
        put = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        output.say(f"It may send. Put aside: {put or 'nothing'}.")

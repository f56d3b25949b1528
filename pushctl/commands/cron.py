"""Cron: having the sweep started every minute."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption

app = typer.Typer(no_args_is_help=True, help="Have cron or systemd start the sweep.")

SystemdOption = Annotated[
    bool, typer.Option("--systemd", help="A systemd user timer instead of a crontab.")
]
_RUNS = (
    output.Column("started_at", "Began", kind=output.Kind.TIME),
    output.Column("took", "Took", kind=output.Kind.DURATION),
    output.Column("exit_code", "Exit code", kind=output.Kind.NUMBER),
    output.Column("what", "What"),
)
_ENABLE = "systemctl --user daemon-reload && systemctl --user enable --now {}.timer"
_STOP = "systemctl --user stop {}.timer; systemctl --user daemon-reload"


@app.command("print")
def print_(ctx: typer.Context, systemd: SystemdOption = False) -> None:
    """
    Print what would be installed, to put it where you like.

    \b
    pushctl cron print
    pushctl cron print --systemd
    """
    from pushctl.jobs.project import cron

    folder = context.of(ctx).config.folder
    if not systemd:
        output.answer(cron.crontab(folder, cron.program()).rstrip())
        return
    for name, text in cron.units(folder, cron.program()).items():
        output.answer(f"# {name}\n{text}")


@app.command()
def runs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show the last sweeps that had something to do, and how they ended.

    \b
    pushctl cron runs

    A sweep without work leaves no line here; one without an end died, or is at work.
    """
    from pushctl.jobs.project import cron

    found = cron.runs(context.of(ctx).store, limit)
    output.rows(found, _RUNS, format, empty="No sweep has had anything to do yet.")


@app.command()
def install(ctx: typer.Context, systemd: SystemdOption = False) -> None:
    """
    Have this project swept every minute by your crontab, or by a systemd user timer.

    \b
    pushctl cron install
    """
    from pushctl.jobs.project import cron

    folder = context.of(ctx).config.folder
    if systemd:
        for file in cron.install_units(folder, cron.program(), cron.user_units()):
            output.say(f"wrote {file}")
        output.say(f"Start it: {_ENABLE.format(cron.unit(folder))}")
        output.say("On a server: loginctl enable-linger, or it ends when you log out.")
    elif cron.install_crontab(folder, cron.program()):
        output.say("Your crontab sweeps this project every minute from now on.")
    else:
        output.say("Your crontab does so already.")


@app.command()
def remove(ctx: typer.Context, systemd: SystemdOption = False) -> None:
    """
    Take it out again.

    \b
    pushctl cron remove
    """
    from pushctl.jobs.project import cron

    folder = context.of(ctx).config.folder
    if systemd:
        removed = cron.remove_units(folder, cron.user_units())
        for file in removed:
            output.say(f"removed {file}")
        stop = f"Stop it: {_STOP.format(cron.unit(folder))}"
        output.say(stop if removed else "There was no unit of ours for this project.")
    elif cron.remove_crontab(folder):
        output.say("Your crontab sweeps this project no more.")
    else:
        output.say("Your crontab had no line of ours for this project.")

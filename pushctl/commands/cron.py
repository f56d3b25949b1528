"""Run the sweep by cron or systemd."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.jobs.project import cron

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Let cron or systemd run the sweep.

    \b
    pushctl cron install
    pushctl cron print
    """,
)

SystemdOption = Annotated[
    bool, typer.Option("--systemd", help="Use a systemd user timer, not the crontab.")
]
_ENABLE = "systemctl --user daemon-reload && systemctl --user enable --now {}.timer"
_STOP = "systemctl --user stop {}.timer; systemctl --user daemon-reload"


@app.command("print")
def print_(ctx: typer.Context, systemd: SystemdOption = False) -> None:
    """
    Print the crontab line or the systemd units.

    \b
    pushctl cron print
    pushctl cron print --systemd
    """
    folder = context.of(ctx).config.folder
    if not systemd:
        output.answer(cron.render_crontab(folder, cron.find_program()).rstrip())
        return
    for name, text in cron.render_units(folder, cron.find_program()).items():
        output.answer(f"# {name}\n{text}")


@app.command()
def install(ctx: typer.Context, systemd: SystemdOption = False) -> None:
    """
    Run the sweep every minute, by crontab or a systemd timer.

    \b
    pushctl cron install
    """
    folder = context.of(ctx).config.folder
    if systemd:
        for file in cron.install_units(folder, cron.find_program(), cron.find_unit_folder()):
            output.say(f"wrote {file}")
        output.say(f"Start it: {_ENABLE.format(cron.name_unit(folder))}")
        output.say("On a server, run loginctl enable-linger, or it stops when you log out.")
    elif cron.install_crontab(folder, cron.find_program()):
        output.say("Your crontab now runs the sweep of this project every minute.")
    else:
        output.say("Your crontab already runs the sweep of this project.")


@app.command()
def remove(ctx: typer.Context, systemd: SystemdOption = False) -> None:
    """
    Remove the crontab line or the systemd units.

    \b
    pushctl cron remove
    """
    folder = context.of(ctx).config.folder
    if systemd:
        removed = cron.remove_units(folder, cron.find_unit_folder())
        for file in removed:
            output.say(f"removed {file}")
        stop = f"Stop it: {_STOP.format(cron.name_unit(folder))}"
        output.say(stop if removed else "There was no systemd unit for this project.")
    elif cron.remove_crontab(folder):
        output.say("Your crontab no longer runs the sweep of this project.")
    else:
        output.say("Your crontab had no line for this project.")

"""Run the sweep by cron."""

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.jobs.project import cron
from pushctl.jobs.project.services import find_program

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Let cron run the sweep.

    \b
    pushctl cron install
    pushctl cron print
    """,
)


@app.command("print")
def print_(ctx: typer.Context) -> None:
    """
    Print the crontab line.

    \b
    pushctl cron print
    """
    folder = context.of(ctx).config.folder
    output.answer(cron.render_crontab(folder, find_program()).rstrip())


@app.command()
def install(ctx: typer.Context) -> None:
    """
    Run the sweep every minute, by your crontab.

    \b
    pushctl cron install

    `pushctl service install sweep` does the same by a systemd timer.
    """
    if cron.install_crontab(context.of(ctx).config.folder, find_program()):
        output.say("Your crontab now runs the sweep of this project every minute.")
    else:
        output.say("Your crontab already runs the sweep of this project.")


@app.command()
def remove(ctx: typer.Context) -> None:
    """
    Remove the crontab line.

    \b
    pushctl cron remove
    """
    if cron.remove_crontab(context.of(ctx).config.folder):
        output.say("Your crontab no longer runs the sweep of this project.")
    else:
        output.say("Your crontab had no line for this project.")

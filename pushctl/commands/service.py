"""``pushctl service``: the receiver, the sweep and the watch as systemd units."""

from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import DryRunOption, FormatOption
from pushctl.jobs.project import services
from pushctl.jobs.project.services import Manager, State, Unit
from pushctl.jobs.project.unit_files import Part

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Run receiver, sweep and watch by systemd.

    \b
    pushctl service install --dry-run
    pushctl service status
    """,
)

PartsArgument = Annotated[
    list[Part] | None, typer.Argument(help="receive, sweep, watch.  [default: all three]")
]
UserOption = Annotated[
    bool, typer.Option("--user", help="Units of your own account, without root.")
]
AccountOption = Annotated[
    str | None,
    typer.Option(help="Account that runs them. Default: the owner of the project's folder."),
]
ListenOption = Annotated[
    str | None, typer.Option(help="The receiver's address. Default: receiver.listen.")
]
IntoOption = Annotated[
    Path | None, typer.Option(help="Write the units into this folder, and start nothing.")
]
ChangedOption = Annotated[
    bool, typer.Option("--even-changed", help="Also those that were changed by hand.")
]
_STATUS = (
    output.Column("unit", "Unit", whole=True),
    output.Column("file", "File"),
    output.Column("active", "Active"),
)


@app.command()
def install(
    ctx: typer.Context,
    parts: PartsArgument = None,
    user: UserOption = False,
    account: AccountOption = None,
    listen: ListenOption = None,
    into: IntoOption = None,
    even_changed: ChangedOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Write the units; enable and start them.

    \b
    pushctl service install
    pushctl service install sweep --user

    The system's units need root, those of your account --user. A second run changes
    nothing. After `pushctl` or pushctl.toml has changed, it brings the units up to date.
    Units that were changed by hand stay, and it says so.
    """
    manager, config = Manager(user), context.of(ctx).config
    chosen = None if user else services.choose_account(config, account)
    place = services.locate(config, chosen, listen)
    planned = services.plan(place, parts or list(Part), into or manager.folder)
    if dry_run:
        _show(planned)
        return
    services.check_rights(into or manager.folder)
    written = services.write(planned, even_changed)
    for file in written:
        output.say(f"wrote {file}")
    if into is None:
        _start(manager, planned, written)


@app.command()
def uninstall(
    ctx: typer.Context,
    parts: PartsArgument = None,
    user: UserOption = False,
    into: Annotated[
        Path | None, typer.Option("--from", help="Remove them from this folder.")
    ] = None,
    even_changed: ChangedOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Stop the units and remove them.

    \b
    pushctl service uninstall
    """
    manager = Manager(user)
    folder = into or manager.folder
    planned = _find(ctx, folder, user, parts)
    services.check_any(planned)
    if dry_run:
        _show_removals(planned)
        return
    services.check_rights(folder)
    running = manager if into is None and manager.is_running() else None
    for file in services.uninstall(running, planned, even_changed):
        output.say(f"removed {file}")


@app.command()
def status(
    ctx: typer.Context, user: UserOption = False, format: FormatOption = output.Format.TABLE
) -> None:
    """
    Show which units are installed, and what runs.

    \b
    pushctl service status
    """
    manager = Manager(user)
    planned = _find(ctx, manager.folder, user, None)
    output.rows(services.describe(manager, planned), _STATUS, format)


def _find(ctx: typer.Context, folder: Path, user: bool, parts: list[Part] | None) -> list[Unit]:
    places = services.locate_installed(context.of(ctx).config, folder, user)
    first, *second = (services.plan(each, parts or list(Part), folder) for each in places)
    files = {unit.file for unit in first}
    return [*first, *(it for each in second for it in each if it.file not in files)]


def _show(planned: Sequence[Unit]) -> None:
    for unit in planned:
        output.say(f"{unit.file}: {unit.state}")
        if unit.state is State.CHANGED:
            found = unit.file.read_text("utf-8", "replace").splitlines()
            lines = unified_diff(found, unit.text.splitlines(), "there", "new", lineterm="")
            output.answer("\n".join(lines))
        elif unit.state is not State.CURRENT:
            output.answer(unit.text)


def _show_removals(planned: Sequence[Unit]) -> None:
    for unit in planned:
        if unit.state is not State.MISSING:
            output.answer(str(unit.file))


def _start(manager: Manager, planned: Sequence[Unit], written: Sequence[Path]) -> None:
    names = " ".join(unit.file.name for unit in planned if unit.is_started)
    if manager.is_running():
        services.start(manager, planned, written)
        output.say(f"Started: {names}")
    else:
        systemctl = "systemctl --user" if manager.user else "systemctl"
        output.say(
            f"systemd does not run here. Where it does: {systemctl} enable --now {names}"
        )
    if manager.user:
        output.say("On a server, run loginctl enable-linger, or they stop when you log out.")

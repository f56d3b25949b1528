"""Find everything that is wrong with the project at once."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.errors import ConfigError

if TYPE_CHECKING:
    from pushctl.jobs.project.check import Finding

_COLUMNS = (
    output.Column("area", "Area"),
    output.Column("level", "Level"),
    output.Column("place", "Place"),
    output.Column("text", "Finding"),
    output.Column("remedy", "Remedy"),
)
_MARKS = {"fine": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "red")}


def command(
    ctx: typer.Context,
    live: Annotated[
        bool,
        typer.Option("--live", help="Also ask the receiver, your pages and the push services."),
    ] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Check the project and list every problem.

    \b
    pushctl check
    pushctl check --live

    It checks settings, keys, rights, contact, templates, segments, database, inbox, disk and
    encoder, and changes nothing. The exit code is 3 when there is a problem.

    With --live it also looks at clock, certificates, receiver, pages, worker, and at what
    waits or went wrong. It asks only the addresses of pushctl.toml, sends no message and
    writes nothing. See docs/checking.md.
    """
    found = _find(context.of(ctx).project, live)
    if format is output.Format.TABLE:
        _print(found)
    else:
        output.rows(found, _COLUMNS, format)
    problems = sum(each.level == "problem" for each in found)
    if problems:
        raise ConfigError(
            "1 problem found." if problems == 1 else f"{problems} problems found."
        )


def _find(project: Path, live: bool) -> "list[Finding]":
    from pushctl import config
    from pushctl.jobs.project import check

    file = config.find(project)
    if not live:
        return check.run(file, os.environ)
    with output.progress("Looking") as bar:
        ended = 0

        def tell(total: int, done: int) -> None:
            nonlocal ended
            bar.total(total)
            bar.advance(done - ended)
            ended = done

        return check.run(file, os.environ, tell)


def _print(found: "Sequence[Finding]") -> None:
    from pushctl.jobs.project.check_notes import rank

    width = max(len(each.area) for each in found)

    def show(text: str, colour: str | None = None, mark: str = "") -> None:
        output.answer(output.fit(text, sys.stdout, width + 4), colour, mark)

    for each in sorted(found, key=rank):
        mark, colour = _MARKS[each.level]
        show(f"{mark} {each.area.ljust(width)}  {each.place}: {each.text}", colour, mark)
        if each.area == "outside":
            output.answer(each.remedy)  # to be copied: a wrapped line would be two commands
        elif each.remedy:
            show(f"  {' ' * width}  {each.remedy}")

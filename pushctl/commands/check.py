"""Find everything that is wrong with the project at once."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def command(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Check the project and list every problem.

    \b
    pushctl check

    It checks settings, keys, rights, contact, templates, segments, database, inbox, disk and
    encoder, and changes nothing. The exit code is 3 when there is a problem.
    """
    from pushctl import config
    from pushctl.jobs.project import check

    found = check.run(config.find(context.of(ctx).project), os.environ)
    if format is output.Format.TABLE:
        _print(found)
    else:
        output.rows(found, _COLUMNS, format)
    problems = sum(each.level is check.Level.PROBLEM for each in found)
    if problems:
        raise ConfigError(
            "1 problem found." if problems == 1 else f"{problems} problems found."
        )


def _print(found: "Sequence[Finding]") -> None:
    width = max(len(each.area) for each in found)

    def show(text: str, colour: str | None = None, mark: str = "") -> None:
        output.answer(output.fit(text, sys.stdout, width + 4), colour, mark)

    for each in found:
        mark, colour = _MARKS[each.level]
        show(f"{mark} {each.area.ljust(width)}  {each.place}: {each.text}", colour, mark)
        if each.remedy:
            show(f"  {' ' * width}  {each.remedy}")

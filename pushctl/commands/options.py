"""Options that several commands share, so that they read the same everywhere."""

import getpass
import os
from contextlib import suppress
from typing import Annotated

import typer

from pushctl import output

Text = str | None
Names = list[str] | None

FormatOption = Annotated[
    output.Format,
    typer.Option("--format", "-f", help="Output format; short: --csv, --json."),
]

YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Answer yes to all questions; needed without a terminal."),
]

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and change nothing.")
]


def find_login() -> str:
    """Return who types, for the record of a campaign; empty where nobody knows."""
    with suppress(KeyError, OSError, ImportError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return ""

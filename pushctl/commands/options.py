"""Options that several commands share, so that they read the same everywhere."""

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

"""Options that several commands share, so that they read the same everywhere."""

from typing import Annotated

import typer

from pushctl import output

FormatOption = Annotated[
    output.Format,
    typer.Option("--format", "-f", help="How to print; --csv and --json for short."),
]

YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Don't ask; needed where nobody can answer.")
]

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
]

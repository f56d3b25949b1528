"""Options that several commands share, so that they read the same everywhere."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated

import typer

from pushctl import output
from pushctl.errors import UsageError

_PERIOD_DIGITS = 6  # so many periods nobody has

Text = str | None
Names = list[str] | None

FormatOption = Annotated[
    output.Format,
    typer.Option("--format", "-f", help="Output format; short: --csv, --excel, --json."),
]

YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Answer yes to all questions; needed without a terminal."),
]

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and change nothing.")
]

PeopleOption = Annotated[
    bool, typer.Option("--people", help="Show alias and city, too; this is logged.")
]

ClusterOption = Annotated[
    Text, typer.Option("--cluster", help="Send by this cluster: tls://10.0.0.5:8786.")
]
SiteOption = Annotated[Text, typer.Option("--site", help="Only this site.")]

SinceOption = Annotated[
    Text, typer.Option("--since", help="Only from then on: 30d, 2026-11-01.")
]

UntilOption = Annotated[
    Text, typer.Option("--until", help="Only until then; of a day to its end.")
]

TopicOption = Annotated[
    Text, typer.Option("--topic", help="Only campaigns about this, by their topic.")
]

LastOption = Annotated[
    Text,
    typer.Option("--last", help="The last 10 campaigns; or of the last 7d, week or month."),
]

PeriodsOption = Annotated[
    Text, typer.Option("--last", metavar="COUNT", help="Show this many periods.")
]

# Each command has its own words: see ``check_word``.
ByOption = Annotated[Text, typer.Option("--by", help="Group by this; see above.")]


def check_word(option: str, word: Text, words: Iterable[str]) -> Text:
    """Return *word*; raises UsageError, which lists *words*, where it is none of them."""
    known = list(words)
    if word is not None and word not in known:
        raise UsageError(f"{option} {word!r} is not known. Write one of: {', '.join(known)}.")
    return word


def read_periods(last: Text) -> int | None:
    """Return how many periods *last* means; raises UsageError for a time, and for no number."""
    if last is None:
        return None
    if last.isdecimal() and int(last[:_PERIOD_DIGITS]) > 0 and len(last) < _PERIOD_DIGITS:
        return int(last)
    raise UsageError(
        f"--last {last!r} is no number of periods. Write --last 30, with --every day, week or "
        "month for how long one is."
    )


def find_login() -> str:
    """Return who types, for the record of a campaign; empty where nobody knows."""
    import getpass

    with suppress(KeyError, OSError, ImportError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return ""

"""Replay: changed triggers over past events."""

from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption

_FIGURES = (
    output.Column("campaign", "Step"),
    output.Column("would", "Would send", kind=output.Kind.NUMBER),
    output.Column("people", "To people", kind=output.Kind.NUMBER),
    output.Column("did", "Went out", kind=output.Kind.NUMBER),
    output.Column("difference", "Difference", kind=output.Kind.NUMBER),
)
_EACH = (
    output.Column("at", "When", kind=output.Kind.TIME),
    output.Column("subscriber", "Subscriber"),
    output.Column("campaign", "Step"),
    output.Column("template", "Template"),
)


def command(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(help="How far back: 30d.")] = "30d",
    triggers: Annotated[
        Path | None, typer.Option(help="A TOML file with [triggers.*]; else pushctl.toml's.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Every message, not figures.")] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Run triggers over past events, beside what really went out.

    \b
    pushctl replay --since 30d --triggers tomorrow.toml
    pushctl replay --since 7d --triggers tomorrow.toml --each --csv

    Nothing is sent or written. Audiences are asked as of today; messages count as shown.
    """
    from pushctl.jobs import replay
    from pushctl.rules.triggers import Frequency

    here = context.of(ctx)
    begin = replay.beginning(since, here.now)
    rules, cap = here.config.triggers, here.config.frequency or Frequency()
    if triggers is not None:
        rules, cap = replay.read(triggers)
    messages = list(replay.run(here.config, here.store, rules, cap, begin, here.now))
    if each:
        output.rows(messages, _EACH, format, empty="Nobody would have got anything.")
        return
    figures = replay.compare(here.store, messages, begin, here.now)
    output.rows(figures, _FIGURES, format, empty="Nothing happened in that time.")

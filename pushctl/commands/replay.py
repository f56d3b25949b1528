"""Test changed triggers with past events."""

from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.jobs.triggers import replay
from pushctl.rules import timing
from pushctl.rules.wording import moment

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
    since: Annotated[str, typer.Option(help="How far back to go: 30d.")] = "30d",
    triggers: Annotated[
        Path | None, typer.Option(help="TOML file with triggers. Default: pushctl.toml.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="List every message.")] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Test triggers with past events.

    \b
    pushctl replay --since 30d --triggers tomorrow.toml
    pushctl replay --since 7d --triggers tomorrow.toml --each --csv

    It compares the messages that triggers would send with those sent, and sends nothing.
    It uses the audiences of today and counts every message as shown. Paused triggers of
    pushctl.toml stay paused; triggers of a file count as on.
    """
    here = context.of(ctx)
    begin = here.now - timing.duration(since)
    rules = replay.load_rules(here.config, here.store, triggers)
    messages = list(replay.replay_events(here.config, here.store, rules, begin, here.now))
    _warn_of_paused(rules)
    if each:
        output.rows(messages, _EACH, format, empty="No message would be sent.")
        return
    figures = replay.compare(here.store, messages, begin, here.now)
    output.rows(figures, _FIGURES, format, empty="Nothing happened in that time.")


def _warn_of_paused(rules: replay.Rules) -> None:
    for name, at in rules.paused.items():
        since = f"{name} is paused since {moment(at)}"
        if rules.held:
            output.warn(f"{since}: after that time it sends nothing, here too.")
        else:
            output.warn(f"{since}: it has sent nothing since then; here it counts as on.")

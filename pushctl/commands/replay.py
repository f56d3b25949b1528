"""Replay: changed triggers over past events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.model import Millis
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
    Triggers of pushctl.toml that are paused stay so; those of a file count as on.
    """
    from pushctl.jobs import replay
    from pushctl.rules.triggers import Frequency

    here = context.of(ctx)
    begin = replay.beginning(since, here.now)
    rules, cap = here.config.triggers, here.config.frequency or Frequency()
    held = paused = replay.paused(here.store)
    if triggers is not None:
        (rules, cap), held = replay.read(triggers), {}
    messages = list(replay.run(here.config, here.store, rules, cap, begin, here.now, held))
    _tell_paused({name: at for name, at in paused.items() if name in rules}, held)
    if each:
        output.rows(messages, _EACH, format, empty="Nobody would have got anything.")
    else:
        figures = replay.compare(here.store, messages, begin, here.now)
        output.rows(figures, _FIGURES, format, empty="Nothing happened in that time.")


def _tell_paused(paused: Mapping[str, Millis], held: Mapping[str, Millis]) -> None:
    for name, at in paused.items():
        since = f"{name} is paused since {moment(at)}"
        if name in held:
            output.warn(f"{since}: from then on it sends nothing, here as in truth.")
        else:
            output.warn(f"{since}: nothing of it went out; here it counts as on.")

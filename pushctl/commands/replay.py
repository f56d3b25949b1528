"""Test changed triggers with past events."""

from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context, update_attribution
from pushctl.commands.options import FormatOption, Names, Text
from pushctl.errors import InputError
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
    outcome: Annotated[
        bool, typer.Option("--outcome", help="Estimate the clicks, orders and revenue.")
    ] = False,
    until: Annotated[
        Text, typer.Option(help="With --outcome: only what was sent until then.")
    ] = None,
    arm: Annotated[
        Names, typer.Option(help="With --outcome: this arm alone in a step: basket/1=b.")
    ] = None,
    hour: Annotated[
        int | None, typer.Option(help="With --outcome: broadcasts at this hour.", min=0, max=23)
    ] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Test triggers with past events.

    \b
    pushctl replay --since 30d --triggers tomorrow.toml
    pushctl replay --since 7d --triggers tomorrow.toml --each --csv
    pushctl replay --outcome --since 90d --triggers tomorrow.toml
    pushctl replay --outcome --arm basket/1=b --hour 18

    It compares the messages that triggers would send with those sent, and sends nothing.
    It uses the audiences of today and counts every message as shown. [quiet], [holdout] and
    [sunset] hold as in a sweep; who has visited or shown something since is no case for
    [sunset]. Paused triggers of pushctl.toml stay paused; triggers of a file count as on.

    --outcome estimates what other shares of arms, fewer steps or another hour would have
    brought, from the stored probabilities of the draws. It gives no number where too few
    were drawn that way, or nobody ever could be.
    """
    here = context.of(ctx)
    begin = here.now - timing.duration(since)
    rules = replay.load_rules(here.config, here.store, triggers)
    if outcome:
        _show_outcome(here, rules, begin, until, arm or [], hour, format)
        return
    _show_messages(here, rules, begin, each, format)


def _show_messages(
    here: context.Context, rules: replay.Rules, begin: int, each: bool, format: output.Format
) -> None:
    messages = list(replay.replay_events(here.config, here.store, rules, begin, here.now))
    _warn_of_paused(rules)
    if each:
        output.rows(messages, _EACH, format, empty="No message would be sent.")
        return
    figures = replay.compare(here.store, messages, begin, here.now)
    output.rows(figures, _FIGURES, format, empty="Nothing happened in that time.")


def _show_outcome(
    here: context.Context,
    rules: replay.Rules,
    begin: int,
    until: str | None,
    arms: list[str],
    hour: int | None,
    format: output.Format,
) -> None:
    from pushctl.commands import columns
    from pushctl.jobs.figures.filters import read_time
    from pushctl.jobs.triggers import replay_outcome
    from pushctl.rules.figures.tables.replay import OUTCOME

    end = here.now
    if until is not None:
        end = read_time(until, here.now, here.config.zone, "--until", after=True)
    only = dict(map(_read_arm, arms))
    update_attribution.refresh(here)
    rows = list(
        replay_outcome.estimate_triggers(here.store, here.config, rules, begin, end, only)
    )
    if hour is not None:
        rows.append(replay_outcome.estimate_hour(here.store, here.config, hour, begin, end))
    filled = [OUTCOME.fill(row) for row in rows]
    output.rows(filled, columns.of(OUTCOME), format, empty="No trigger sent anything.")


def _read_arm(text: str) -> tuple[tuple[str, int], str]:
    """Return trigger, step and arm of "basket/1=b"; raises InputError."""
    step, equals, arm = text.rpartition("=")
    trigger, slash, number = step.rpartition("/")
    if not (equals and slash and arm and trigger and number.isdecimal()):
        raise InputError(f"--arm {text!r} is no arm of a step. Write --arm basket/1=b.")
    return (trigger, int(number)), arm


def _warn_of_paused(rules: replay.Rules) -> None:
    for name, at in rules.paused.items():
        since = f"{name} is paused since {moment(at)}"
        if rules.held:
            output.warn(f"{since}: after that time it sends nothing, here too.")
        else:
            output.warn(f"{since}: it has sent nothing since then; here it counts as on.")

"""Show one person's timeline, or all that is known of a campaign."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.triggers import describe, explain
from pushctl.rules import timing, wording

if TYPE_CHECKING:
    from pushctl.model import Subscription

_WHO = output.Column("subscriber", "Subscriber")
_COLUMNS = (
    output.Column("at", "When", kind=output.Kind.TIME),
    output.Column("there", "Their time", usual=None),
    output.Column("what", "What"),
    output.Column("trigger", "Trigger"),
    output.Column("text", "How and why"),
)
_CAMPAIGN = (output.Column("what", "What"), output.Column("text", "How and why"))
_NONE = "Nothing has happened, and nothing is planned."


def command(
    ctx: typer.Context,
    subscriber: Annotated[
        str, typer.Argument(help="An id, its beginning, alias:NAME, or a campaign's name.")
    ],
    trigger: Annotated[Text, typer.Argument(help="Only this trigger.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Tell who got what, when and why.

    \b
    pushctl explain alias:ann
    pushctl explain k3Jd92 abandoned_basket_1 --json
    pushctl explain "sale 2026-11-22"

    A person's events, decisions, messages and next steps stand in order of time. A
    campaign's audience, origin, times, texts and states stand below each other.
    """
    here = context.of(ctx)
    if trigger is None and here.store.campaigns.exists(subscriber):
        _explain_campaign(here, subscriber, format)
        return
    people = here.store.subscriptions.find(subscriber, here.now)
    if format is not output.Format.TABLE:
        every = (line for who in people for line in _load_timeline(here, who, trigger))
        output.rows(every, (_WHO, *_COLUMNS), format)
        return
    for who in people:
        lines = _load_timeline(here, who, trigger)
        output.rows(lines, _COLUMNS, title=who.public_id, empty=_NONE)


def _explain_campaign(here: context.Context, name: str, format: output.Format) -> None:
    from pushctl.commands.campaigns import describe_sweeps
    from pushctl.jobs.campaigns.explain import explain as explain_campaign

    campaign = here.store.campaigns.get(name)
    lines = explain_campaign(here.config, here.store, campaign, here.now)
    output.rows(lines, _CAMPAIGN, format, title=campaign.name)
    if sweeps := describe_sweeps(here, campaign)["sweeps"]:
        output.say(f"Sweeps: {sweeps}")


def _load_timeline(
    here: context.Context, who: "Subscription", trigger: str | None
) -> list[dict[str, object]]:
    if trigger is not None:
        describe.check_name(here.config, here.store, trigger)
    found = explain.timeline(here.config, here.store, who, here.now, trigger)
    return [
        asdict(one) | {"subscriber": who.public_id, "there": _format_there(one.at, who)}
        for one in found
    ]


def _format_there(at: int, who: "Subscription") -> str | None:
    """Return a time on the person's own clock; None where it is as on this machine's."""
    there = wording.moment(at, timing.zone(who.timezone)) if who.timezone else None
    return None if there == wording.moment(at) else there

"""List and resolve messages in doubt: being sent when a process died, or without an answer."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import DryRunOption, FormatOption, Text, YesOption
from pushctl.model import Millis
from pushctl.rules.wording import counted, moment

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and resolve messages in doubt.

    \b
    pushctl in-doubt list
    """,
)

CampaignOption = Annotated[Text, typer.Option("--campaign", "-c", help="Only this campaign.")]

_COLUMNS = (
    output.Column("campaign", "Campaign"),
    output.Column("subscriber", "Subscriber"),
    output.Column("alias", "Alias", usual=None),
    output.Column("reason", "Reason"),
    output.Column("since", "Since", kind=output.Kind.TIME),
    output.Column("expires_at", "Of use until", kind=output.Kind.TIME, spare=True),
)


@app.command("list")
def list_(
    ctx: typer.Context,
    campaign: CampaignOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    List messages that may or may not have arrived.

    \b
    pushctl in-doubt list --campaign "sale 2026-11-22"

    A message leaves this list when its browser reports it as shown. A message in doubt is
    never sent again, unless you use `pushctl in-doubt resend`.
    """
    from pushctl.jobs.campaigns import manage

    rows = manage.list_in_doubt(context.of(ctx).store, campaign)
    output.rows(rows, _COLUMNS, format, empty="No message is in doubt.")


@app.command("assume-sent")
def assume_sent(
    ctx: typer.Context,
    campaign: CampaignOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Count messages in doubt as accepted.

    \b
    pushctl in-doubt assume-sent --campaign "sale 2026-11-22" --yes
    """
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    count = sum(1 for _ in manage.list_in_doubt(here.store, campaign))
    output.say(f"In doubt: {counted(count, 'message')}.")
    if count and not dry_run and output.confirm("Count them as accepted?", yes):
        settled = manage.assume_sent(here.store, campaign, here.now)
        output.say(f"{counted(settled, 'message')} counted as accepted.")


@app.command()
def resend(
    ctx: typer.Context,
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Plan messages in doubt again. Some people may get the message twice.

    \b
    pushctl in-doubt resend "sale 2026-11-22" --yes
    pushctl campaigns resume "sale 2026-11-22"

    A message that is due later keeps its time: a sweep sends it then.
    """
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    count = sum(1 for _ in manage.list_in_doubt(here.store, campaign))
    output.say(f"In doubt: {counted(count, 'message')}.")
    if count and not dry_run and output.confirm("Plan them again? Some may come twice.", yes):
        again = manage.send_again(here.store, here.config, campaign, here.now)
        first = manage.find_next_due(here.store, campaign, here.now)
        _say_planned(campaign, again, first, count - again)


def _say_planned(campaign: str, again: int, first: Millis | None, over: int) -> None:
    planned = f"{counted(again, 'message')} planned again"
    if again and first:
        planned += f". Sweeps send them at their own time, the first at {moment(first)}."
    elif again:
        planned += f". To send them: pushctl campaigns resume {campaign!r}"
    output.say(planned)
    if over:
        output.say(f"{over:,} stay in doubt: they have expired.")

"""Campaigns: list, look into one, pause, go on, call off."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context
from pushctl.commands.options import DryRunOption, FormatOption, YesOption
from pushctl.errors import DeliveryError
from pushctl.rules.figures.campaigns import LIST
from pushctl.rules.wording import counted

app = typer.Typer(no_args_is_help=True, help="Show, pause, resume, cancel.")

NameArgument = Annotated[str, typer.Argument(help="The campaign's name.")]

_ABOUT = (
    output.Column("name", "Campaign"),
    output.Column("status", "Status"),
    output.Column("note", "Note"),
    output.Column("template", "Template"),
    output.Column("audience", "Audience"),
    output.Column("created_at", "Frozen", kind=output.Kind.TIME),
    output.Column("started_at", "Started", kind=output.Kind.TIME),
    output.Column("finished_at", "Ended", kind=output.Kind.TIME),
    output.Column("expires_at", "Of use until", kind=output.Kind.TIME),
)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List the campaigns, newest first.

    \b
    pushctl campaigns list --json
    """
    from pushctl.jobs.figures import report

    rows = report.funnel(context.of(ctx).store, table=LIST)
    shown = columns.of(LIST, format)
    output.rows(rows, shown, format, empty="No campaign yet: `pushctl send` makes one.")


@app.command()
def show(
    ctx: typer.Context, name: NameArgument, format: FormatOption = output.Format.TABLE
) -> None:
    """
    Show a campaign: every state of its messages with the reason, and their sum.

    \b
    pushctl campaigns show "sale 2026-11-22"

    all = planned (these wait) + sending + accepted + gone + rejected + expired + skipped
    + in doubt, always.
    """
    from pushctl.commands import results

    here = context.of(ctx)
    campaign = here.store.campaigns.get(name)
    if format is output.Format.TABLE:
        output.record(campaign, _ABOUT)
        output.gap()
    results.show_states(here, campaign, format)


@app.command()
def pause(ctx: typer.Context, name: NameArgument) -> None:
    """
    Pause a campaign, also one that another process is just sending.

    \b
    pushctl campaigns pause "sale 2026-11-22"
    """
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    paused = manage.pause(here.store, name, here.now)
    output.say(f"{paused.name} is paused. To go on: pushctl campaigns resume {name!r}")


@app.command()
def resume(
    ctx: typer.Context,
    name: NameArgument,
    accept_mass_gone: Annotated[
        bool,
        typer.Option("--accept-mass-gone", help="So many gone subscriptions are right."),
    ] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Go on with a campaign that was paused, stopped or killed.

    \b
    pushctl campaigns resume "sale 2026-11-22"

    Nobody gets it twice: what was on the wire when a process died is in doubt and stays
    so (see pushctl in-doubt).
    """
    from pushctl.commands import results
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    campaign = here.store.campaigns.get(name)
    results.warn_of_loopback(here)
    report = results.deliver_shown(
        here,
        campaign,
        lambda options: manage.resume(here.store, here.config, name, here.now, options),
        accept_mass_gone=accept_mass_gone,
    )
    results.conclude(here, report, format)


@app.command()
def cancel(
    ctx: typer.Context,
    name: NameArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Call a campaign off for good; what waits is never sent.

    \b
    pushctl campaigns cancel "sale 2026-11-22" --yes
    """
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    campaign = here.store.campaigns.get(name)
    waiting, _ = here.store.deliveries.waiting(campaign.id, here.now)
    output.say(f"{campaign.name}: {counted(waiting, 'message')} not sent yet.")
    if not dry_run and output.confirm("Never send them?", yes):
        _, dropped = manage.cancel(here.store, here.config, name, here.now)
        output.say(
            f"{campaign.name} is cancelled; {counted(dropped, 'message')} won't be sent."
        )


@app.command()
def recall(
    ctx: typer.Context,
    name: NameArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Take back messages that wait at a push service for a browser to come online.

    \b
    pushctl campaigns cancel "sale 2026-11-22"
    pushctl campaigns recall "sale 2026-11-22" --yes

    Only Mozilla's service (Firefox) deletes what it keeps; messages that were fetched
    have been shown already.
    """
    from pushctl.commands.results import warn_of_loopback
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    count = sum(1 for _ in here.store.doubts.stored(here.store.campaigns.get(name).id))
    warn_of_loopback(here)
    output.say(f"{name}: {counted(count, 'message')} may still be kept.")
    if count and not dry_run and output.confirm("Ask them back?", yes):
        tally = manage.recall(here.store, here.config, name, here.now)
        output.say(", ".join(f"{number:,} {word}" for word, number in tally.items()))
        if left := tally[manage.NOT_DONE]:
            raise DeliveryError(
                f"{counted(left, 'message')} could not be asked back now; try again in a while"
            )

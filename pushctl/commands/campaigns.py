"""Show, pause, resume, cancel and recall campaigns."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context, loading
from pushctl.commands.options import ClusterOption, DryRunOption, FormatOption, YesOption
from pushctl.errors import DeliveryError
from pushctl.rules.contact_policy import describe_exempt
from pushctl.rules.figures.tables.campaigns import LIST
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pushctl.model import Campaign
    from pushctl.store import Store

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show, pause and cancel campaigns.

    \b
    pushctl campaigns list
    pushctl campaigns show "sale 2026-11-22"
    """,
)

NameArgument = Annotated[str, typer.Argument(help="The campaign's name.")]

_ABOUT = (
    output.Column("name", "Campaign"),
    output.Column("status", "Status"),
    output.Column("note", "Note"),
    output.Column("template", "Template"),
    output.Column("topic", "Topic", usual=None),
    output.Column("manners", "Manners", usual=None),
    output.Column("audience", "Audience"),
    output.Column("created_at", "Frozen", kind=output.Kind.TIME),
    output.Column("started_at", "Started", kind=output.Kind.TIME),
    output.Column("finished_at", "Ended", kind=output.Kind.TIME),
    output.Column("expires_at", "Of use until", kind=output.Kind.TIME),
    output.Column("next_at", "Next is due", kind=output.Kind.TIME, usual=None),
    output.Column("sweeps", "Sweeps", usual=None),
    output.Column("test", "Test", usual=None),
    output.Column("approval", "Approval", usual=None),
    output.Column("file", "File", usual=None),
)


loading.add(app, "watch", "pushctl.commands.campaigns_watch", "watch")


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List campaigns, newest first.

    \b
    pushctl campaigns list --json
    """
    from pushctl.commands.stats_check import show_counting
    from pushctl.jobs.figures.tables import funnels

    rows = funnels.load_funnel(context.of(ctx).store, table=LIST, progress=show_counting)
    more = (
        output.Column("test", "Test", usual=None),
        output.Column("file", "File", usual=None, spare=True),
    )
    output.rows(
        _add_origins(context.of(ctx).store, rows),
        (*columns.of(LIST), *more),
        format,
        empty="No campaign yet: `pushctl send` creates one.",
    )


def _add_origins(
    store: "Store", rows: "Iterable[Mapping[str, object]]"
) -> "Iterator[dict[str, object]]":
    """Yield *rows* with each campaign's test and file."""
    tests = {one.name: one.state.value for one in reversed(store.experiments.list_all())}
    from_files = store.applied.map_campaigns()
    for row in rows:
        name = str(row["name"])  # "basket/1/one" is an arm of basket/1
        test = tests.get(name) or tests.get(name.rpartition("/")[0])
        yield {**row, "test": test, "file": from_files.get(name)}


@app.command()
def show(
    ctx: typer.Context, name: NameArgument, format: FormatOption = output.Format.TABLE
) -> None:
    """
    Show one campaign and count its messages by state and reason.

    \b
    pushctl campaigns show "sale 2026-11-22"

    The states always add up: all = planned (waiting) + sending + accepted + gone +
    rejected + expired + skipped + in doubt, and those left out because they had the
    message already.
    """
    from pushctl.commands import send_results
    from pushctl.jobs.campaigns import files
    from pushctl.jobs.delivery.gates import approval_gate

    here = context.of(ctx)
    campaign = here.store.campaigns.get(name)
    if format is output.Format.TABLE:
        about = asdict(campaign) | describe_sweeps(here, campaign) | _say_test(here, campaign)
        about["manners"] = describe_exempt(campaign.options)
        about["approval"] = approval_gate.describe(here.store, campaign)
        about["file"] = files.describe(here.store, campaign)
        output.record(about, [each for each in _ABOUT if about[each.key] != each.usual])
        output.gap()
    send_results.show_states(here, campaign, format)


def _say_test(here: context.Context, campaign: "Campaign") -> dict[str, object]:
    from pushctl.jobs.campaigns import experiments

    test = here.store.experiments.find_by_campaign(campaign.id)
    said = experiments.describe_state(test, here.config.zone) if test else None
    return {"test": said}


def describe_sweeps(here: context.Context, campaign: "Campaign") -> dict[str, object]:
    """Say how a campaign goes on that waits for sweeps; a paused one waits for a person."""
    from pushctl.jobs.project import sweep_state

    waiting, due = here.store.deliveries.count_waiting(campaign.id, here.now)
    if campaign.status not in ("scheduled", "running") or not waiting:
        return {"next_at": None, "sweeps": None}
    state = sweep_state.load(here.config, here.store, here.now)
    remedy = sweep_state.find_remedy(state, here.now)
    said = sweep_state.describe(state, here.now)
    return {"next_at": due, "sweeps": f"{said}. {remedy}".rstrip()}


@app.command()
def pause(ctx: typer.Context, name: NameArgument) -> None:
    """
    Pause a campaign, even while another process is sending it.

    \b
    pushctl campaigns pause "sale 2026-11-22"
    """
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    paused = manage.pause(here.store, name, here.now)
    output.say(f"{paused.name} is paused. To continue: pushctl campaigns resume {name!r}")


@app.command()
def resume(
    ctx: typer.Context,
    name: NameArgument,
    accept_mass_gone: Annotated[
        bool,
        typer.Option("--accept-mass-gone", help="Accept that so many subscriptions are gone."),
    ] = False,
    cluster: ClusterOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Continue a campaign that was paused, stopped or killed.

    \b
    pushctl campaigns resume "sale 2026-11-22"

    No subscriber gets it twice. A message that was being sent when a process died stays
    in doubt (see pushctl in-doubt). A campaign that has ended stays as it is.
    """
    from pushctl.commands import send_results
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx, cluster)
    campaign = here.store.campaigns.get(name)
    if send_results.has_nothing_to_resume(here, campaign, format):
        return
    report = send_results.deliver_with_progress(
        here,
        campaign,
        lambda options: manage.resume(here.store, here.config, name, here.now, options),
        accept_mass_gone=accept_mass_gone,
    )
    send_results.conclude(here, report, format)


@app.command()
def retry(
    ctx: typer.Context,
    name: NameArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Send a campaign's rejected messages again, as they are now.

    \b
    pushctl campaigns retry "sale 2026-11-22" --dry-run

    Use it after you have mended what they were rejected for. Everybody else keeps what
    they got. Messages that still wait are sent with the mended template, too.
    """
    from pushctl.commands import campaigns_retry

    here = context.of(ctx)
    made = campaigns_retry.show(here, name, dry_run)
    if made.is_needed and not dry_run and campaigns_retry.is_confirmed(made, yes):
        campaigns_retry.send(here, made, format)


@app.command()
def cancel(
    ctx: typer.Context,
    name: NameArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """
    Cancel a campaign for good. Messages that wait are never sent.

    \b
    pushctl campaigns cancel "sale 2026-11-22" --yes
    """
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    campaign = here.store.campaigns.get(name)
    waiting, _ = here.store.deliveries.count_waiting(campaign.id, here.now)
    output.say(f"{campaign.name}: {counted(waiting, 'message')} not sent yet.")
    if not dry_run and output.confirm("Cancel them for good?", yes):
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
    Recall messages that still wait at a push service.

    \b
    pushctl campaigns cancel "sale 2026-11-22"
    pushctl campaigns recall "sale 2026-11-22" --yes

    A push service keeps a message until the browser is online. Only Mozilla's service
    (Firefox) can delete a message that it keeps. A message that was shown stays shown.
    """
    from pushctl.commands.send_results import warn_of_loopback
    from pushctl.jobs.campaigns import manage

    here = context.of(ctx)
    count = sum(1 for _ in here.store.doubts.list_stored(here.store.campaigns.get(name).id))
    warn_of_loopback(here)
    output.say(f"{name}: {counted(count, 'message')} may still wait there.")
    if count and not dry_run and output.confirm("Recall them?", yes):
        tally = manage.recall(here.store, here.config, name, here.now)
        output.say(", ".join(f"{number:,} {word}" for word, number in tally.items()))
        if left := tally[manage.NOT_DONE]:
            raise DeliveryError(
                f"{counted(left, 'message')} could not be recalled now; try again later"
            )

"""Send a message to an audience."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context, options
from pushctl.commands.options import (
    ClusterOption,
    DryRunOption,
    FormatOption,
    Names,
    Text,
    YesOption,
)
from pushctl.model import Cause
from pushctl.rules.schedule import Passed
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.campaigns.broadcast import Plan
    from pushctl.jobs.campaigns.draft import Draft

_SHOWN_TIMES = 3  # of a message that is sent again and again


def command(
    ctx: typer.Context,
    tag: Annotated[Names, typer.Option("--tag", "-t", help="Filter by a tag.")] = None,
    segment: Annotated[Names, typer.Option(help="Filter by a segment.")] = None,
    where: Annotated[Names, typer.Option(help="Filter by an expression.")] = None,
    to: Annotated[
        Names, typer.Option(help="Only this subscriber: an id or a signed alias.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="All active people.")] = False,
    template: Annotated[
        Text, typer.Option(help="Template. Default: the name of the tag.")
    ] = None,
    name: Annotated[
        Text, typer.Option(help="Campaign name. Default: template and date.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many.")] = None,
    ttl: Annotated[Text, typer.Option(help="Expire after this time: 30m, 24h, 2d.")] = None,
    urgency: Annotated[Text, typer.Option(help="very-low, low, normal or high.")] = None,
    rate: Annotated[Text, typer.Option(help="Maximum speed: 50/s, 600/m.")] = None,
    over: Annotated[Text, typer.Option(help="Spread the messages over this time: 2h.")] = None,
    message: Annotated[Text, typer.Option(help="Send this text instead of a template.")] = None,
    title: Annotated[Text, typer.Option(help="Title for --message.")] = None,
    language: Annotated[
        Text, typer.Option(help="Language of --message. Default: the site's.")
    ] = None,
    at: Annotated[
        Text, typer.Option(help="Send later: '18:00 tomorrow', 'in 2 hours', best.")
    ] = None,
    every: Annotated[
        Text, typer.Option(help="Send repeatedly: 'monday 09:00' or an RRULE.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Use each subscriber's own time zone.")
    ] = False,
    explore: Annotated[
        Text, typer.Option(help="Send to this share at other hours, to compare hours: 10%.")
    ] = None,
    explore_days: Annotated[
        int, typer.Option(help="Take these hours from so many days, 1 to 7.")
    ] = 1,
    passed: Annotated[
        Passed, typer.Option(help="With --local: action if the time has passed.")
    ] = Passed.NOW,
    again: Annotated[
        bool, typer.Option("--again", help="Also to people who have this message already.")
    ] = False,
    ignore_cap: Annotated[
        bool, typer.Option("--ignore-cap", help="Also to people who had enough messages.")
    ] = False,
    priority: Annotated[
        int, typer.Option(help="A broadcast waits for triggers whose priority is not lower.")
    ] = 0,
    promo: Annotated[
        Text, typer.Option(help="Give each person a code of this pool: pushctl promo.")
    ] = None,
    variants: Annotated[
        Text,
        typer.Option(help="Test variants a,b, templates sale,sale_short, times 9:00,18:00."),
    ] = None,
    weights: Annotated[Text, typer.Option(help="The variants' shares: 80,20.")] = None,
    test_share: Annotated[
        Text, typer.Option(help="Test on this share, the rest gets the winner: 20%.")
    ] = None,
    decide_after: Annotated[
        Text, typer.Option(help="Decide the test after this time: 4h.")
    ] = None,
    decide_at: Annotated[
        Text, typer.Option(help="Decide the test at this time: 'tomorrow 14:00'.")
    ] = None,
    on_tie: Annotated[Text, typer.Option(help="If no arm wins: best, first or stop.")] = None,
    daily_look: Annotated[
        bool, typer.Option("--daily-look", help="Look for a winner every day.")
    ] = False,
    topic: Annotated[
        Text, typer.Option(help="What it is about, for figures: promotion.")
    ] = None,
    cluster: ClusterOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Send a message to an audience.

    \b
    pushctl send --tag "Abandoned basket 1"
    pushctl send --segment vip --where "country = 'TR'" --template sale --dry-run
    pushctl send --to alias:customer-17 --message "Your sofa is ready"
    pushctl send --everyone --template sale --at "tomorrow 09:00" --local
    pushctl send --segment readers --template news --every "monday 09:00"
    pushctl send --everyone --template sale --variants a,b --test-share 20%

    It shows the number of people and one message, then asks. The audience and the texts
    are fixed before the first message is sent. Ctrl-C stops the sending safely;
    `pushctl campaigns resume` continues it.

    People who got the same texts within a day before, or are to get them, are left out,
    also with --yes. --again sends to them, too. Quiet hours, frequency cap, control group and
    sunset rule of pushctl.toml hold for all but --to.

    Exit codes: 0 done, planned or waiting for approval, 3 template or configuration, 5
    some failed, are in doubt or wait for the network, 75 another process is sending it,
    77 a push service refuses our key or messages.
    """
    from pushctl.jobs.campaigns.draft import Draft

    here = context.of(ctx, cluster)
    draft = Draft(
        tag or (), segment or (), where or (), to or (), everyone, template, name, limit, ttl,
        urgency, rate, over, message, title, at, local, passed, every, again,
        by=options.find_login(), topic=topic, language=language, variants=variants,
        weights=weights, test_share=test_share, decide_after=decide_after, promo=promo,
        decide_at=decide_at, on_tie=on_tie, daily_look=daily_look, ignore_cap=ignore_cap,
        priority=priority, explore=explore, explore_days=explore_days)  # fmt: skip
    plan = show(here, _plan(here, draft, dry_run), dry_run, format)
    if every is None and not dry_run and _is_confirmed(plan, yes, format):
        _send(here, plan, format)
    _repeat(here, draft, yes, dry_run)


def _plan(here: context.Context, draft: "Draft", dry_run: bool) -> "Plan":
    from pushctl.commands import audience_warnings
    from pushctl.jobs.campaigns import broadcast

    audience_warnings.warn_of_tags(here, draft.tags, draft.where, strict=draft.every is None)
    if not dry_run:
        broadcast.retry_refused(here.store, here.now)
    return broadcast.plan(here.store, here.config, draft, here.now)


def show(here: context.Context, plan: "Plan", dry_run: bool, format: output.Format) -> "Plan":
    """
    Print the plan and one message, then who gets none; on stdout for a dry run.

    A dry run as CSV or JSON is a table of who gets it now, later and not at all. Return the
    plan with that verdict.
    """
    from pushctl.commands import (
        plan_forecast,
        send_contact_policy,
        send_results,
        templates_lint,
    )
    from pushctl.jobs.campaigns.rehearsal import list_examples, rehearse

    send_results.warn_of_loopback(here)
    is_table = dry_run and format is not output.Format.TABLE
    dry_run = dry_run and not is_table
    _show_plan(here, plan, dry_run)
    shown = plan.example
    if shown is not None:
        send_results.show_example(plan.template, shown, dry_run)
    for name, other in list_examples(here.store, here.config, plan, here.now):
        send_results.show_example(name, other, dry_run)
    with output.progress("Rendering", plan.count - plan.without) as bar:
        plan = rehearse(here.store, here.config, plan, here.now, bar.advance)
    if shown is None and plan.example is not None:
        send_results.show_example(plan.template, plan.example, dry_run)
    if plan.verdict is not None:
        send_results.show_verdict(plan.verdict, plan.count, dry_run)
    templates_lint.warn(here, plan.template, plan.sources)
    _show_codes(here, plan, dry_run)
    plan = plan_forecast.foresee(here, plan, dry_run)
    send_contact_policy.show(plan, dry_run)
    send_contact_policy.show_approval(here, plan, dry_run)
    if is_table:
        send_contact_policy.list_parts(plan, format)
    return plan


def _show_codes(here: context.Context, plan: "Plan", dry_run: bool) -> None:
    """Print how many promo codes it needs and how many are left."""
    from pushctl.jobs.delivery.claims.promo_codes import describe_need

    gets = plan.verdict.without if plan.verdict else {}
    people = (one for one in plan.receivers if one not in gets)
    at = max(plan.at, default=here.now)
    if said := describe_need(here.store, plan.options, people, at):
        (output.propose if dry_run else output.say)(f"  {said}")


def _show_plan(here: context.Context, plan: "Plan", dry_run: bool) -> None:
    from pushctl.commands import audience_warnings, send_variants
    from pushctl.jobs.campaigns import random_hours
    from pushctl.rules import timing

    tell = output.propose if dry_run else output.say
    other = here.store.campaigns.find_unfinished(plan.template, plan.audience)
    if other is not None:
        output.warn(
            f"{other} has the same template and audience and isn't finished. To continue it: "
            f"pushctl campaigns resume {other!r}. This is a second campaign."
        )
    tell(f"{plan.name}: {counted(plan.count, 'person', 'people')}", style="bold")
    tell(f"  audience: {plan.audience}")
    tell(f"  texts: {_format_texts(plan)}")
    spread = f", spread over {timing.say(plan.over)}" if plan.over else ""
    if plan.best:
        tell(f"  best time: {plan.best}")
    if plan.at:
        tell(f"  goes out {_format_times(here, plan)}")
    tell(f"  expires after {timing.say(plan.expires_after)}{spread}")
    if said := random_hours.describe(plan.hours):
        tell(f"  {said}")
    if plan.assignment is not None:
        send_variants.show_plan(here, plan, plan.assignment, tell)
    if waiting := audience_warnings.describe_inbox(here):
        tell(f"  {waiting}")
    if plan.left_out.count:
        tell(f"  left out: {plan.left_out.describe()}; --again sends to them, too")
    if not plan.count and not plan.left_out.count:
        tell("  No subscriber matches.")
    for missing in plan.readers.missing:
        output.warn(f"{missing}: {plan.template} has no text in {missing.reads}")


def _format_texts(plan: "Plan") -> str:
    texts = ", ".join(f"{tag} {people:,}" for tag, people in plan.readers.texts.items())
    unknown = plan.readers.unknown
    return (texts or "none") + (f" ({unknown:,} of unknown language)" if unknown else "")


def _format_times(here: context.Context, plan: "Plan") -> str:
    """Return the first and last time of a plan, in the time zone of --at."""
    from pushctl.rules import timing

    zone = here.config.zone
    ends = (min(plan.at), max(plan.at))
    first, last = (f"{timing.local(at, zone):%a %Y-%m-%d %H:%M}" for at in ends)
    return f"{first} to {last} ({zone})" if last != first else f"{first} ({zone})"


def _is_confirmed(plan: "Plan", yes: bool, format: output.Format) -> bool:
    from pushctl.commands import send_results

    if not plan.count:
        if plan.left_out.count:
            send_results.show_left_out(plan.left_out, format)
        return False
    whom = counted(plan.count - plan.without, "person", "people")
    if plan.left_out.count:
        whom += f", without {plan.left_out.count:,} who have it already"
    if later := plan.later:
        whom += f", {later:,} of them later"
    none = f" {plan.without:,} get none." if plan.without else ""
    if output.confirm(f"Send this to {whom}?{none}", yes):
        return True
    output.say("Nothing was sent.")
    return False


def _repeat(here: context.Context, draft: "Draft", yes: bool, dry_run: bool) -> None:
    """Add a series, if the person agrees; its audience is found anew each time."""
    from pushctl.jobs.campaigns import recurring

    if draft.every is None:
        return
    times = [
        f"{at:%a %Y-%m-%d %H:%M}"
        for at in recurring.find_next_times(here.config, draft, here.now, _SHOWN_TIMES + 1)
    ]
    more = ", ..." if len(times) > _SHOWN_TIMES else ""
    clock = "each person's own time" if draft.local else f"the site's time, {here.config.zone}"
    tell = output.propose if dry_run else output.say
    tell(f"  goes out {', '.join(times[:_SHOWN_TIMES])}{more} ({clock})")
    if dry_run or not output.confirm(f"Send this every {draft.every}?", yes):
        return
    series = recurring.add_series(here.store, here.config, draft, here.later())
    output.say(f"{series.name} is scheduled; the sweep sends it (pushctl schedules list).")


def _send(here: context.Context, plan: "Plan", format: output.Format) -> None:
    from pushctl.commands import send_results
    from pushctl.jobs.campaigns import broadcast
    from pushctl.jobs.campaigns.duplicates import NobodyLeftError
    from pushctl.jobs.delivery import deliver

    deliver.check_ready(here.store, here.config)
    now = here.later()
    try:
        campaign = broadcast.freeze(here.store, broadcast.attend(plan), now)
    except NobodyLeftError as error:  # from another terminal, a moment ago
        send_results.show_left_out(error.left_out, format)
        return
    if campaign.cause is Cause.NEEDS_APPROVAL:
        send_results.show_states(here, campaign, format, title=campaign.name)
        send_results.say_needs_approval(campaign)
        return
    if plan.at:
        output.say(f"{campaign.name} is scheduled; the sweep sends it (pushctl cron install).")
        return
    report = send_results.deliver_frozen(here, campaign, now)
    report.sent.update(status for status, *_ in plan.ended.values())
    send_results.conclude(here, report, format)

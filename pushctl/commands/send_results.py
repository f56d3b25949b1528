"""Warn before a campaign is sent, show its result after."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import typer

from pushctl import output
from pushctl.commands import columns, run_recording
from pushctl.commands.context import Context
from pushctl.errors import ConfigError, DeliveryError, PushctlError, RefusedError
from pushctl.jobs.campaigns import experiments, manage
from pushctl.jobs.campaigns.duplicates import LeftOut
from pushctl.jobs.delivery import deliver, postbox
from pushctl.jobs.delivery.rendering.render_check import Verdict
from pushctl.jobs.messages.preview import Preview
from pushctl.model import Campaign, Cause, Millis
from pushctl.rules.contact_policy import CAUSES
from pushctl.rules.figures.tables.campaigns import STATES
from pushctl.rules.wording import counted, moment

REASONS = 5  # shown, of why people get no message

# A shell's exit code for Ctrl-C: commands after "&&" don't run.
STOPPED = 130


def warn_of_loopback(here: Context) -> None:
    if text := postbox.make_warning(here.config):
        output.say(f"*** {text}", "bold")


def show_example(template: str, example: Preview, dry_run: bool) -> None:
    """Print one message as its receiver sees it; on stdout for a dry run."""
    message = example.message
    buttons = "   ".join(f"[ {action.title} ]" for action in message.actions)
    text = "\n".join(filter(None, (message.title, message.body, buttons, message.url)))
    title = f"{template}/{example.file}"
    output.panel(text, title, stdout=dry_run, right_to_left=message.dir == "rtl")
    if example.warning:
        output.warn(example.warning)


def show_verdict(verdict: Verdict, count: int, dry_run: bool) -> None:
    """Print how many of *count* receivers the template gives no message, by the cause."""
    reasons = verdict.count_reasons(CAUSES)
    if not reasons:
        return
    tell = output.propose if dry_run else output.say
    without = sum(people for _, people in reasons)
    tell(f"{without:,} of {counted(count, 'person', 'people')} would get none:")
    width = len(f"{reasons[0][1]:,}")
    for reason, people in reasons[:REASONS]:
        tell(f"  {people:>{width},}  {reason}")
    if rest := sum(people for _, people in reasons[REASONS:]):
        tell(f"  {rest:>{width},}  for {len(reasons) - REASONS:,} other reasons")


def deliver_with_progress(
    here: Context,
    campaign: Campaign,
    send: Callable[[deliver.Options], deliver.Report],
    *,
    accept_mass_gone: bool = False,
) -> deliver.Report:
    """Run *send* with a progress bar over what *campaign* has left."""
    left, _ = here.store.deliveries.count_waiting(campaign.id, here.now)
    try:
        with output.progress("Sending", left) as bar:
            options = deliver.Options(
                # Sweeps send a campaign that is spread over time: no process has to wait.
                patience=0.0 if campaign.options.get("over") else 60.0,
                accept_mass_gone=accept_mass_gone,
                progress=bar.advance,
                tell=output.say,
            )
            return send(options)
    except KeyboardInterrupt:  # a second one: answers are lost
        say_saved(here, campaign)
        raise


def has_nothing_to_resume(here: Context, campaign: Campaign, format: output.Format) -> bool:
    """Say why there is nothing to resume, with the campaign's states; else warn and go on."""
    why = manage.explain_nothing_to_resume(here.store, campaign.name, here.now)
    if why is None:
        warn_of_loopback(here)
        return False
    output.say(why)
    show_states(here, campaign, format)
    return True


def deliver_frozen(here: Context, campaign: Campaign, now: Millis) -> deliver.Report:
    """Send a *campaign* that was just frozen; say, after an error, how it continues."""
    try:
        return deliver_with_progress(
            here,
            campaign,
            lambda options: deliver.run(here.store, here.config, campaign, now, options),
        )
    except (PushctlError, OSError):
        say_saved(here, campaign)
        raise


def conclude(here: Context, report: deliver.Report, format: output.Format) -> None:
    """Print every state with its reason; raise the error of the exit code."""
    run_recording.count(here, report.sent)
    campaign = report.campaign
    try:
        show_states(here, campaign, format, title=campaign.name)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{campaign.name} was sent, but the result can't be written: "
            f"{error.strerror}. Don't send it again. To see the result: pushctl campaigns show "
            f"{campaign.name!r}"
        ) from error
    for note in report.notes:
        output.warn(note)
    if report.settled:
        output.say(
            f"{counted(report.settled, 'message')} in doubt: an earlier process died "
            f"while it sent them. See pushctl in-doubt list --campaign {campaign.name!r}"
        )
    _say_waiting(here, report)
    if report.refused:
        raise RefusedError(f"{campaign.name}: {report.refused}")
    failed = report.sent["rejected"] + report.sent["in_doubt"]
    if report.sent["rejected"]:
        output.say(
            "To reach who was rejected, once the cause is mended: pushctl campaigns retry "
            f"{campaign.name!r}"
        )
    if failed:
        raise DeliveryError(f"{campaign.name}: {counted(failed, 'message')} failed or in doubt")
    if report.interrupted and report.waiting:
        raise typer.Exit(STOPPED)
    if report.unreached:
        raise DeliveryError(
            f"{campaign.name}: {counted(report.waiting, 'message')} could not be sent yet "
            f"({report.unreached}). Sweeps try again for as long as they are of use."
        )


def show_states(
    here: Context, campaign: Campaign, format: output.Format, title: str | None = None
) -> None:
    """Print every state of the campaign's messages with its reason, and their sum."""
    rows = manage.count_states(here.store, campaign.id)
    _show_rows(rows, format, title)


def show_left_out(left_out: LeftOut, format: output.Format) -> None:
    """Print that a message went to nobody, because all have it already."""
    output.say(f"Nothing was sent: {left_out.describe()}. To send it once more: --again")
    _show_rows(manage.list_left_out(left_out), format)


def _show_rows(
    rows: Sequence[manage.State], format: output.Format, title: str | None = None
) -> None:
    total = {"status": "all", "count": sum(row.count for row in rows)}
    shown = columns.of(STATES)
    output.rows(
        rows, shown, format, title=title, total=total, empty="This campaign has no messages."
    )


def say_saved(here: Context, campaign: Campaign) -> None:
    """Explain, after an error, how a frozen campaign continues."""
    with suppress(PushctlError):
        status = here.store.campaigns.get_status(campaign.id)
        waiting, _ = here.store.deliveries.count_waiting(campaign.id, here.later())
        goes_on = "the next sweep continues it" if status == "running" else f"it is {status}"
        output.say(
            f"{campaign.name} is saved, {waiting:,} wait: {goes_on}. To continue now: pushctl "
            f"campaigns resume {campaign.name!r}. To cancel it: pushctl campaigns cancel "
            f"{campaign.name!r}. Don't send it again: people would get two messages."
        )


def say_needs_approval(campaign: Campaign) -> None:
    """Say that a frozen campaign goes out once somebody else has agreed."""
    output.say(
        f"{campaign.name} waits for approval: {campaign.note}. The next sweep after that "
        "sends it."
    )


def _say_waiting(here: Context, report: deliver.Report) -> None:
    name = report.campaign.name
    if report.campaign.cause is Cause.NEEDS_APPROVAL:
        say_needs_approval(report.campaign)
        return
    if not report.waiting:
        return
    if report.waiting == experiments.count_waiting(here.store, report.campaign):
        output.say(
            f"{report.waiting:,} wait for the winner of the test, which goes out by the sweep. "
            f"To choose it now: pushctl ab pick {name!r} a"
        )
        return
    go_on = f"pushctl campaigns resume {name!r}"
    if report.interrupted:
        output.say(f"Stopped; {report.waiting:,} wait. To continue: {go_on}")
    elif report.next_due is not None:
        output.say(
            f"{report.waiting:,} wait, the next until {moment(report.next_due)}. The next "
            f"sweep after that sends them. To send them now: {go_on}"
        )
    else:
        output.say(f"{report.waiting:,} wait. To continue: {go_on}")

"""Ask about and send the rejected messages of a campaign (`campaigns retry`)."""

from pushctl import output
from pushctl.commands import send_results
from pushctl.commands.context import Context
from pushctl.jobs.campaigns import retry
from pushctl.jobs.campaigns.retry import Retry
from pushctl.jobs.delivery import deliver
from pushctl.rules.wording import counted


def show(here: Context, name: str, dry_run: bool) -> Retry:
    """Print whom a retry would reach, with one message; on stdout for a dry run."""
    send_results.warn_of_loopback(here)
    with output.progress("Rendering") as bar:
        made = retry.plan(here.store, here.config, name, here.now, bar.advance)
    tell = output.propose if dry_run else output.say
    left_out = made.left_out.describe() if made.left_out.count else ""
    if not made.is_needed:
        why = left_out or "no message to an active subscriber was rejected"
        tell(f"{name}: {why}. Nothing was changed.")
        return made
    count = len(made.receivers)
    tell(f"{name}: {counted(count, 'rejected message')} can be sent now", style="bold")
    state = "changed since then" if made.is_changed else "as it was then"
    tell(f"  template: {made.campaign.template}, {state}")
    if left_out:
        tell(f"  left out: {left_out}")
    if made.waiting:
        tell(f"  {counted(made.waiting, 'message')} wait and get it, too")
    if made.example is not None:
        send_results.show_example(made.campaign.template, made.example, dry_run)
    send_results.show_verdict(made.verdict, count + made.waiting + made.still_without, dry_run)
    return made


def is_confirmed(made: Retry, yes: bool) -> bool:
    """Ask whether to send them; say so where not."""
    waiting = f" and the {made.waiting:,} that wait" if made.waiting else ""
    if output.confirm(f"Send {counted(len(made.receivers), 'message')}{waiting}?", yes):
        return True
    output.say("Nothing was sent.")
    return False


def send(here: Context, made: Retry, format: output.Format) -> None:
    """Plan the messages again, send them and print the campaign's states."""
    deliver.check_ready(here.store, here.config)
    now = here.later()
    campaign = retry.start(here.store, here.config, made, now)
    report = send_results.deliver_frozen(here, campaign, now)
    send_results.conclude(here, report, format)

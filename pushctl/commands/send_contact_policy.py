"""What the contact policy makes of a broadcast, in the question of `send`."""

from typing import TYPE_CHECKING

from pushctl import output

if TYPE_CHECKING:
    from pushctl.commands.context import Context
    from pushctl.jobs.campaigns.broadcast import Plan
    from pushctl.jobs.campaigns.contact_policy import Part

_COLUMNS = (
    output.Column("what", "Receivers"),
    output.Column("people", "People", kind=output.Kind.NUMBER),
)


def show(plan: "Plan", dry_run: bool) -> None:
    """Print one line: how many get it now, later, and not at all; on stdout for a dry run."""
    judged = plan.judged
    tell = output.propose if dry_run else output.say
    if plan.options.get("exempt") == "cap":
        tell("  the frequency cap is ignored (--ignore-cap)")
    if judged is None:
        return
    parts = [f"{part.what} {part.people:,}" for part in _divide(plan) if part.people]
    if judged.held or judged.without:
        text = ", ".join(parts)
        if plan.at or plan.over:
            text = text.replace("now ", "then ", 1) + " (as things stand now)"
        tell(f"  {text}")
    if judged.unjudged:
        tell(f"  {judged.unjudged:,} never report, so the sunset rule can't judge them")


def show_approval(here: "Context", plan: "Plan", dry_run: bool) -> None:
    """Say beforehand that somebody else will have to approve it."""
    from pushctl.jobs.campaigns import broadcast

    if why := broadcast.foresee_approval(here.store, plan, here.now):
        (output.propose if dry_run else output.say)(f"  will wait for approval: {why}")


def list_parts(plan: "Plan", format: output.Format) -> None:
    """Print the same as rows, with a sum."""
    total = {"what": "all", "people": plan.count}
    output.rows(_divide(plan), _COLUMNS, format, total=total)


def _divide(plan: "Plan") -> "list[Part]":
    from pushctl.jobs.campaigns import contact_policy
    from pushctl.jobs.subscribers.contact_policy import Judged

    return contact_policy.divide(plan.count, plan.judged or Judged(), plan.list_without())

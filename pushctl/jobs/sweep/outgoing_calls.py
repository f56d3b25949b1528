"""
Calls to programs and webhooks: what a sweep does once it has given back its lock.

The next sweep sends messages meanwhile. A watch has a process of its own for this. What fails
here fails no sweep.
"""

import math

from pushctl.config import Config
from pushctl.jobs.sweep.dispatch import Dispatch
from pushctl.jobs.sweep.summary import Summary
from pushctl.jobs.triggers import load_facts
from pushctl.jobs.triggers.types import Run, describe_error
from pushctl.model import Millis
from pushctl.rules.wording import counted
from pushctl.store import Store, clocks
from pushctl.store.faults import concerns_one

_SECONDS = 25.0  # for the steps of triggers, and once more for webhooks


def run(config: Config, store: Store, now: Millis, deadline: float = math.inf) -> Summary:
    """Make the calls that are due at *now*; *deadline* by the machine's own clock."""
    made = Run(store, load_facts.load_settings(config, store), now)
    dispatch = Dispatch(made, config, clocks.read_seconds(), deadline)
    summary = Summary(notes=made.notes)
    for call in (_call_channels, _tell_webhooks, _tell_alerts):
        try:
            call(made, config, summary, dispatch)
        except Exception as error:
            if not concerns_one(error):
                raise
            made.warn(f"calls: {describe_error(error)}", "calls failed")
    return summary


def _call_channels(run: Run, config: Config, summary: Summary, dispatch: Dispatch) -> None:
    """Carry out the steps of triggers that are a program's or a webhook's."""
    dispatch.postpone_calls()
    now = dispatch.read_now()
    if not run.store.deliveries.list_due_calls(now):
        return
    from pushctl.jobs.webhooks import channels

    made = channels.run_due(run.store, config, now, _find_seconds(dispatch))
    for name, count in made.counts.items():
        summary.counts[name if name == "in_doubt" else f"call {name}"] += count
    for note in made.notes:
        run.warn(note, "call failed")
    dispatch.note_accepted()


def _tell_webhooks(run: Run, config: Config, summary: Summary, dispatch: Dispatch) -> None:
    if not config.webhooks:
        return
    from pushctl.jobs.webhooks import outbox

    seconds = _find_seconds(dispatch)
    told = outbox.deliver(run.store, config, dispatch.read_now(), seconds)
    summary.counts.update({"told": told.delivered, "untold": told.failed})
    if told.dead:
        letters = counted(told.dead, "dead letter")
        run.warn(f"webhooks: {letters} more. See: pushctl webhooks dead")


def _tell_alerts(run: Run, config: Config, summary: Summary, dispatch: Dispatch) -> None:
    if not config.alerts:
        return
    from pushctl.jobs.webhooks import alerts

    now = dispatch.read_now()
    for failed in alerts.run(run.store, config, now, _find_seconds(dispatch)):
        run.warn(failed, "alert failed")


def _find_seconds(dispatch: Dispatch) -> float:
    return max(min(_SECONDS, dispatch.deadline - clocks.read_seconds()), 1.0)

"""
The sweep, which cron starts every minute.

Under its lock: drain the inbox, let new events begin and end enrolments, decide what is due,
send it, go on with retries and scheduled campaigns, prune once a day. Each stage is
finished for itself, so a kill between any two of them costs nothing but a minute.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pushctl import lock, log
from pushctl.config import Config
from pushctl.jobs.campaigns import api_messages
from pushctl.jobs.ingest import drain
from pushctl.jobs.reports import schedule
from pushctl.jobs.subscribers import segment_sizes
from pushctl.jobs.sweep import (
    dry_run,
    history,
    metrics,
    outgoing_calls,
    retention,
    retired_keys,
)
from pushctl.jobs.sweep.admission import Options, admit, is_watched
from pushctl.jobs.sweep.dispatch import Dispatch
from pushctl.jobs.sweep.summary import Summary
from pushctl.jobs.triggers import enrol, load_facts, promo_reminders, scan, step_tests
from pushctl.jobs.triggers.apply import apply
from pushctl.jobs.triggers.isolate_faults import do_each
from pushctl.jobs.triggers.types import Run, describe_error
from pushctl.jobs.webhooks import events
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.triggers.changes import Changes
from pushctl.rules.triggers.due import decide_due
from pushctl.rules.triggers.enrolment import Enrolment, State
from pushctl.rules.triggers.trigger import Kind, Trigger
from pushctl.rules.wording import counted, number
from pushctl.store import Store, clocks, idle
from pushctl.store.faults import concerns_one
from pushctl.store.idle import CONFIG_KEY, NEXT_SCAN_KEY

__all__ = ["Options", "Summary", "run"]

_BATCH = 500

# Seconds of work after which a sweep leaves the rest of new events, and of what is due,
# to the next one: a minute later somebody's reminder is due.
_EVENTS = 20.0
_DECIDING = 30.0

# Of a watch, which has others to serve in between.
_TURN = 1.0


# What can't be decided is tried again so often, and for so long.
_TRY_AGAIN: Millis = units.HOUR
_MAX_FAULTY: Millis = units.DAY


class Turn(NamedTuple):
    """What one turn of a watch knows of what is due."""

    dispatch: Dispatch
    triggers: Mapping[str, Trigger]


class _DryRunIsOver(Exception):
    """Takes back what a dry run wrote."""


def run(config: Config, store: Store, now: Millis, options: Options | None = None) -> Summary:
    """
    Do everything that is due at *now*; return what that was.

    Raises BusyError when another sweep is at work, ConfigError when the clock leapt.
    """
    options = options or Options()
    if is_watched(store.path, now):
        options = replace(options, sends=False)
    if options.dry_run:
        with admit(config, store, now, options):
            return _Sweep(config, store, now, options).run_dry()
    with (
        metrics.publish_after(config, store, now),
        history.admit_noted(config, store, now, options),
    ):
        one = _Sweep(config, store, now, options)
        log.note("sweep", "started")
        if options.begun is not None:
            options.begun()
        one.run_whole()
    # The next sweep need not wait for this.
    lock.give_back(clocks.name_lock(store.path))
    return one.call_out()


def take_turn(
    config: Config, store: Store, now: Millis, leave: Callable[[Turn], None]
) -> Summary:
    """
    Take in what came and decide what is due, for a second or so; send nothing.

    *leave* is called under the lock with what a watch needs to have it sent. Raises as ``run``.
    """
    options = Options(sends=False)
    with admit(config, store, now, options):
        return _Sweep(config, store, now, options).run_turn(leave)


class _Sweep:
    def __init__(self, config: Config, store: Store, now: Millis, options: Options) -> None:
        self._config = config
        self._store = store
        self._now = now
        self._began = clocks.read_seconds()
        limit = options.max_seconds
        self._deadline = math.inf if limit is None else self._began + limit
        self._settings = load_facts.load_settings(config, store)
        self._run = Run(store, self._settings, now)
        for name, error in self._settings.unreadable.items():
            self._run.warn(f"{name} rests, its audience can't be read: {error}")
        self._summary = Summary(notes=self._run.notes)
        # The persons with a message of this sweep, and its trigger and subscription.
        self._first: dict[str, tuple[str, int]] = {}
        self._answers: scan.Answers | None = None  # of feeds, where they were asked before
        self._stopped = False  # by a signal
        self._sends = options.sends

    def run_turn(self, leave: Callable[[Turn], None]) -> Summary:
        """Take in what came and decide what is due; the scan and tidying are for sweeps."""
        enough = self._make_limit(_TURN)
        step_tests.sync(self._run)
        promo_reminders.tell_due(self._store, self._config, self._now)
        self._summary.counts["events"] += enrol.take_events(self._run, enough)
        enrol.take_reports(self._run)
        self._decide_due((), enough)
        dispatch = Dispatch(self._run, self._config, self._began, self._deadline)
        leave(Turn(dispatch, self._settings.triggers))
        return self._sum_up()

    def run_whole(self) -> Summary:
        stages = {
            "drain": self._drain,
            "messages": self._plan_messages,
            "urgent": self._send_urgent,
            "events": self._take_in,
            "reminders": self._remind,
            "rest": self._send_rest,
            "webhooks": self._sync_webhooks,
            "tidy": self._tidy,
        }
        with history.record(self._store, self._now, self._began, self._summary) as seconds:
            for name, stage in stages.items():
                if not self._stopped:
                    began = clocks.read_seconds()
                    self._run_stage(name, stage)
                    seconds[name] = round(clocks.read_seconds() - began, 3)
            self._sum_up()
        return self._summary

    def _run_stage(self, name: str, stage: Callable[[], None]) -> None:
        """Run a stage; a mistake of ours in one of them must not stop the others."""
        try:
            stage()
        except Exception as error:
            if not concerns_one(error):
                raise
            self._run.leave_out(f"the rest of the stage {name!r}", error)

    def run_dry(self) -> Summary:
        """Decide as a sweep would, take everything back, and list the campaigns due."""
        if self._is_scan_due() or self._file_changed():
            self._answers = scan.fetch_feeds(self._run)
        with suppress(_DryRunIsOver), self._store.write():
            self._decide()
            self._sync_webhooks()
            events.find(self._store, self._config, self._now, self._make_limit(_EVENTS))
            self._summary.messages += dry_run.list_calls(self._store, self._now)
            raise _DryRunIsOver
        self._summary.messages += dry_run.list_campaigns(self._store, self._now)
        if asked := self._store.messages.count_unplanned():
            self._summary.messages.append((counted(asked, "message"), "asked for by servers"))
        if dry_run.has_waiting(self._store, self._config.inbox):
            self._summary.remarks.append(
                "What waits in the inbox was not looked at: pushctl import takes it in."
            )
        return self._sum_up()

    def _sum_up(self) -> Summary:
        summary = self._summary
        if more := self._run.count_unnamed():
            self._run.warn(f"{number(more)} more were left out; the log names them")
        summary.counts = Counter({**summary.counts, **self._run.tally})
        summary.seconds = clocks.read_seconds() - self._began
        return summary

    def _make_limit(self, share: float) -> Callable[[], bool]:
        """Return whether this sweep has worked for *share* seconds, or too long, to call."""
        end = self._began + share if self._deadline == math.inf else self._deadline
        return lambda: clocks.read_seconds() > end

    def _drain(self) -> None:
        report = drain.drain(self._store, self._config, self._config.secret(), self._now)
        self._summary.counts["lines"] += report.lines

    def _plan_messages(self) -> None:
        """Plan the messages that servers asked for, and tell what became of earlier ones."""
        api_messages.work_off(self._store, self._config, self._now)

    def _send_urgent(self) -> None:
        if self._sends and self._store.campaigns.list_urgent():
            self._send(Dispatch.send_urgent)

    def _take_in(self) -> None:
        self._follow_file()
        step_tests.sync(self._run)
        promo_reminders.tell_due(self._store, self._config, self._now)
        taken = enrol.take_events(self._run, self._make_limit(_EVENTS))
        self._summary.counts["events"] += taken
        enrol.take_reports(self._run)

    def _decide(self) -> None:
        self._take_in()
        self._scan()
        self._decide_due(())

    def _follow_file(self) -> None:
        """End the enrolments of triggers that were taken out of pushctl.toml."""
        if not self._file_changed():
            return
        triggers, changes = self._settings.triggers, Changes(self._now)
        reason = "the trigger was taken out of pushctl.toml"
        with self._store.write():
            tags = {name: one.tag for name, one in self._store.triggers.load_states().items()}
            for one in self._store.enrolments.list_without(list(triggers)):
                changes.end(one, State.CANCELLED, reason, tags.get(one.trigger))
                changes.tally["cancel"] += 1
                changes.record(one.trigger, one.subscription, one.id, "cancel", reason)
            apply(self._run, changes)
            self._store.triggers.save_tags({name: one.tag for name, one in triggers.items()})
            self._store.meta.set(CONFIG_KEY, idle.compute_fingerprint(self._config.file))
            self._store.meta.remove(NEXT_SCAN_KEY)

    def _file_changed(self) -> bool:
        if self._store.meta.get(CONFIG_KEY) != idle.compute_fingerprint(self._config.file):
            return True
        # It may be saved just between our reading it and this.
        return self._store.triggers.load_states().keys() != self._settings.triggers.keys()

    def _is_scan_due(self) -> bool:
        known = self._store.meta.get(NEXT_SCAN_KEY)
        return known is None or int(known) <= self._now

    def _scan(self) -> None:
        if not self._is_scan_due():
            return
        if self._answers is None:
            self._answers = scan.fetch_feeds(self._run)
        again = scan.scan(self._run, self._answers)
        tomorrow = self._now + units.DAY
        self._store.meta.set(NEXT_SCAN_KEY, str(min(again or tomorrow, tomorrow)))

    def _decide_due(
        self, besides: Collection[str], enough: Callable[[], bool] | None = None
    ) -> None:
        """Decide what is due of all triggers but those paused and *besides*."""
        skip = self._store.triggers.list_paused().union(besides, self._settings.unreadable)
        over = enough or self._make_limit(_DECIDING)
        while True:
            with self._store.write():
                count = self._decide_batch(skip)
            if count < _BATCH or over():
                break

    def _decide_batch(self, skip: Collection[str]) -> int:
        """Decide the next of what is due; return how many enrolments that were."""
        due = self._store.enrolments.list_due(self._now, _BATCH, skip)
        if due:
            do_each(self._store, due, self._decide_some, self._put_off)
        return len(due)

    def _decide_some(self, due: Sequence[Enrolment]) -> None:
        known = load_facts.load_due(self._run, due, self._config.templates)
        changes = decide_due(known, due, self._first)
        apply(self._run, changes, known.templates)
        for message in changes.messages:
            device = known.people.devices[message.subscription]
            step = changes.campaigns[message.campaign]
            self._first[device.key] = step.trigger, message.subscription
            what = f"{step.trigger}, step {step.step}: {step.template}"
            self._summary.messages.append((device.public_id, what))

    def _put_off(self, one: Enrolment, error: Exception) -> None:
        """
        Put off an enrolment that can't be decided; end it when that has lasted a day.

        The fault is ours, or in what the person's browser sent: a newer version may mend it.
        """
        known = self._store.enrolments.find_first_decision(one, "fault")
        over = known is not None and self._now - known >= _MAX_FAULTY
        why = f"it can't be decided: {describe_error(error)}"
        until = None if over else self._now + _TRY_AGAIN
        changes = Changes(self._now)
        changes.record(one.trigger, one.subscription, one.id, "fault", why, one.step, until)
        if over:
            changes.end(one, State.CANCELLED, why, self._settings.triggers[one.trigger].tag)
        else:
            changes.save(replace(one, next_at=until), why)
        apply(self._run, changes)
        what = f"step {one.step} of {one.trigger} for {self._name_person(one)}"
        self._run.leave_out(what, error)

    def _name_person(self, one: Enrolment) -> str:
        people = load_facts.load_people(self._run, [one.subscription])
        device = people.devices.get(one.subscription)
        return device.public_id if device else "somebody unknown"

    def _remind(self) -> None:
        """Decide and send the steps of triggers that events begin: people wait for them."""
        # Days, absences and articles concern many at once: they are looked for after this.
        triggers = self._settings.triggers.values()
        self._decide_due([one.name for one in triggers if one.kind is not Kind.EVENT])
        self._send(Dispatch.send_reminders)

    def _send_rest(self) -> None:
        """Decide and send everything else, as far as the time allows."""
        self._scan()
        self._decide_due(())
        self._send(Dispatch.send_everything)

    def _send(self, send: Callable[[Dispatch], None]) -> None:
        dispatch = Dispatch(self._run, self._config, self._began, self._deadline)
        if not self._sends:
            dispatch.begin_planned()
            self._summary.remarks += dispatch.remarks
            return
        send(dispatch)
        self._summary.remarks += dispatch.remarks
        self._summary.counts.update(dispatch.sent)
        self._summary.refused = self._summary.refused or dispatch.refused
        self._stopped = dispatch.stopped
        if self._stopped:
            self._summary.remarks.append("stopped by a signal: the next sweep goes on")

    def _sync_webhooks(self) -> None:
        events.sync(self._store, self._config, self._now)
        names = [one.name for one in self._config.alerts]
        self._store.alerts.sync(names, self._now)

    def call_out(self) -> Summary:
        """Make the calls that are due; a watch has a process of its own for them."""
        if self._sends and not self._stopped:
            took = int((clocks.read_seconds() - self._began) * 1000)
            made = outgoing_calls.run(
                self._config, self._store, self._now + took, self._deadline
            )
            self._summary.counts.update(made.counts)
            self._summary.notes += made.notes
        return self._summary

    def _tidy(self) -> None:
        """Write due reports, count segments, try the quarantined again, prune: each in time."""
        passed = int((clocks.read_seconds() - self._began) * 1000)
        api_messages.work_off(self._store, self._config, self._now + passed)
        for error in schedule.carry_out(self._store, self._config, self._now):
            self._run.warn(error)
        tried = int(self._store.meta.get("sweep.tried") or 0)
        if self._now - tried >= units.HOUR:
            self._store.health.reactivate(self._now)
            self._store.meta.set("sweep.tried", str(self._now))
        late = self._deadline
        for error in segment_sizes.note_sizes(self._config, self._store, self._now, late):
            self._run.warn(error)
        last = int(self._store.meta.get("sweep.pruned") or 0)
        if self._now - last >= units.DAY and clocks.read_seconds() <= late:
            self._prune()

    def _prune(self) -> None:
        api_messages.close_old(self._store, self._now)
        retention.prune(self._store, self._config, self._settings.triggers.values(), self._now)
        for error in retired_keys.remove(self._config, self._store, self._now):
            self._run.warn(error)
        self._store.meta.set("sweep.pruned", str(self._now))
        self._store.checkpoint()

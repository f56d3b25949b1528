"""
The sweep: what cron starts every minute, and nobody watches.

Under its lock: drain the inbox, let new events begin and end walks, decide what is due,
send it, go on with retries and scheduled campaigns, prune once a day. Each part is
finished for itself, so a kill between any two of them costs nothing but a minute.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pushctl import lock
from pushctl.config import Config
from pushctl.errors import ConfigError, PushctlError
from pushctl.jobs.delivery import restore_guard
from pushctl.jobs.ingest import drain
from pushctl.jobs.sweep import dry_run
from pushctl.jobs.sweep.dispatch import Dispatch
from pushctl.jobs.sweep.summary import Summary
from pushctl.jobs.triggers import scan
from pushctl.jobs.triggers.enrol import Enrolling
from pushctl.jobs.triggers.enrolments import Walks
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.triggers.enrolment import (
    Cancel,
    Deliver,
    Enrolment,
    Hold,
    State,
    choose,
    decide,
)
from pushctl.rules.triggers.trigger import Kind, Trigger
from pushctl.store import Store
from pushctl.store.enrolments import Who
from pushctl.store.idle import (
    CONFIG_KEY,
    NEXT_SCAN_KEY,
    fingerprint,
    in_step,
    last_sweep,
    stamp,
)

__all__ = ["Options", "Summary", "check_clock", "decide_all", "lock_path", "run"]

_BATCH = 500

# Seconds of work after which a sweep leaves the rest of new events, and of what is due,
# to the next one: a minute later somebody's reminder is due.
_EVENTS = 20.0
_DECIDING = 30.0


@dataclass(frozen=True)
class Options:
    """
    How one sweep is to behave.

    *dry_run*: decide, and take everything back. *rehearsal*: *now* is somebody's idea and
    not the clock's, in a project made for trying out; what is done is done.
    """

    dry_run: bool = False
    max_seconds: float | None = None
    accept_clock: bool = False
    rehearsal: bool = False


class _DryRunIsOver(Exception):
    """Takes back what a dry run wrote."""


def lock_path(database: Path) -> Path:
    return database.with_name(f"{database.name}.sweep")


def run(config: Config, store: Store, now: Millis, options: Options | None = None) -> Summary:
    """
    Do everything that is due at *now*; return what that was.

    Raises BusyError when another sweep is at work, ConfigError when the clock leapt.
    """
    options = options or Options()
    path = lock_path(store.path)
    before = last_sweep(path)
    if not options.rehearsal:
        check_clock(path, now, accept=options.accept_clock)
    if not options.dry_run:
        restore_guard.check(store, config)
    with lock.hold(path, "pushctl sweep"), _stamped(path, before, now, options):
        sweep = _Sweep(config, store, now, options)
        return sweep.dry() if options.dry_run else sweep.whole()


@contextmanager
def _stamped(
    path: Path, before: Millis | None, now: Millis, options: Options
) -> Iterator[None]:
    """Remember when a real sweep ended; a rehearsal leaves what guards the clock alone."""
    if not (options.rehearsal or options.dry_run):
        yield
        stamp(path, now)
        return
    try:
        yield
    finally:
        if before is not None:
            stamp(path, before)


def decide_all(config: Config, store: Store, now: Millis) -> Summary:
    """Decide everything that is due at *now* and plan its messages; send nothing."""
    return _Sweep(config, store, now, Options()).decided()


def check_clock(path: Path, now: Millis, *, accept: bool = False) -> None:
    """Raise ConfigError when *now* is far from the last sweep's time, unless *accept*."""
    before = last_sweep(path)
    if accept or before is None or in_step(path, now):
        return
    way = "behind" if now < before else "ahead of"
    leap = timing.say(abs(now - before) // units.MINUTE * units.MINUTE)
    raise ConfigError(
        f"the clock is {leap} {way} the last sweep. Nothing was sent. If the time is right, "
        "say so once: pushctl sweep --accept-clock"
    )


class _Sweep:
    def __init__(self, config: Config, store: Store, now: Millis, options: Options) -> None:
        self._config, self._store, self._now = config, store, now
        self._began = time.monotonic()
        limit = options.max_seconds
        self._deadline = None if limit is None else self._began + limit
        self._walks = Walks(config, store, now)
        self._summary = Summary()
        # Who has got a message in this sweep: person -> trigger and subscription.
        self._first: dict[str, tuple[str, int]] = {}
        self._answers: scan.Answers | None = None  # of feeds, where they were asked before

    def whole(self) -> Summary:
        run = self._store.runs.start("sweep", self._now)
        code = 1
        try:
            self._drain()
            self._take_in()
            if self._remind() and self._rest():
                self._tidy()
            code = self._sum_up().exit_code
        finally:
            counts = dict(self._summary.counts)
            took = int((time.monotonic() - self._began) * 1000)
            self._store.runs.finish(run, self._now + took, code, counts)
        return self._summary

    def dry(self) -> Summary:
        """Decide as a sweep would, take everything back, and say what else would go out."""
        if self._scans() or self._file_changed():
            self._answers = scan.ask(self._walks)
        try:
            with self._store.write():
                self._decide()
                raise _DryRunIsOver
        except _DryRunIsOver:
            pass
        self._summary.messages += dry_run.campaigns(self._store, self._now)
        if dry_run.waits(self._store, self._config):
            self._summary.remarks.append(
                "What waits in the inbox was not looked at: pushctl import takes it in."
            )
        return self._sum_up()

    def decided(self) -> Summary:
        self._decide()
        return self._sum_up()

    def _sum_up(self) -> Summary:
        summary = self._summary
        summary.counts = Counter({**summary.counts, **self._walks.tally})
        summary.notes += dict.fromkeys(self._walks.notes)
        summary.seconds = time.monotonic() - self._began
        return summary

    def _over(self, share: float) -> Callable[[], bool]:
        """Return what says whether this sweep has worked for *share* seconds, or too long."""
        end = self._began + share if self._deadline is None else self._deadline
        return lambda: time.monotonic() > end

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    # --- what came in ----------------------------------------------------------------

    def _drain(self) -> None:
        report = drain.drain(self._store, self._config, self._config.secret(), self._now)
        self._summary.counts["lines"] += report.lines

    def _take_in(self) -> None:
        self._keep_up_with_the_file()
        enrolling = Enrolling(self._walks)
        self._summary.counts["events"] += enrolling.new_events(self._over(_EVENTS))
        enrolling.reports()

    def _decide(self) -> None:
        """Decide everything in one go, for who sends by other means."""
        self._take_in()
        self._scan()
        self._decide_due(())

    def _keep_up_with_the_file(self) -> None:
        """End the walks of triggers that were taken out of pushctl.toml."""
        keep, walks = self._store.triggers, self._walks
        if not self._file_changed():
            return
        with self._store.write():
            tags = {name: one.tag for name, one in keep.standings().items()}
            for walk in self._store.enrolments.without(list(walks.triggers)):
                intent = Cancel(walk.id, "the trigger was taken out of pushctl.toml")
                ended = replace(walk, state=State.CANCELLED, next_at=None)
                self._store.enrolments.save([(ended, intent.reason)], self._now)
                self._store.enrolments.withdraw([walk.id], intent.reason, self._now)
                walks.note(walk.trigger, walk.subscription, walk.id, intent)
                walks.take_tag(tags.get(walk.trigger), walk.subscription)
            keep.note({name: trigger.tag for name, trigger in walks.triggers.items()})
            self._store.meta.set(CONFIG_KEY, fingerprint(self._config.file))
            self._store.meta.remove(NEXT_SCAN_KEY)

    def _file_changed(self) -> bool:
        if self._store.meta.get(CONFIG_KEY) != fingerprint(self._config.file):
            return True
        # Somebody may save it just between our reading it and this.
        return self._store.triggers.standings().keys() != self._walks.triggers.keys()

    def _scans(self) -> bool:
        known = self._store.meta.get(NEXT_SCAN_KEY)
        return known is None or int(known) <= self._now

    def _scan(self) -> None:
        if not self._scans():
            return
        answers = scan.ask(self._walks) if self._answers is None else self._answers
        again = scan.scan(self._walks, answers)
        tomorrow = self._now + units.DAY
        self._store.meta.set(NEXT_SCAN_KEY, str(min(again or tomorrow, tomorrow)))

    # --- what is due -----------------------------------------------------------------

    def _decide_due(self, besides: Collection[str]) -> None:
        """Decide what is due of all triggers but those paused and *besides*."""
        skip = self._store.triggers.paused().union(besides, self._walks.unreadable)
        over = self._over(_DECIDING)
        while True:
            with self._store.write():
                due = self._store.enrolments.due(self._now, _BATCH, skip)
                self._decide_batch(due)
            if len(due) < _BATCH or over():
                break

    def _decide_batch(self, due: list[tuple[Enrolment, Who]]) -> None:
        meant = self._meant(due)
        candidates = []
        listed = {walk.id: (walk, who) for walk, who in due}
        for walk, who in due:
            trigger = self._walks.triggers[walk.trigger]
            seen = self._walks.seen(trigger, who, walk.entered_at, walk.occurrence)
            person = self._walks.receiver(
                who, walk.id, in_audience=walk.id in meant, free=trigger.transactional
            )
            intent = decide(trigger, walk, seen, self._now, person, self._walks.frequency)
            if isinstance(intent, Deliver):
                if self._sendable(trigger, walk, intent, who):
                    candidates.append((trigger, person, intent))
            elif intent is None:
                self._look_again(walk)
            else:
                self._walks.carry_out(trigger, walk, intent, who)
        for chosen in choose(candidates, self._walks.frequency, self._now, self._first):
            walk, who = listed[chosen.enrolment]
            trigger = self._walks.triggers[walk.trigger]
            self._walks.carry_out(trigger, walk, chosen, who)
            if isinstance(chosen, Deliver):
                self._first[who.key] = trigger.name, who.subscription
                what = f"{trigger.name}, step {chosen.step}: {chosen.template}"
                self._summary.messages.append((who.public_id, what))

    def _sendable(self, trigger: Trigger, walk: Enrolment, intent: Deliver, who: Who) -> bool:
        """Say whether the step's template can be read; hold the walk if not."""
        try:
            self._walks.campaign(trigger, intent.step, intent.template)
        except PushctlError as error:
            # Broken a minute ago, perhaps: it must not stop the other triggers' messages.
            note = f"{trigger.name}: {error}"
            if note not in self._walks.notes:
                self._walks.notes.append(note)
            until = self._now + units.MINUTE
            hold = Hold(walk.id, walk.step, until, f"its template {intent.template} is broken")
            self._walks.carry_out(trigger, walk, hold, who)
            return False
        return True

    def _meant(self, due: Iterable[tuple[Enrolment, Who]]) -> set[int]:
        """Return the walks whose people are in their trigger's audience now."""
        by_trigger: dict[str, dict[int, int]] = {}
        for walk, who in due:
            by_trigger.setdefault(walk.trigger, {})[walk.id] = who.subscription
        meant: set[int] = set()
        for name, people in by_trigger.items():
            found = self._walks.in_audience(name, set(people.values()))
            meant |= {walk for walk, subscription in people.items() if subscription in found}
        return meant

    def _look_again(self, walk: Enrolment) -> None:
        # Steps or zones changed since its time was set: what is due moved ahead.
        later = replace(walk, next_at=self._now + units.MINUTE)
        self._store.enrolments.save([(later, "waits")], self._now)

    # --- what goes out, and what is let go ---------------------------------------------

    def _remind(self) -> bool:
        """Decide and send what people wait for; say whether to go on."""
        # Days, absences and articles concern many at once: their walks begin after this.
        many = [one.name for one in self._walks.triggers.values() if one.kind is not Kind.EVENT]
        self._decide_due(many)
        return self._send(Dispatch.reminders)

    def _rest(self) -> bool:
        """Decide and send everything else, as far as it goes; say whether to go on."""
        self._scan()
        self._decide_due(())
        return self._send(Dispatch.everything)

    def _send(self, what: Callable[[Dispatch], None]) -> bool:
        dispatch = Dispatch(self._walks, self._began, self._deadline)
        what(dispatch)
        self._summary.counts.update(dispatch.sent)
        self._summary.refused = self._summary.refused or dispatch.refused
        if dispatch.stopped:
            self._summary.remarks.append("stopped by a signal: the next sweep goes on")
        return not dispatch.stopped

    def _tidy(self) -> None:
        """Once an hour: try again who was put aside; once a day: let go what is of no use."""
        tried = int(self._store.meta.get("sweep.tried") or 0)
        if self._now - tried >= units.HOUR:
            self._store.health.try_again(self._now)
            self._store.meta.set("sweep.tried", str(self._now))
        last = int(self._store.meta.get("sweep.pruned") or 0)
        if self._now - last < units.DAY or self._late():
            return
        kept = self._config.sweep.keep_days * units.DAY
        before = self._now - kept
        once = [
            one.name
            for one in self._walks.triggers.values()
            if one.reentry is None or one.reentry > kept
        ]
        self._store.tags.expire(self._now)
        self._store.pruning.run(before, once)
        self._store.meta.set("sweep.pruned", str(self._now))
        self._store.checkpoint()

"""
`sweep --watch`: stays, and does at once what cron's sweeps do once a minute.

This process drains the inbox and decides; it sends nothing itself and waits for nobody.
Processes of its own send (``senders``), and one of them sweeps where a scan or a series is
due. Everything is in the database before it is handed out: a kill costs nothing.
"""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from pushctl import lock, log
from pushctl.config import Config
from pushctl.errors import BusyError, DamagedError, PushctlError
from pushctl.jobs.campaigns import api_messages
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import drain
from pushctl.jobs.sweep import clock, history, metrics, sweep
from pushctl.jobs.sweep.job import ALL_CALLS, Answer, Job, Work
from pushctl.jobs.sweep.senders import Senders
from pushctl.jobs.sweep.summary import Summary
from pushctl.jobs.sweep.wait_for_inbox import Wake, pause
from pushctl.jobs.triggers.apply import describe_paused
from pushctl.jobs.webhooks import ping
from pushctl.model import Campaign, CampaignStatus, Millis
from pushctl.rules import units
from pushctl.store import Store, clocks, idle

TICK = 1.0  # seconds between two looks where nothing comes
GATHER = 0.2  # seconds in which what comes is taken together
SAY = 5.0  # seconds of which one line tells
EVERY = 60.0  # ... between two signs of life
TIDY = 3600.0  # ... between two sweeps at the most
REST = 30.0  # seconds until a campaign that failed, or could send nothing, is tried again
SWEEP_REST = 3.0  # ... until the next sweep at the earliest
SLICE = 120.0  # seconds of one campaign, after which others have their turn

# So many rows of a step are sent as a broadcast is: beside the reminders of single people.
MANY = 2_000

# `send` writes a campaign and then sends it: for so long it is not taken from it.
_YOUNG: Millis = 10 * units.SECOND

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Front:
    """What a watch needs of its command."""

    load: Callable[[], Config]  # raises ConfigError
    show: Callable[[Summary], None]
    ping_url: str | None = None  # None: that of pushctl.toml


def run(config: Config, front: Front) -> None:
    """Watch until a signal comes; raises BusyError where another watch runs, DamagedError."""
    path = clocks.name_watch(config.database)
    with lock.hold(path, "pushctl sweep --watch"), _Watch(config, front) as one:
        one.run()


class _Watch:
    def __init__(self, config: Config, front: Front) -> None:
        self._config, self._front = config, front
        self._fingerprint = idle.compute_fingerprint(config.file)
        self._open = ExitStack()  # the store
        self._store: Store | None = None
        self._senders, self._wake = Senders(), Wake(config.inbox)
        self._summary, self._minute = Summary(), Summary()
        self._rests: dict[int | None, float] = {}  # campaigns, until a monotonic time
        self._said: dict[str, float] = {}
        self._next_minute = self._next_sweep = self._next_line = 0.0
        self._offset = 0  # of the clock, when it was last found to be right
        self._may_work = False
        self._accepted = False  # whether steps were sent that the next ones may count from
        self._signals = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._senders.end()
        self._wake.close()
        self._open.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            self._senders.hurry()

    def run(self) -> None:
        log.note("sweep", "watching")
        if self._wake.trouble is not None:
            self._note(self._wake.trouble)
        # A start takes seconds on a busy machine, and the first urgent one may be waiting.
        for work, count in ((Work.URGENT, 2), (Work.STEP, 1)):
            self._senders.prepare(work, count)
        news = True
        while not self._signals:
            began = time.monotonic()
            self._turn(news=news)
            self._show()
            pause(began + GATHER)
            news = self._wake.wait(TICK, self._senders.links)
        self._collect()
        for answer in self._senders.end():
            self._take(answer)
        self._show(last=True)
        log.note("sweep", "watched")

    def _turn(self, *, news: bool) -> None:
        """Do what there is to do; what is wrong is said, and tried again later."""
        try:
            self._collect()
            self._follow_file()
            if time.monotonic() >= self._next_minute or self._was_set():
                self._begin_minute()
            if self._may_work:
                self._work(news=news)
        except DamagedError:
            raise
        except BusyError:
            pass  # another program is at it, and has ended in a moment
        except PushctlError as error:
            self._note(str(error))
            self._forget_store()

    def _was_set(self) -> bool:
        """Return whether the clock was set since it was last found to be right."""
        return abs(clocks.read_offset() - self._offset) > units.MINUTE

    def _work(self, *, news: bool) -> None:
        store, now = self._get_store(), clocks.read_now()
        if news or store.inbox_cursors.count_unread(self._config.inbox):
            with suppress(BusyError):
                report = drain.drain(store, self._config, self._config.secret(), now)
                self._summary.counts["lines"] += report.lines
        now = clocks.read_now()
        api_messages.work_off(store, self._config, now, all_sizes=False)
        work = store.schedules.find_work(self._fingerprint, now)
        if work.due:
            # Before anything that takes the sweep's lock, which another sweep may hold.
            self._send_urgent(store, now)
        if work.calls and self._is_free(ALL_CALLS):
            self._senders.hand_out(Job(Work.CALLS, self._config, ALL_CALLS, 0.0))
        if work.planned or time.monotonic() >= self._next_sweep:
            self._sweep()
        if work.new or work.due or self._accepted:
            summary = sweep.take_turn(self._config, store, now, self._hand_out)
            self._add(summary)

    def _begin_minute(self) -> None:
        """Give a sign of life, and see that the clock is right and nothing was restored."""
        store, now = self._get_store(), clocks.read_now()
        self._next_minute = time.monotonic() + EVERY
        path = clocks.name_lock(store.path)
        self._may_work = False
        self._offset = clocks.read_offset()
        clock.check(store, self._config, path, now, clocks.read_boot())
        restore_guard.check(store, self._config)
        self._may_work = True
        if store.approvals.list_waiting():
            self._next_sweep = 0.0  # it looks whether somebody approved
        with suppress(OSError):  # somebody has removed the file
            clocks.restore(clocks.name_watch(store.path), now)
        with suppress(BusyError), lock.hold(path, "pushctl sweep"):
            clocks.record_sweep(path, now, clocks.read_boot())
        self._end_minute(store, now)

    def _end_minute(self, store: Store, now: Millis) -> None:
        summary, self._minute = self._minute, Summary()
        if str(summary) or summary.notes:
            number = store.runs.start("sweep", now - int(EVERY * 1000))
            faults = history.hide(summary.list_faults())
            counts = dict(summary.counts)
            store.runs.finish(number, now, summary.exit_code, counts, faults=faults)
        metrics.publish(self._config, store, now)
        url = self._front.ping_url or self._config.sweep.ping_url
        if url:
            good = summary.exit_code == 0
            # It may take some seconds, and nobody waits for it.
            threading.Thread(
                target=ping.send, args=(url,), kwargs={"good": good}, daemon=True
            ).start()
        # A store keeps what it has read, and its file may have been replaced.
        self._forget_store()

    def _follow_file(self) -> None:
        """Take over what has changed in pushctl.toml."""
        with suppress(OSError):
            now = idle.compute_fingerprint(self._config.file)
            if now != self._fingerprint:
                self._fingerprint = now
                self._config = self._front.load()
                self._forget_store()

    def _sweep(self) -> None:
        if self._is_free(None):
            self._next_sweep = time.monotonic() + TIDY
            self._senders.hand_out(Job(Work.SWEEP, self._config, None, 0.0))

    def _send_urgent(self, store: Store, now: Millis) -> None:
        due = set(store.deliveries.list_due_campaigns(now))
        for number in store.campaigns.list_urgent():
            if number in due and self._may_hand_out(store, number):
                self._offer(number, Work.URGENT)

    def _hand_out(self, turn: sweep.Turn) -> None:
        """Hand out what is due; called under the sweep's lock."""
        store, now = self._get_store(), clocks.read_now()
        if self._accepted:
            self._accepted = False
            turn.dispatch.note_accepted()
        for number, name in turn.dispatch.find_leaders().items():
            # First: what follows would read all rows of a step that is being sent.
            if not self._may_hand_out(store, number):
                continue
            if name is not None:
                turn.dispatch.postpone_in_quiet_hours(number, turn.triggers.get(name))
                many = store.deliveries.count_waiting(number, now)[0] > MANY
                self._offer(number, Work.BROADCAST if many else Work.STEP)
            elif now - store.campaigns.get_by_id(number).created_at > _YOUNG:
                self._offer(number, Work.BROADCAST)

    def _offer(self, number: int, work: Work) -> None:
        self._senders.hand_out(Job(work, self._config, number, SLICE))

    def _may_hand_out(self, store: Store, number: int) -> bool:
        """Return whether nobody sends a campaign at this moment, and it need not rest."""
        return self._is_free(number) and not deliver.is_held(store, self._config, number)

    def _is_free(self, number: int | None) -> bool:
        resting = self._rests.get(number, 0.0) > time.monotonic()
        return not resting and number not in self._senders.campaigns

    def _collect(self) -> None:
        for answer in self._senders.collect():
            self._take(answer)

    def _take(self, answer: Answer) -> None:
        """Count what a process has done, and let a campaign rest that got nowhere."""
        self._rests.pop(answer.campaign, None)
        if answer.error is not None:
            self._note(answer.error)
        match answer.result:
            case deliver.Report() as report:
                self._accepted = True
                self._summary.counts.update(report.sent)
                self._summary.refused = self._summary.refused or report.refused
                self._note_paused(report)
                if report.sent:
                    return
            case Summary() as summary:
                self._add(summary)
        now, rest = time.monotonic(), REST if answer.campaign else SWEEP_REST
        if answer.result is None and answer.error is None:
            rest = TICK  # somebody else was at it
        self._rests = {one: until for one, until in self._rests.items() if until > now}
        self._rests[answer.campaign] = now + rest

    def _note_paused(self, report: deliver.Report) -> None:
        after: Campaign = report.campaign
        if after.status is CampaignStatus.PAUSED and not report.refused:
            self._note(describe_paused(after.name, after.note))

    def _add(self, summary: Summary) -> None:
        self._summary.counts.update(summary.counts)
        for note in summary.notes:
            self._note(note)

    def _note(self, note: str) -> None:
        """Say something that has to be put right: once an hour."""
        now = time.monotonic()
        self._said = {text: at for text, at in self._said.items() if now - at < TIDY}
        if note not in self._said:
            self._said[note] = now
            self._summary.notes.append(note)

    def _show(self, *, last: bool = False) -> None:
        """Say what was done, in one line every few seconds; at once what is to be put right."""
        now, troubled = time.monotonic(), self._summary.notes or self._summary.refused
        if now < self._next_line and not troubled and not last:
            return
        self._next_line = now + SAY
        summary, self._summary = self._summary, Summary()
        if str(summary) or summary.notes or summary.refused:
            self._front.show(summary)
        self._minute.counts.update(summary.counts)
        self._minute.notes += summary.notes
        self._minute.refused = self._minute.refused or summary.refused

    def _get_store(self) -> Store:
        if self._store is None:
            self._store = self._open.enter_context(Store(self._config.database))
        return self._store

    def _forget_store(self) -> None:
        self._store = None
        self._open.close()

"""
One run of one campaign: settle what a dead process left, then claim, write, send, book.

The database stays in this process; encryption and the network are the crew's. A letter is
claimed and committed before it is handed out; what waits for its answer is bounded.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import suppress

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.jobs.delivery import context, recovery, restore_guard, stop_rules
from pushctl.jobs.delivery.clock import steady
from pushctl.jobs.delivery.origin_health import Course
from pushctl.jobs.delivery.outcomes import Book
from pushctl.jobs.delivery.pool import CHUNK, Crew, few_collections
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.jobs.delivery.render import Item, Unwritten, Writer
from pushctl.jobs.delivery.signals import Stop
from pushctl.jobs.delivery.stop_rules import Tolerance
from pushctl.jobs.delivery.throttle import Traffic
from pushctl.jobs.delivery.types import Landed, Options, Report
from pushctl.jobs.subscribers.segments import segments_of
from pushctl.model import Campaign, CampaignStatus, Millis, Outcome
from pushctl.push import journal
from pushctl.rules.delivery import retry
from pushctl.rules.units import MINUTE
from pushctl.store import Store
from pushctl.store.deliveries import Claimed
from pushctl.templates import Template

CLAIM = 2_000  # rows in one transaction
GRACE = 15.0  # seconds that letters under way get once we are told to stop
AGAIN: Millis = 15 * MINUTE  # until a service that refuses us is tried again


class Sending:
    def __init__(
        self,
        store: Store,
        config: Config,
        campaign: Campaign,
        now: Millis,
        options: Options,
        stop: Stop,
    ) -> None:
        self._store, self._config, self._campaign = store, config, campaign
        self._options, self._stop = options, stop
        self._start, self._began = now, steady()
        self._postbox = open_postbox(config, str(campaign.id))
        template = Template.from_sources(campaign.template, campaign.sources)
        names = template.segments
        self._writer = Writer(
            campaign,
            template,
            config,
            frozenset(self._postbox.keys),
            segments=segments_of(store, config, names, now) if names else None,
            extras=context.of(store, config, campaign),
        )
        # A trigger's messages and those of hours go on with the other services.
        self._lasts = "over" in campaign.options or store.triggers.leads(campaign.id)
        self._traffic = Traffic(
            {it.origin: it for it in store.origins.all()},
            origin_rate=config.push.rate,
            campaign_rate=campaign.options.get("rate"),
            rates=self._postbox.journal / "rates",
            now=now,
            again=AGAIN if self._lasts else None,
        )
        self._course = Course(store, campaign, self._traffic, options.accept_mass_gone)
        self._report = Report(campaign)
        self._futures: dict[Future[list[Outcome]], list[Item]] = {}
        self._items: dict[int, Item] = {}  # claimed and not yet booked
        self._after = 0  # the last fresh row that was claimed
        self._fresh = True  # whether there may be more behind it
        self._tolerance = Tolerance(store, campaign)
        self._heard = steady()  # when a chunk last went out or came back
        self._trouble: ConfigError | None = None  # why the crew can't go on
        self._written = self._unwritten = 0
        self._closing = False
        self._crew: Crew

    def _now(self) -> Millis:
        # Not the wall's clock, which may jump.
        return self._start + int((steady() - self._began) * 1000)

    # --- the run ---------------------------------------------------------------------

    def run(self) -> Report:
        """Send what is due; return how it ended."""
        store, campaign, postbox = self._store, self._campaign, self._postbox
        restore_guard.check(store, self._config)
        self._stop.file = postbox.stop
        self._stop.withdraw()
        now = self._now()
        settled = recovery.settle(store, campaign, postbox.journal, postbox.run, now)
        self._report.settled = settled
        self._report.sent.update({"in_doubt": settled} if settled else {})
        store.campaigns.change(campaign.id, CampaignStatus.RUNNING, now)
        self._course.begin(self._now())
        count, _ = store.deliveries.waiting(campaign.id, now)
        if count:
            store.read_in_passing()
            recovery.begin(postbox.journal, postbox.run)
            with few_collections(), Crew(self._config, postbox, count) as self._crew:
                try:
                    while self._turn():
                        pass
                finally:
                    self._bring_home()
        recovery.end(postbox.journal, postbox.run)
        return self._finish()

    def _turn(self) -> bool:
        """Do whatever can be done now; say whether there is more to do."""
        if not self._may_go_on():
            return False
        now = self._now()
        self._launch(now)
        self._exchange(Landed(), now)
        self._launch(now)
        if self._futures:
            self._exchange(self._land(self._patience(now)), self._now())
            if self._trouble is not None:
                raise self._trouble
            return True
        if self._traffic.waiting:
            self._stop.wait(self._traffic.pause(now))
            return True
        return not self._traffic.all_stopped() and self._await_next(now)

    def _patience(self, now: Millis) -> float:
        """Return the seconds to wait for answers before something else may be due."""
        return min(0.2, self._traffic.pause(now)) if self._traffic.waiting else 0.2

    def _may_go_on(self) -> bool:
        limit = self._options.seconds
        if self._stop.asked or (limit and steady() - self._began > limit):
            return False
        return self._store.campaigns.status(self._campaign.id) is CampaignStatus.RUNNING

    def _pause(self, note: str) -> None:
        self._store.campaigns.change(
            self._campaign.id, CampaignStatus.PAUSED, self._now(), note
        )

    def _await_next(self, now: Millis) -> bool:
        """Wait for the next row that becomes due, if that is soon."""
        count, first = self._store.deliveries.waiting(self._campaign.id, now)
        if count == 0 or first is None or (first - now) / 1000 > self._options.patience:
            return False
        if first - now > 1000:
            self._options.tell(f"{count:,} to be tried again, in {(first - now) // 1000} s")
        self._stop.wait((first - now) / 1000)
        return True

    def _finish(self) -> Report:
        now, report, campaign = self._now(), self._report, self._campaign.id
        report.notes += self._course.conclude(now)
        report.refused = report.refused or self._course.refused
        waiting, first = self._store.deliveries.waiting(campaign, now)
        if self._stop.asked:
            report.interrupted = True
            if waiting and not (self._options.unattended or self._stop.left):
                self._pause("stopped by hand")
        status = self._store.campaigns.status(campaign)
        if status is CampaignStatus.CANCELLED:
            self._store.deliveries.drop(campaign, "cancelled", now)
            waiting, first = 0, None
        elif waiting and self._course.refused and not self._lasts:
            self._pause(self._course.refused)
        else:
            self._store.campaigns.finish_if_done(campaign, now)
        report.waiting, report.next_due = waiting, first
        report.campaign = self._store.campaigns.by_id(campaign)
        self._tolerance.keep(report.campaign.status is CampaignStatus.RUNNING)
        return report

    # --- claiming, writing, launching ------------------------------------------------

    def _exchange(self, landed: Landed, now: Millis) -> None:
        """Book what came back and claim what comes next, in one transaction."""
        self._traffic.add(landed.again, now)
        room = self._crew.window - len(self._items) + len(landed.outcomes)
        idle = landed.outcomes and self._traffic.flying < CHUNK
        if self._closing or (self._traffic.waiting and (idle or room < CLAIM // 2)):
            room = 0  # what waits goes out first; few large claims cost less than many
        if self._options.patience:
            # We are here when the next may go out, so none is claimed before its time.
            wanted = self._traffic.room()
            room = room if wanted is None else min(room, wanted)
        if landed.outcomes or room > 0 or self._traffic.returns(now):
            self._write(self._book(landed, room, now), now)
        for chunk in landed.chunks:
            letters = [item.letter for item in chunk]
            journal.discard(self._postbox.journal, self._postbox.run, letters)
        for left in landed.left:
            left.discard()

    def _book(self, landed: Landed, room: int, now: Millis) -> list[Claimed]:
        book = Book(now, self._course.tells_nothing)
        book.add(landed.outcomes, self._items, self._traffic)
        changed = book.listen(self._traffic)
        with self._store.write():
            book.write_deliveries(self._store)
            self._course.review(changed, book.gone, now)
            book.write_subscriptions(self._store, self._course.spared)
            self._release(
                ((it.item, it.at, it.why) for it in self._traffic.give_back(now)), now
            )
            self._apply_stop_rules(book)
            rows = self._claim(room, now)
            batch = restore_guard.count_up(self._store) if rows else None
        if batch is not None:
            restore_guard.note(self._config, batch)
        for outcome in landed.outcomes:
            del self._items[outcome.delivery]
        self._report.sent.update(book.tally)
        self._options.progress(book.ended)
        return rows

    def _release(
        self, given: Iterable[tuple[Item, Millis | None, str | None]], now: Millis
    ) -> None:
        undated = recovery.dated(self._campaign, now)
        rows = [(at or undated, why, now, item.letter.delivery) for item, at, why in given]
        if rows:
            self._store.deliveries.release(rows)
            for *_, delivery in rows:
                del self._items[delivery]

    def _apply_stop_rules(self, book: Book) -> None:
        too_many, why = self._tolerance.exceeded(book), None
        if book.ours is not None:
            why = f"a push service says that the message is wrong: {book.ours}"
            self._report.refused = why
        elif too_many:
            why = "a quarter of the last answers were errors"
        if why is not None:
            self._report.notes.append(f"Paused: {why}.")
            self._pause(why)

    def _claim(self, room: int, now: Millis) -> list[Claimed]:
        """Claim up to *room* rows, those with a date first; none of a paused campaign."""
        if room <= 0 or not self._may_go_on():
            return []
        limit = min(room, CLAIM)
        rows, taken = self._store.deliveries.claim_due(self._campaign.id, limit, now)
        if self._fresh and taken < limit:
            more, last = self._store.deliveries.claim_fresh(
                self._campaign.id, self._after, limit - taken, now
            )
            rows += more
            self._fresh = last is not None
            self._after = last or self._after
        return rows

    def _write(self, rows: Sequence[Claimed], now: Millis) -> None:
        if not rows:
            return
        items, without = self._writer.write(rows, now)
        self._traffic.add(items, now)
        self._items.update((item.letter.delivery, item) for item in items)
        self._written += len(items)
        if without:
            self._set_aside(without, now)

    def _set_aside(self, rows: Sequence[Unwritten], now: Millis) -> None:
        """Book rows for which there is no message; give up when there is none for anybody."""
        store, campaign, keys = self._store, self._campaign, self._postbox.keys.keys()
        self._unwritten += len(rows)
        if not self._written and (
            fault := stop_rules.fault(store, campaign, keys, rows, self._unwritten)
        ):
            at = recovery.dated(campaign, now)
            with store.write():
                store.deliveries.release((at, None, now, row.delivery) for row in rows)
                self._pause(rows[0].reason)
            raise fault
        store.deliveries.finish(
            (row.status, row.reason, None, None, None, None, 1, now, row.delivery)
            for row in rows
        )
        self._report.sent.update(row.status for row in rows)
        self._options.progress(len(rows))

    def _launch(self, now: Millis) -> None:
        while len(self._futures) < self._crew.slots:
            chunk = self._traffic.take(CHUNK, now, self._crew.careful)
            if not chunk:
                return
            try:
                future = self._crew.submit([item.letter for item in chunk])
            except BrokenExecutor:
                # A worker died just now; its chunk's future says so in a moment.
                self._traffic.landed(chunk)
                self._traffic.add(chunk, now)
                if not self._futures:
                    self._crew.lost()
                return
            self._futures[future], self._heard = chunk, steady()

    # --- what comes back -------------------------------------------------------------

    def _land(self, seconds: float) -> Landed:
        """Wait for answers, at most *seconds*."""
        done, _ = wait(self._futures, timeout=seconds, return_when=FIRST_COMPLETED)
        landed, broken = Landed(), False
        for future in done:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, BrokenExecutor):
                broken = True
                continue
            chunk = self._futures.pop(future)
            self._traffic.landed(chunk)
            if isinstance(error, ConfigError):
                self._trouble = error
            if future.cancelled() or isinstance(error, ConfigError):
                landed.again += chunk  # nothing of it was begun
            else:
                landed.chunks.append(chunk)
                self._sort(future.result(), landed)
                self._crew.alive()
        if done:
            self._heard = steady()
        elif self._crew.is_gone(steady() - self._heard):
            self._crew.kill()
            broken = True
        if broken:
            self._crew.lost()
            self._salvage(landed)
        return landed

    def _sort(self, outcomes: Sequence[Outcome], landed: Landed) -> None:
        for outcome in outcomes:
            if retry.never_started(outcome):
                landed.again.append(self._items[outcome.delivery])
            else:
                landed.outcomes.append(outcome)

    def _salvage(self, landed: Landed) -> None:
        """The crew is dead: learn from its journals what became of its letters."""
        left = journal.recover(self._postbox.journal, self._postbox.run)
        for item in (item for chunk in self._futures.values() for item in chunk):
            delivery = item.letter.delivery
            if delivery in left.outcomes:
                landed.outcomes.append(left.outcomes[delivery])
            elif delivery in left.started:
                landed.outcomes.append(recovery.doubt(delivery, retry.STOPPED))
            else:
                landed.again.append(item)
        for chunk in self._futures.values():
            self._traffic.landed(chunk)
        self._futures.clear()
        landed.left.append(left)

    def _bring_home(self) -> None:
        """Start nothing more; book what still comes in, and give the rest back."""
        self._closing = True
        if self._futures:
            self._stop.halt()
        for future in self._futures:
            future.cancel()
        deadline = steady() + GRACE
        # A second signal may come at any moment in here.
        with suppress(KeyboardInterrupt):
            while self._futures and steady() < deadline and not self._stop.hurry:
                self._put_away(self._land(0.2))
        if self._futures:
            self._crew.kill()
            landed = Landed()
            self._salvage(landed)
            self._put_away(landed)
        self._put_away(Landed())
        self._stop.withdraw()
        if self._stop.hurry:
            # What this process itself had on its way is told by its journal alone.
            recovery.settle(
                self._store,
                self._campaign,
                self._postbox.journal,
                self._postbox.run,
                self._now(),
            )
            if not self._options.unattended:
                self._pause("stopped by hand")
            raise KeyboardInterrupt

    def _put_away(self, landed: Landed) -> None:
        """Book what came back and give back what never began."""
        now = self._now()
        self._exchange(landed, now)
        with self._store.write():
            self._release(((item, None, None) for item in self._traffic.drain()), now)

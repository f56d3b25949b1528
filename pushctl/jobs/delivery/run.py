"""
One run of one campaign: settle what a dead process left, then claim, render, send, write.

The database stays in this process; encryption and the network are the pool's. A row is
claimed and committed before its letter is submitted. The number of rows without an outcome
is bounded.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter

from pushctl import log
from pushctl.config import Config
from pushctl.jobs.delivery.claims import contact_policy, goals
from pushctl.jobs.delivery.claims.ledger import Ledger
from pushctl.jobs.delivery.clock import Clock
from pushctl.jobs.delivery.garbage_collection import collect_rarely
from pushctl.jobs.delivery.pools import pool
from pushctl.jobs.delivery.pools.pool import CHUNK, Pool, Returned, open_pool
from pushctl.jobs.delivery.pools.worker_format import Recipe
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.jobs.delivery.push_services.origin_health import OriginHealth
from pushctl.jobs.delivery.push_services.outages import Outages
from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.rendering import context
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.jobs.delivery.results import recovery
from pushctl.jobs.delivery.results.outcomes import OutcomeBatch
from pushctl.jobs.delivery.results.stop_rules import StopRules
from pushctl.jobs.delivery.signals import Stop
from pushctl.jobs.delivery.types import CLAIM, Options, RenderedRow, Report, UnrenderedRow
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Campaign, CampaignStatus, Millis, Outcome
from pushctl.rules import units
from pushctl.store import Store
from pushctl.store.clocks import read_seconds
from pushctl.store.ledger_rows import ClaimedRow, ReleasedRow
from pushctl.store.origins import Origin
from pushctl.templates import Template

GRACE = 15.0  # seconds that letters under way get after a signal to stop
POLL = 0.2  # seconds to wait for outcomes where nothing else is due
AGAIN: Millis = 15 * units.MINUTE  # until a service that refuses us is tried again
_delivery = itemgetter(Outcome._fields.index("delivery"))


class Sending:
    """
    A run of *campaign*.

    The ledger owns its rows, the throttle what may go out now, the pool what is under way;
    the stop rules and the health of the push services make it stop by itself.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        campaign: Campaign,
        now: Millis,
        options: Options,
        stop: Stop,
    ) -> None:
        self._config, self._options, self._stop = config, options, stop
        self._clock = Clock(now)
        self._postbox = open_postbox(config, str(campaign.id))
        template = Template.from_sources(campaign.template, campaign.sources)
        names = template.segments
        self._renderer = Renderer(
            campaign,
            template,
            config,
            frozenset(self._postbox.keys),
            segments=find_segments(store, config, names, now) if names else None,
            extras=context.make_loader(store, config, campaign),
        )
        policy = contact_policy.watch(store, config, campaign, now)
        brief = not self._renderer.reads_persons
        self._ledger = Ledger(store, config, campaign, policy, brief=brief)
        self._goals = goals.watch(store, config, campaign, self._postbox.withheld)
        # A trigger's messages and those of hours go on with the other services.
        is_step = store.triggers.get_trigger(campaign.id) is not None
        lasts = is_step or "over" in campaign.options
        self._throttle = Throttle(
            self._load_origins(store, now),
            origin_rate=config.push.rate,
            campaign_rate=campaign.options.get("rate"),
            rates=self._postbox.journal / "rates",
            now=now,
            again=AGAIN if lasts else None,
            standstill=int(self._postbox.standstill * units.SECOND),
        )
        self._outages = Outages(store, config, self._throttle)
        self._health = OriginHealth(store, campaign, self._throttle, options.accept_mass_gone)
        self._stop_rules = StopRules(store, campaign, self._postbox.keys.keys())
        self._report = Report(campaign)
        self._pool: Pool

    def _load_origins(self, store: Store, now: Millis) -> dict[str, Origin]:
        """Return what earlier runs left; by hand, what was out of reach is tried at once."""
        origins = {it.origin: it for it in store.origins.list_all()}
        if not self._options.unattended:
            for name, it in origins.items():
                if it.unreached_since is not None:
                    origins[name] = it._replace(paused_until=now, unreached_since=now)
        return origins

    def run(self) -> Report:
        """Send the due rows; return the report."""
        postbox, now = self._postbox, self._clock.now()
        self._stop.file = postbox.stop
        self._stop.withdraw()
        settled = self._ledger.settle(postbox, now)
        self._report.settled = settled
        self._report.sent.update({"in_doubt": settled} if settled else {})
        count = self._ledger.begin(now)
        if not self._options.unattended:
            self._ledger.hasten([None], now)
        log.note("send", "started", campaign=self._report.campaign.name, waiting=count)
        self._health.begin(now)
        if count:
            recovery.write_marker(postbox.journal, postbox.run)
            with collect_rarely(), self._open_pool(count) as self._pool:
                try:
                    while self._turn():
                        pass
                except Exception as error:
                    log.note("send", "failed", level=logging.ERROR, reason=str(error))
                    raise
                finally:
                    self._empty_pool()
        recovery.remove_marker(postbox.journal, postbox.run)
        return self._finish()

    def _open_pool(self, count: int) -> Pool:
        goals = self._goals
        look = None if goals is None else partial(goals.look_while_sending, self._ledger.rows)
        if self._config.cluster.scheduler is not None and count > pool.FEW:
            from pushctl.jobs.delivery.pools.cluster import ClusterPool  # at need: few have one

            leases = self._ledger.open_leases(self._config.cluster.lease)
            return ClusterPool(self._config, self._postbox, leases)
        recipe = None if self._renderer.needs_database else self._make_recipe()
        return open_pool(self._config, self._postbox, count, look, recipe, self._clock.now)

    def _make_recipe(self) -> Recipe:
        config, keys = self._config, frozenset(self._postbox.keys)
        return Recipe(self._report.campaign, config.sites, keys, config.secret())

    def _turn(self) -> bool:
        """Do all that can be done now; return whether there is more to do."""
        if not self._may_go_on():
            return False
        now = self._clock.now()
        informed = self._knows_goals(now)
        if informed:
            self._submit(now)
            self._exchange(Returned(), now)
            self._submit(now)
        if self._pool.busy:
            returned = self._pool.poll(self._patience(now))
            self._exchange(returned, self._clock.now())
            if returned.fault is not None:
                raise returned.fault
            return True
        if not informed:
            return True
        if self._throttle.waiting:
            self._stop.wait(self._throttle.seconds_to_wait(now))
            return True
        if self._throttle.has_stopped_all():
            return False
        # Of a claim nobody may be left to send to; behind it there are others.
        return self._ledger.has_more or self._await_next(now)

    def _knows_goals(self, now: Millis) -> bool:
        """
        Take out what waits here for people who got there meanwhile.

        Return whether all that came was read: else nothing is begun yet.
        """
        if self._goals is None:
            return True
        self._goals.look(self._ledger.rows)
        if new := self._goals.take_new():
            self._leave_out_reached(self._throttle.leave_out(new), self._goals.reached, now)
        return self._goals.whole

    def _leave_out_reached(
        self, rows: Sequence[RenderedRow], reached: Mapping[int, str], now: Millis
    ) -> Sequence[RenderedRow]:
        """End those of *rows* that are *reached*, each with its reason; return the others."""
        numbers = (row.letter.delivery for row in rows)
        ended = [
            UnrenderedRow(it, "skipped", reached[it], goals.find_cause(reached[it]))
            for it in numbers
            if it in reached
        ]
        if not ended:
            return rows
        self._end(ended, now)
        return [row for row in rows if row.letter.delivery not in reached]

    def _end(self, rows: Sequence[UnrenderedRow], now: Millis) -> None:
        """End claimed rows that get no message."""
        self._ledger.reject(rows, now)
        self._tell_ended(rows)

    def _tell_ended(self, rows: Sequence[UnrenderedRow]) -> None:
        self._report.sent.update(row.status for row in rows)
        self._options.progress(len(rows))

    def _may_go_on(self) -> bool:
        limit = self._options.seconds
        late = limit and self._clock.elapsed() > limit
        return not (self._stop.asked or late) and self._ledger.is_running()

    def _patience(self, now: Millis) -> float:
        """Return the seconds to wait for outcomes before something else may be due."""
        waiting = self._throttle.waiting
        return min(POLL, self._throttle.seconds_to_wait(now)) if waiting else POLL

    def _await_next(self, now: Millis) -> bool:
        """Wait for the next row that becomes due, if that is soon."""
        count, first = self._ledger.count_waiting(now)
        if count == 0 or first is None or (first - now) / 1000 > self._options.patience:
            return False
        if first - now > 1000:
            self._options.tell(f"{count:,} to be tried again, in {(first - now) // 1000} s")
        self._stop.wait((first - now) / 1000)
        return True

    def _finish(self) -> Report:
        now, report = self._clock.now(), self._report
        report.notes += [*self._health.conclude(now), *self._ledger.find_shortage(now)]
        report.refused = report.refused or self._health.refused
        report.interrupted = self._stop.asked
        waiting, first = self._ledger.count_waiting(now)
        pause = None
        if waiting and report.interrupted and not (self._options.unattended or self._stop.left):
            pause = "stopped by hand"
        if waiting and self._health.refused and self._throttle.again is None:
            pause = self._health.refused
        report.campaign = self._ledger.end(pause, now)
        if report.campaign.status is not CampaignStatus.CANCELLED:
            report.waiting, report.next_due = waiting, first
            report.unreached = self._outages.describe() if waiting else None
        self._stop_rules.keep(report.campaign.status is CampaignStatus.RUNNING)
        log.note(
            "send",
            "ended",
            campaign=report.campaign.name,
            status=report.campaign.status.value,
            reason=pause,
            counts=dict(report.sent),
            seconds=self._clock.elapsed(),
            waiting=report.waiting,
        )
        return report

    def _submit(self, now: Millis) -> None:
        """Submit the letters that may go out now."""
        while self._pool.free:
            chunk = self._throttle.take(CHUNK, self._clock.now(), self._pool.careful)
            if not chunk:
                return
            self._pool.submit([row.letter for row in chunk])

    def _exchange(self, returned: Returned, now: Millis, *, claims: bool = True) -> None:
        """Write what came back and claim the next rows, in one transaction."""
        rows, outcomes = self._ledger.rows, returned.outcomes
        unsent: Sequence[RenderedRow] = [rows[it.delivery] for it in returned.unsent]
        self._throttle.take_back(map(rows.__getitem__, map(_delivery, outcomes)))
        self._throttle.take_back(unsent)
        if self._goals is not None:
            unsent = self._leave_out_reached(unsent, self._goals.reached, now)
        self._throttle.add(unsent, now, again=True)
        room = self._room(len(outcomes)) if claims else 0
        if outcomes or room > 0 or self._throttle.has_to_release(now):
            self._render(self._write(outcomes, room, now), now)
        if returned.unwritten:
            self._write_here(returned.unwritten, now)
        returned.discard()

    def _room(self, answered: int) -> int:
        """Return how many rows to claim in the transaction that writes the *answered* ones."""
        room = self._pool.window - len(self._ledger.rows) + answered
        idle = answered and self._throttle.under_way < CHUNK
        if self._throttle.waiting and (idle or room < CLAIM // 2):
            return 0  # what waits goes out first; few large claims cost less than many
        # A run that waits for the next row claims none before its time.
        wanted = self._throttle.room() if self._options.patience else None
        return room if wanted is None else min(room, wanted)

    def _write(self, outcomes: Sequence[Outcome], room: int, now: Millis) -> list[ClaimedRow]:
        """Write *outcomes*, and claim up to *room* rows; return those."""
        batch = OutcomeBatch(now, self._health.is_about_one, self._outages)
        batch.add(outcomes, self._ledger.rows, self._throttle)
        changed = self._outages.leave_out_unproved(batch.update_lanes(self._throttle))
        self._pool.hold(self._throttle.find_closed(now))
        with self._ledger.transaction() as store:
            batch.write_rows(store)
            self._health.review(changed, batch.gone, now)
            batch.write_subscriptions(store, self._health.spared)
            self._ledger.release(self._throttle.release(now), now)
            if batch.reached:
                self._ledger.hasten(batch.reached, now)
            self._apply_stop_rules(batch, now)
            rows = self._ledger.claim(room, now) if room > 0 and self._may_go_on() else []
        if self._ledger.ran_out is not None:
            self._report.notes.append(f"Paused: {self._ledger.ran_out}.")
            self._ledger.ran_out = None
        self._ledger.forget(outcomes)
        self._tell_ended(self._ledger.take_left_out())
        self._report.sent.update(batch.tally)
        self._options.progress(batch.ended)
        return rows

    def _apply_stop_rules(self, batch: OutcomeBatch, now: Millis) -> None:
        if (why := self._stop_rules.judge(batch)) is not None:
            self._report.notes.append(f"Paused: {why}.")
            self._pause(why, now)
        if batch.ours is not None:
            self._report.refused = why

    def _pause(self, why: str, now: Millis) -> None:
        name = self._report.campaign.name
        log.note("send", "paused", level=logging.WARNING, campaign=name, reason=why)
        self._ledger.pause(why, now)

    def _render(self, claimed: Sequence[ClaimedRow], now: Millis) -> None:
        """Put letters of *claimed* into the throttle; end rows that get none."""
        if not claimed:
            return
        # The first letters show, before anything is sent, whether the template works at all.
        prepares = self._pool.writes and self._stop_rules.has_rendered
        make = self._renderer.prepare if prepares else self._renderer.render
        self._take_rendered(*make(claimed, now), now)

    def _write_here(self, numbers: Sequence[int], now: Millis) -> None:
        """Write letters of rows for which a worker has none: here the reason is found."""
        rows = [self._ledger.rows[number] for number in numbers]
        self._throttle.take_back(rows)
        claimed = [row.letter for row in rows if isinstance(row.letter, ClaimedRow)]
        self._take_rendered(*self._renderer.render(claimed, now), now)

    def _take_rendered(
        self, rows: Sequence[RenderedRow], unrendered: Sequence[UnrenderedRow], now: Millis
    ) -> None:
        if foreign := [row.letter.delivery for row in rows if row.foreign]:
            with self._ledger.transaction() as store:  # before they leave: a crash keeps it
                store.deliveries.note_foreign(foreign)
        ready: Sequence[RenderedRow] = rows
        if self._goals is not None:
            ready = self._leave_out_reached(rows, self._goals.find(rows), now)
        self._throttle.add(ready, now)
        self._ledger.add(ready)
        fault = self._stop_rules.judge_rendering(len(rows), unrendered)
        if fault is not None:
            with self._ledger.transaction():
                self._ledger.release((ReleasedRow(row.id) for row in unrendered), now)
                self._pause(unrendered[0].reason, now)
            raise fault
        if unrendered:
            self._end(unrendered, now)

    def _empty_pool(self) -> None:
        """Begin nothing more; write what still comes back, and release all other rows."""
        if self._pool.busy:
            self._stop.halt()
        self._pool.close()
        deadline = read_seconds() + GRACE
        # A second signal may come at any moment in here.
        with suppress(KeyboardInterrupt):
            while self._pool.busy and read_seconds() < deadline and not self._stop.hurry:
                self._write_back(self._pool.poll(POLL))
        if self._pool.busy:
            self._pool.terminate()
        self._write_back(self._pool.poll(0.0))
        self._stop.withdraw()
        if self._goals is not None:
            self._goals.withdraw()
        if self._stop.hurry:
            # Only the journal has the outcomes of what this process itself sent.
            now = self._clock.now()
            self._ledger.settle(self._postbox, now)
            if not self._options.unattended:
                self._pause("stopped by hand", now)
            raise KeyboardInterrupt

    def _write_back(self, returned: Returned) -> None:
        """Write what came back, and release the rows that were not sent."""
        now = self._clock.now()
        self._exchange(returned, now, claims=False)
        with self._ledger.transaction():
            self._ledger.release(self._throttle.drain(), now)

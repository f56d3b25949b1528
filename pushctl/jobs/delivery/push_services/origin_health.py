"""
The health of the push services: pauses that they ask for, and mass gone.

Where too many subscriptions of a service are gone at once, none is deleted.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pushctl import log
from pushctl.jobs.delivery.push_services.throttle import Throttle, log_lane
from pushctl.jobs.delivery.types import LaneKey, RenderedRow
from pushctl.model import Campaign, Cause, Millis, Outcome, SubscriptionState
from pushctl.rules.delivery import answers, stop_thresholds
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.health import Answered

MASS_GONE = "too many subscriptions are gone at once"

# A service that accepted a message this recently, in an earlier run, accepts our key.
TAKING: Millis = 7 * DAY

# The answers of earlier runs of a campaign count for this long: one that is spread over
# hours, or a trigger's, gets few answers in each run.
LOOK_BACK: Millis = DAY


class OriginHealth:
    def __init__(
        self, store: Store, campaign: Campaign, throttle: Throttle, accept_mass_gone: bool
    ) -> None:
        self._store, self._campaign, self._throttle = store, campaign, throttle
        self._trusted: set[str] = set()  # origins where many gone are usual
        self._accept = accept_mass_gone
        self._since: Millis = 0  # earlier runs count from then on
        self._began: Millis = 0
        # In earlier runs, by origin: how many were gone, how many accepted.
        self._before: dict[str, tuple[int, int]] = {}
        # Gone and never reached before, by origin: possibly made up.
        self._newcomers: Counter[str] = Counter()
        self._taking: set[LaneKey] = set()
        self._own: Counter[LaneKey] = Counter()  # see ``is_about_one``
        self.spared: set[str] = set()  # origins where no subscription is made gone any more
        self.refused: str | None = None
        self.notes: dict[str, str] = {}  # by origin, the latest

    def begin(self, now: Millis) -> None:
        """Begin the run: the ledger's answers up to *now* are those of earlier runs."""
        key = f"campaign.{self._campaign.id}.gone_accepted"
        if self._accept:
            # A person confirms them: subscriptions that ``_judge`` has spared become gone.
            spared = self._store.health.list_spared(self._campaign.id)
            self._mark(spared, SubscriptionState.GONE, "mass gone", now)
            self._store.meta.set(key, str(now + LOOK_BACK))
        # The confirmation holds for the retries too, in whichever run.
        accepted = int(self._store.meta.get(key) or 0)
        self._accept = self._accept or now < accepted <= now + LOOK_BACK
        self._began, self._since = now, max(now - LOOK_BACK, accepted)
        self._taking = self._store.origins.list_accepting(now - TAKING, now)

    def is_about_one(self, outcome: Outcome, row: RenderedRow) -> bool:
        """
        Return whether *outcome* is about its subscription alone, neither us nor the service.

        Anybody can send the receiver a subscription made with another key, or a made-up
        endpoint; a few of those in a row must not stop the messages to all others. Many of
        them, while nothing is accepted, are a fault like any other.
        """
        if row.lane not in self._taking or not answers.is_about_one(outcome):
            return False
        few = self._own[row.lane] < stop_thresholds.FEW_GONE
        if not (few or self._throttle.load_lane(row.lane, self._began).accepted):
            return False
        own = bool(self._store.health.count_newcomers([row.subscription]))
        self._own[row.lane] += own
        return own

    def review(
        self,
        changed: Iterable[LaneKey],
        gone: Mapping[LaneKey, Sequence[Answered]],
        now: Millis,
    ) -> None:
        """
        Act on lanes that *changed* and on subscriptions that are *gone*.

        *gone* has those of each lane. Their deliveries are already written;
        the subscriptions are not.
        """
        for key in changed:
            lane = self._throttle.lanes[key]
            log_lane(key, lane, now)
            if lane.stopped:
                self.refused = f"{_name_host(key[0])} {lane.why}"
                self.notes[key[0]] = f"{self.refused}. Nobody was deleted."
            else:
                if lane.why and not lane.unreached_since:
                    self.notes[key[0]] = f"{_name_host(key[0])} {lane.why}"
                self._store.origins.save(
                    key[0],
                    paused_until=lane.hold_until,
                    reason=lane.why,
                    rate=lane.rate,
                    probing=lane.probing,
                    unreached_since=lane.unreached_since or None,
                    now=now,
                )
        if not self._accept:
            for (origin, _), people in gone.items():
                rows = [one.id for one in people]
                self._newcomers[origin] += self._store.health.count_newcomers(rows)
        for origin in {key[0] for key in gone}:
            if origin in self.spared:
                self._throttle.stop(origin, MASS_GONE)  # also for a key met since then
            elif not self._accept and origin not in self._trusted:
                self._judge(origin, now)

    def conclude(self, now: Millis) -> list[str]:
        """End the run; return notes for people."""
        notes = []
        lanes = self._throttle.lanes.items()
        self._store.origins.mark_accepting((key for key, lane in lanes if lane.accepted), now)
        for key, lane in lanes:
            if lane.recent and not lane.stopped and not lane.recent.strip("r"):
                self.notes[key[0]] = (
                    f"{_name_host(key[0])} {lane.why}: all that it got, {lane.answered:,}. "
                    "They are tried again; nobody was deleted."
                )
        for origin, count in self._newcomers.items():
            if count > stop_thresholds.FEW_GONE and origin not in self.spared:
                notes.append(
                    f"{_name_host(origin)}: {count:,} are gone that came by themselves and "
                    "never took a message. Somebody may be making subscriptions up: see "
                    "docs/receiver.md."
                )
        return [*self.notes.values(), *notes]

    def _judge(self, origin: str, now: Millis) -> None:
        gone, accepted = self._count_earlier(origin)
        answered = gone + accepted
        newcomers = self._newcomers[origin]
        for key, lane in self._throttle.lanes.items():
            if key[0] == origin:
                gone, answered = gone + lane.gone, answered + lane.answered
        if not stop_thresholds.has_suspicious_share(gone, answered):
            return
        others = (gone - newcomers, answered - newcomers)
        if newcomers and not stop_thresholds.has_suspicious_share(*others):
            # Or strangers could stop a shop's campaigns. Subscriptions that took a message
            # before show that the service works.
            takers = self._store.health.count_takers(
                self._campaign.id, origin, stop_thresholds.TELLING
            )
            if takers >= stop_thresholds.TELLING:
                return
        usual = self._store.health.compute_gone_share(origin, self._campaign.id)
        if usual is not None and usual >= stop_thresholds.USUALLY_GONE:
            self._trusted.add(origin)
            return
        self.spared.add(origin)
        self._throttle.stop(origin, MASS_GONE)
        back = self._store.health.list_gone(self._campaign.id, origin, self._since)
        self._mark(back, SubscriptionState.ACTIVE, "too many were gone at once", now)
        known = "never met before" if usual is None else f"{usual:.1%} before"
        self.refused = f"{_name_host(origin)}: {gone:,} of {answered:,} are gone ({known})"
        log.note(
            "send",
            "mass gone",
            level=logging.WARNING,
            host=_name_host(origin),
            reason=self.refused,
        )
        self.notes[origin] = (
            f"{self.refused}. That may be a fault on either side, so nobody is deleted and "
            "this service waits. If it is right, go on with: pushctl campaigns resume "
            f"{self._campaign.name!r} --accept-mass-gone"
        )

    def _mark(
        self, subscriptions: Sequence[int], state: SubscriptionState, reason: str, now: Millis
    ) -> None:
        self._store.subscriptions.mark(subscriptions, state, reason, now, Cause.MASS_GONE)

    def _count_earlier(self, origin: str) -> tuple[int, int]:
        if origin not in self._before:
            gone, accepted = self._store.health.find_lately_gone(
                self._campaign.id, origin, self._since, self._began
            )
            self._before[origin] = len(gone), accepted
            self._newcomers[origin] += self._store.health.count_newcomers(gone)
        return self._before[origin]


def _name_host(origin: str) -> str:
    return origin.removeprefix("https://")

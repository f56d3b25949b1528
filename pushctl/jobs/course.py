"""
What a push service's behaviour means for everybody on it.

Writes down who asked us to wait, stops deleting where too many are suddenly gone, and
collects what a person has to know.
"""

from collections.abc import Collection, Iterable

from pushctl.jobs.letters import LaneKey
from pushctl.jobs.traffic import Traffic
from pushctl.model import Campaign, Millis, SubscriptionState
from pushctl.rules import policy
from pushctl.store import Store

MASS_GONE = "too many subscriptions are gone at once"
SPARED = "too many were gone at once"  # why somebody is active again


class Course:
    def __init__(
        self, store: Store, campaign: Campaign, traffic: Traffic, accept_mass_gone: bool
    ) -> None:
        self._store, self._campaign, self._traffic = store, campaign, traffic
        self._trusted: set[str] = set()  # origins whose many gone are nothing unusual
        self._accept = accept_mass_gone
        self.spared: set[str] = set()  # origins where nobody is made gone any more
        self.refused: str | None = None
        self.notes: dict[str, str] = {}  # by origin, the latest

    def accept(self, now: Millis) -> None:
        """A person says that they are gone: make them so whom ``_judge`` has spared."""
        spared = self._store.deliveries.spared(self._campaign.id, SPARED)
        self._store.subscriptions.mark(spared, SubscriptionState.GONE, "mass gone", now)

    def review(
        self, changed: Iterable[LaneKey], gone: Collection[LaneKey], now: Millis
    ) -> None:
        """Act on lanes that *changed* and those with answers *gone*, before all is written."""
        for key in changed:
            lane = self._traffic.lanes[key]
            if lane.stopped:
                self.refused = f"{_host(key)} {lane.why}"
                self.notes[key[0]] = f"{self.refused}. Nobody was deleted."
            else:
                self.notes[key[0]] = f"{_host(key)} {lane.why}"
                self._remember(key, now)
        for key in gone:
            if not self._accept and key[0] not in self._trusted | self.spared:
                self._judge(key, now)

    def _remember(self, key: LaneKey, now: Millis) -> None:
        lane = self._traffic.lanes[key]
        self._store.origins.note(
            key[0], paused_until=lane.hold_until, reason=lane.why, rate=lane.rate, now=now
        )

    def _judge(self, key: LaneKey, now: Millis) -> None:
        lane = self._traffic.lanes[key]
        if not policy.suspiciously_gone(lane):
            return
        usual = self._store.deliveries.gone_share(key[0], self._campaign.id)
        if usual is not None and usual >= policy.USUALLY_GONE:
            self._trusted.add(key[0])
            return
        self.spared.add(key[0])
        self._traffic.stop(key, MASS_GONE)
        back = self._store.deliveries.found_gone(self._campaign.id, key[0])
        self._store.subscriptions.mark(back, SubscriptionState.ACTIVE, SPARED, now)
        known = "never met before" if usual is None else f"{usual:.1%} before"
        self.refused = f"{_host(key)}: {lane.gone:,} of {lane.answered:,} are gone ({known})"
        self.notes[key[0]] = (
            f"{self.refused}. That may be a fault on either side, so nobody is deleted and "
            "this service waits. If it is right, go on with: pushctl campaigns resume "
            f"{self._campaign.name!r} --accept-mass-gone"
        )


def _host(key: LaneKey) -> str:
    return key[0].removeprefix("https://")

"""A campaign under way: how far it is, how fast each push service takes it, how long yet."""

from collections import Counter
from dataclasses import dataclass
from datetime import tzinfo

from pushctl.model import Campaign, CampaignStatus, Millis
from pushctl.rules import timing, units
from pushctl.store import Store
from pushctl.store.progress import Progress as Rows
from pushctl.store.progress import Sent

# Rates are of this long: longer than a batch, shorter than what a throttle changes.
_LATELY: Millis = 30 * units.SECOND
_UNKNOWN_SPAN: Millis = units.SECOND  # of what was answered within one moment

_WAITING = ("planned", "sending")
_FAILED = ("gone", "rejected", "expired")


@dataclass(frozen=True, slots=True)
class Service:
    """A push service: messages a second lately, refused ones among them, why it waits."""

    host: str
    per_second: float
    refused: int
    note: str


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far *campaign* is; all counts are messages.

    *per_second* is of the last half minute, None before anything was accepted in it;
    *seconds_left* None where that is unknown. *next_at*: when the next one becomes due,
    where none is now.
    """

    campaign: Campaign
    planned: int
    accepted: int
    failed: int
    skipped: int
    in_doubt: int
    waiting: int
    per_second: float | None
    seconds_left: float | None
    next_at: Millis | None
    services: tuple[Service, ...]

    @property
    def done(self) -> int:
        return self.planned - self.waiting

    @property
    def is_over(self) -> bool:
        return self.campaign.status in (CampaignStatus.FINISHED, CampaignStatus.CANCELLED)


def measure(store: Store, name: str, now: Millis) -> Progress:
    """Return how far the campaign *name* is; raises NotFoundError."""
    campaign = store.campaigns.get(name)
    rows = Rows(store)
    states = rows.count_states(campaign.id)
    waiting = rows.count_waiting(campaign.id, now)
    latest = rows.list_latest(campaign.id, now - _LATELY)
    services = _describe_services(store, latest, now)
    rate = sum(one.per_second for one in services) if latest else None
    open_rows = sum(states.get(name, 0) for name in _WAITING)
    # Whoever waits for an hour of theirs does not wait for us.
    due = waiting.due + states.get("sending", 0)
    left = due / rate if rate and due and campaign.status is CampaignStatus.RUNNING else None
    return Progress(
        campaign=campaign,
        planned=sum(states.values()),
        accepted=states.get("accepted", 0),
        failed=sum(states.get(name, 0) for name in _FAILED),
        skipped=states.get("skipped", 0),
        in_doubt=states.get("in_doubt", 0),
        waiting=open_rows,
        per_second=rate,
        seconds_left=left,
        next_at=None if due else waiting.next_at,
        services=services,
    )


def list_under_way(store: Store) -> list[Campaign]:
    """Return the campaigns that are running or paused with messages left, newest first."""
    going = (CampaignStatus.RUNNING, CampaignStatus.PAUSED)
    return [one for one in store.campaigns.list_newest() if one.status in going]


def _describe_services(store: Store, latest: list[Sent], now: Millis) -> tuple[Service, ...]:
    """Return the services that answered lately, or wait, the fastest first."""
    accepted = Counter(one.host for one in latest if one.accepted)
    refused = Counter(one.host for one in latest if not one.accepted)
    # A full sample is of less than the last half minute.
    first = min((one.at for one in latest), default=now)
    span = max(now - first, _UNKNOWN_SPAN) / units.SECOND
    notes = {
        one.origin.removeprefix("https://"): one.reason or "waits"
        for one in store.origins.list_all()
        if (one.paused_until or 0) > now
    }
    made = [
        Service(host, accepted[host] / span, refused[host], notes.get(host, ""))
        for host in {*accepted, *refused, *notes}
    ]
    return tuple(sorted(made, key=lambda one: (-one.per_second, one.host)))


def say_left(found: Progress, now: Millis, zone: tzinfo) -> str:
    """Return how long it takes yet, or why nobody knows."""
    if found.is_over:
        return found.campaign.status.value
    if found.campaign.status is CampaignStatus.PAUSED:
        return f"paused: {found.campaign.note}" if found.campaign.note else "paused"
    if found.seconds_left is not None:
        return f"about {timing.say(_round(found.seconds_left))} left"
    if found.next_at is not None:
        return f"the next is due at {timing.local(found.next_at, zone):%Y-%m-%d %H:%M}"
    return "nothing was accepted in the last half minute" if found.waiting else "done"


def _round(seconds: float) -> Millis:
    """Return *seconds* to the second, from a minute on to the minute, upwards."""
    step = units.SECOND if seconds < 60 else units.MINUTE
    return max(step, -int(-seconds * units.SECOND // step) * step)

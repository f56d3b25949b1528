"""
Judges many people at once by the contact policy: who gets nothing, who gets it later.

Loads a kind of facts by one query for all; rules/contact_policy.py decides. Broadcasts are
judged when they are planned, and once more when a row is claimed that had a time of its own
(jobs/delivery/claims/contact_policy.py); triggers' steps when they are due.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pushctl.config import Config
from pushctl.model import Cause, Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.compact_numbers import NumberMap, NumberSet
from pushctl.rules.contact_policy import CAP, ContactPolicy, Sunset, is_exempt
from pushctl.store import Store
from pushctl.store.recents import Receiver

PAGE = 20_000

GOES_FIRST = "another message goes first"

# Of a row of the ledger: its status, the reason and its cause.
Ended = tuple[str, str, Cause]
# Until when it waits, the reason and its cause.
Held = tuple[Millis, str, Cause]


@dataclass(slots=True)
class Judged:
    """What the contact policy says of a broadcast's receivers, by subscription."""

    without: NumberMap[Ended] = field(default_factory=NumberMap)
    held: NumberMap[Held] = field(default_factory=NumberMap)
    share: float | None = None  # of the control group; None: nobody was drawn
    unjudged: int = 0  # never report, or run a former service's worker: no sunset for them
    last: int = 0  # the newest delivery that was known
    judge: "Judge | None" = None  # who judged
    # When, of those that are being judged; who is not in it: now.
    due: Mapping[int, Millis] = field(default_factory=dict)

    @property
    def kept(self) -> float | None:
        """The probability with which the others are not in the control group."""
        return None if self.share is None else round(1 - self.share, 9)


@dataclass(frozen=True, slots=True)
class People:
    """Receivers, and what makes several subscriptions one person."""

    receivers: Sequence[Receiver]
    words: Mapping[int, str]  # by which all devices of a person draw the same lot
    devices: Mapping[int, tuple[int, ...]]  # all of a person's, where there are several


def load_people(
    store: Store, subscriptions: Sequence[int], shared: NumberSet | None = None
) -> People:
    """
    Return these subscriptions, with the persons that they belong to.

    *shared* are those whose persons may have several; None: it is looked up.
    """
    receivers = store.recents.list_receivers(subscriptions)
    words = {one.subscription: one.public_id for one in receivers}
    if shared is None:
        several = store.recents.find_shared(subscriptions)
    else:
        several = {one for one in words if one in shared} if shared else set()
    devices: dict[int, tuple[int, ...]] = {}
    persons: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for device in store.enrolments.list_devices(several) if several else ():
        persons[device.key].append((device.subscription, device.public_id))
    for known in persons.values():
        rows = tuple(sorted(row for row, _ in known))
        words |= dict.fromkeys(rows, min(known)[1])
        devices |= dict.fromkeys(rows, rows)
    return People(receivers, words, devices)


class Judge:
    """Judges the receivers of one broadcast; *campaign* is its row once it is frozen."""

    def __init__(
        self,
        store: Store,
        config: Config,
        options: Mapping[str, Json],
        now: Millis,
        campaign: int = 0,
    ) -> None:
        self._store, self._now, self._campaign = store, now, campaign
        found = ContactPolicy() if is_exempt(options) else config.contact_policy
        self.contact_policy = found
        self._zones = {name: site.timezone for name, site in config.sites.items()}
        self._is_capped = found.frequency is not None and not is_exempt(options, CAP)
        self._priority = int(options.get("priority", 0))
        self._priorities = {name: one.priority for name, one in config.triggers.items()}
        self._ends: dict[tuple[str | None, str, Millis], Millis] = {}
        self._exempt: frozenset[int] | None = None

    @property
    def is_needed(self) -> bool:
        """Whether pushctl.toml limits anything."""
        found = self.contact_policy
        return any((found.quiet, found.holdout, found.sunset, self._is_capped))

    def judge(self, receivers: Sequence[int], at: Sequence[Millis] = ()) -> Judged:
        """Judge *receivers*, each at the time of *at*; none: now."""
        judged = Judged(last=self._store.recents.get_last(), judge=self)
        for start, page, people, had in self._load(receivers):
            # Of a page: a dictionary of ten million takes a gigabyte.
            judged.due = dict(zip(page, at[start : start + PAGE], strict=True)) if at else {}
            self._hold_out(people, judged)
            self._set_sunset([one for one in page if one not in judged.without], judged)
            self._hold_in_quiet_hours(people, page, at[start : start + PAGE], judged)
            self._cap(people, had, judged)
        judged.due = {}
        return judged

    def renew(self, receivers: Sequence[int], judged: Judged, now: Millis) -> None:
        """Add to *judged* what has gone out since; it takes nothing back."""
        if not self._is_capped or judged.last == self._store.recents.get_last():
            return
        self._now = now
        for _, _, people, had in self._load(receivers):
            self._cap(people, had, judged)

    def _load(
        self, receivers: Sequence[int]
    ) -> Iterator[tuple[int, Sequence[int], People, "_Had | None"]]:
        """Yield pages of *receivers* with their place, and what all of them had lately."""
        many = len(receivers) > PAGE
        is_by_person = self._is_capped or self.contact_policy.holdout is not None
        shared = NumberSet()
        if many and is_by_person:
            shared = self._store.recents.find_all_shared()
        had = self._load_had(None) if many and self._is_capped else None
        for start in range(0, len(receivers), PAGE):
            page = receivers[start : start + PAGE]
            known = shared if many or not is_by_person else None
            yield start, page, load_people(self._store, page, known), had

    def find_quiet_end(self, timezone: str | None, site: str, at: Millis) -> Millis:
        """Return the end of somebody's quiet hours, or *at* where they are outside."""
        quiet = self.contact_policy.quiet.get(site)
        if quiet is None:
            return at
        key = (timezone, site, at)
        found = self._ends.get(key)
        if found is None:
            zone = timing.zone(timezone, self._zones.get(site, "UTC"))
            if len(self._ends) > 100_000:  # each person has a time of their own
                self._ends.clear()
            found = self._ends[key] = quiet.find_end(at, zone)
        return found

    def describe_quiet(self, site: str) -> str:
        return f"quiet hours {self.contact_policy.quiet[site]}"

    def refuse(self, subscriptions: Sequence[int], now: Millis) -> Judged:
        """Judge rows that are claimed at *now*: cap, spacing and sunset."""
        self._now = now
        judged = Judged()
        self._set_sunset(subscriptions, judged)
        if self._is_capped:
            left = [one for one in subscriptions if one not in judged.without]
            people = load_people(self._store, left)
            self._cap(people, self._load_had(people), judged)
        return judged

    def _hold_out(self, people: People, judged: Judged) -> None:
        holdout = self.contact_policy.holdout
        if holdout is None:
            return
        judged.share = holdout.share
        ended = ("skipped", holdout.describe(), Cause.HOLDOUT)
        for one in people.receivers:
            if holdout.has(people.words[one.subscription]):
                judged.without[one.subscription] = ended

    def _set_sunset(self, subscriptions: Sequence[int], judged: Judged) -> None:
        if self.contact_policy.sunset is None:
            return
        reasons, unjudged = find_sunset(
            self._store, self.contact_policy, subscriptions, self._now
        )
        judged.unjudged += unjudged
        for one, reason in reasons.items():
            judged.without[one] = ("skipped", reason, Cause.SUNSET)

    def _hold_in_quiet_hours(
        self, people: People, page: Sequence[int], at: Sequence[Millis], judged: Judged
    ) -> None:
        """Hold back whose message of *page* is due in their night; each *at* its time."""
        if not self.contact_policy.quiet:
            return
        times = dict(zip(page, at, strict=False))
        held: dict[tuple[str | None, str, Millis], Held | None] = {}
        for row, _, timezone, site in people.receivers:
            due = times.get(row, self._now)
            key = (timezone, site, due)
            if key not in held:
                end = self.find_quiet_end(timezone, site, due)
                why = self.describe_quiet(site) if end > due else ""
                held[key] = (end, why, Cause.QUIET_HOURS) if end > due else None
            if (waits := held[key]) is not None and row not in judged.without:
                judged.held[row] = waits

    def _cap(self, people: People, had: "_Had | None", judged: Judged) -> None:
        """Leave out who had enough; hold back who has just got, or is to get, a step."""
        frequency = self.contact_policy.frequency
        if frequency is None or not self._is_capped:
            return
        had = had or self._load_had(people)
        full = self._find_full(people, had)
        ended = ("skipped", frequency.describe(), Cause.FREQUENCY)
        for one in people.receivers:
            row = one.subscription
            if row in judged.without or row in judged.held:
                continue  # who is held has no place yet: it is judged when it is claimed
            if row in full:
                judged.without[row] = ended
            elif had.steps:
                until = had.find_step(people.devices.get(row, (row,)))
                # A message for later has a time of its own, and is never sent before it.
                if until > judged.due.get(row, 0):
                    judged.held[row] = (until, GOES_FIRST, Cause.FREQUENCY)

    def _load_had(self, people: People | None) -> "_Had":
        """Return what *people* had lately; None: what all have."""
        frequency = self.contact_policy.frequency
        assert frequency is not None
        store, now = self._store.recents, self._now
        if self._exempt is None:
            self._exempt = store.list_exempt()
        had = _Had(now - frequency.within, store.find_floor(now - frequency.within))
        if frequency.messages is not None and people is None:
            had.full = store.find_full(
                frequency.messages, had.since, had.floor, self._exempt, self._campaign
            )
        asked = people.words.keys() if people is not None else None
        spacing = frequency.spacing
        for step in store.list_steps(asked, now - spacing, now + spacing) if spacing else ():
            if not step.planned:
                until = max(step.at + spacing, now + units.MINUTE)
            elif self._priorities.get(step.trigger, 0) >= self._priority:
                until = now + max(spacing, units.MINUTE)
            else:
                continue
            had.steps[step.subscription] = max(until, had.steps.get(step.subscription, 0))
        return had

    def _find_full(self, people: People, had: "_Had") -> Collection[int]:
        """Return which of *people* had all messages that the cap allows."""
        frequency = self.contact_policy.frequency
        if frequency is None or frequency.messages is None:
            return ()
        asked = set(people.devices)
        if had.full is None:
            asked.update(one.subscription for one in people.receivers)
        went: dict[str, set[tuple[int, int]]] = defaultdict(set)
        rows = self._store.recents.list_went(
            asked, had.since, had.floor, self._exempt or (), self._campaign
        )
        for one in rows:
            # What went to several devices of a person is one message.
            went[people.words[one.subscription]].add((one.campaign, one.enrolment))
        full = {row for row in asked if len(went[people.words[row]]) >= frequency.messages}
        if had.full is not None:
            full |= {row for row in people.words if row in had.full and row not in asked}
        return full


@dataclass(slots=True)
class _Had:
    """What people had lately, within the time *since* of the frequency cap."""

    since: Millis
    floor: int  # before all deliveries of that time
    full: NumberSet | None = None  # who had enough; None: it is not known of all
    # by subscription: until when it waits for a trigger's message
    steps: dict[int, Millis] = field(default_factory=dict)

    def find_step(self, devices: Iterable[int]) -> Millis:
        return max((self.steps.get(one, 0) for one in devices), default=0)


def find_sunset(
    store: Store, contact_policy: ContactPolicy, subscriptions: Sequence[int], now: Millis
) -> tuple[Mapping[int, str], int]:
    """Return who gets no message now by the sunset rule, and how many can't be judged."""
    sunset = contact_policy.sunset
    if sunset is None:
        return {}, 0
    unshown, unjudged = load_unshown(store, sunset, subscriptions)
    judged = ((one, sunset.refuse(times, now)) for one, times in unshown.items())
    return {one: reason for one, reason in judged if reason}, unjudged


def load_unshown(
    store: Store, sunset: Sunset, subscriptions: Sequence[int]
) -> tuple[Mapping[int, Sequence[Millis]], int]:
    """
    Return when the messages went out that a browser has not shown, for ``Sunset.refuse``.

    Only of those that may have enough of them. The number: who can't be judged.
    """
    silent: list[int] = []
    unjudged: int = 0
    for page in _cut(subscriptions):
        asked = store.recents.find_silent(page, sunset.after)
        for one, is_mute in store.recents.find_unseen(asked, sunset.after):
            unjudged += is_mute
            if not is_mute:
                silent.append(one)
    besides = store.recents.list_unseen() if silent else frozenset[int]()
    times: dict[int, list[Millis]] = defaultdict(list)
    for page in _cut(silent):
        for one, at in store.recents.list_unshown(page, sunset.most, besides):
            times[one].append(at)
    return times, unjudged


def _cut(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), PAGE):
        yield rows[start : start + PAGE]

"""
Keeps a reminder from whoever got there meanwhile: bought, left, or did what ends the trigger.

A sweep has drained the inbox before it decided; what came since stands in the inbox, or in
the database if another program drains. Both are looked at before each claim, and many times
a second while letters are under way: those that were not begun are taken back.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pushctl.config import Config
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.jobs.ingest.unread import ERASED, PAUSED, UNSUBSCRIBED, Seen, Unread
from pushctl.model import Campaign, Cause
from pushctl.rules.shops import cart
from pushctl.rules.triggers.trigger import Trigger
from pushctl.store import Store
from pushctl.store.tracking import Stop

_CAUSES = {
    UNSUBSCRIBED: Cause.NOT_ACTIVE,
    ERASED: Cause.FORGOTTEN,
    PAUSED: Cause.PAUSED_BY_SUBSCRIBER,
}

EVERY = 0.05  # seconds between two looks


class Goals:
    """
    What has ended a trigger for people since this run began; *reached* are its rows.

    Who leaves or asks for a pause meanwhile is among them, on that one device.

    *withheld* is the file in which a pool finds the letters that it shall not begin.
    """

    def __init__(
        self, store: Store, config: Config, trigger: Trigger, withheld: Path | None
    ) -> None:
        self._store, self._trigger, self._withheld = store, trigger, withheld
        self._unread = Unread(store, config, trigger.stops)
        self._event = store.enrolments.get_last_taken()
        self._stops: frozenset[Stop] = frozenset()
        self._fault: Exception | None = None
        self._ends: dict[int, list[Seen]] = defaultdict(list)  # by subscription
        self._left = 0  # how many had left at the last look
        self._looked = -EVERY
        self.whole = False  # whether all that came was read: else nobody is claimed
        self.reached: dict[int, str] = {}  # delivery -> reason
        self._new: set[int] = set()  # of those, since take_new
        self.withdraw()

    def look(self, rows: Mapping[int, RenderedRow]) -> None:
        """Read what came since the last look; add those of *rows* that it ends."""
        if self._fault is not None:
            raise self._fault
        now = time.monotonic()
        if self.whole and now - self._looked < EVERY:
            return
        self._looked = now
        # In this order: what is drained in between is in the database then.
        found, self.whole = self._unread.look()
        self._event, taken = self._store.enrolments.list_ends(self._event, self._trigger.stops)
        listed = self._store.tracking.list_stops() if self._trigger.stops else ()
        stops = frozenset(one for one in listed if one.name in self._trigger.stops)
        found += (Seen(*one) for one in (*taken, *(stops - self._stops)))
        self._stops = stops
        left = len(self._unread.left)
        if found or left > self._left:
            self._left = left
            self._add(found)
            ended = self.find(rows.values())
            new = ended.keys() - self.reached.keys()
            self.reached.update(ended)
            self._new |= new
            self._withhold(new)

    def take_new(self) -> set[int]:
        """Return the rows in *reached* that came since the last call."""
        new, self._new = self._new, set()
        return new

    def look_while_sending(self, rows: Mapping[int, RenderedRow]) -> None:
        """Look, and keep an error for ``look``: what is under way has to be written first."""
        if self._fault is None:
            try:
                self.look(rows)
            except Exception as error:
                self._fault = error

    def find(self, rows: Iterable[RenderedRow]) -> dict[int, str]:
        """Return which of *rows* get no message any more, each with the reason."""
        found, asked = {}, {}
        for row in rows:
            if row.subscription in self._unread.left and not self._may_stay(row):
                found[row.letter.delivery] = self._unread.left[row.subscription]
            elif row.subscription in self._ends:
                asked[row.letter.delivery] = row
        entered = self._store.enrolments.list_entries(asked) if asked else {}
        for delivery, since in entered.items():
            names = {
                one.name for one in self._ends[asked[delivery].subscription] if one.at >= since
            }
            if names:
                found[delivery] = self._describe(names)
        return found

    def _may_stay(self, row: RenderedRow) -> bool:
        """Return whether a row of somebody in *left* goes out: no pause holds it back."""
        return self._trigger.transactional and self._unread.left[row.subscription] == PAUSED

    def withdraw(self) -> None:
        """Let pools begin all letters again."""
        if self._withheld is not None:
            self._withheld.unlink(missing_ok=True)

    def _add(self, found: Iterable[Seen]) -> None:
        """Add events to all subscriptions of their people."""
        events: dict[int, list[Seen]] = defaultdict(list)
        for one in found:
            events[one.subscription].append(one)
        people = defaultdict(list)
        for device in self._store.enrolments.list_devices(events):
            people[device.key].append(device.subscription)
        for devices in people.values():
            theirs = [one for each in devices for one in events.get(each, ())]
            for each in devices:
                self._ends[each] += theirs

    def _withhold(self, deliveries: Iterable[int]) -> None:
        lines = "".join(f"{one}\n" for one in deliveries)
        if lines and self._withheld is not None:
            # Without room for it no journal can be written either: that stops the pool.
            with suppress(OSError), self._withheld.open("a") as file:
                file.write(lines)

    def _describe(self, names: set[str]) -> str:
        if cart.PURCHASE in names:
            return "bought meanwhile"
        goal = self._trigger.goal
        if goal is not None and goal.event in names:
            return f"goal reached meanwhile: {goal.event}"
        return f"{min(names)} came meanwhile"


def find_cause(reason: str) -> Cause:
    """Return the cause of a reason in ``Goals.reached``."""
    return _CAUSES.get(reason, Cause.GOAL_REACHED)


def watch(
    store: Store, config: Config, campaign: Campaign, withheld: Path | None
) -> Goals | None:
    """Return the goals of a trigger's step; None for another campaign."""
    trigger = config.triggers.get(store.triggers.get_trigger(campaign.id) or "")
    if trigger is None:
        return None
    return Goals(store, config, trigger, withheld)

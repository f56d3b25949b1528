"""
What a sweep sends: reminders first, then the campaigns that are due, each under its lock.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pushctl.errors import BusyError, PushctlError
from pushctl.jobs.campaigns import recurring
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.types import PACED
from pushctl.jobs.triggers.enrolments import Walks
from pushctl.model import CampaignStatus
from pushctl.rules.triggers.enrolment import observe
from pushctl.rules.triggers.trigger import From, Kind, Trigger

# A sweep that sends a long broadcast makes room for the next one, which is a minute
# later: it has 15 s for what is still under way.
_SLICE = 40.0

# What a rate limit gives back comes due again in a moment: a sweep that left then would
# send two seconds' worth a minute.
_PATIENCE = 1.0 + PACED / 1000


class Dispatch:
    """The sending of one sweep: *sent* counts the outcomes of all campaigns."""

    def __init__(self, walks: Walks, began: float, deadline: float | None) -> None:
        self._walks, self._store, self._config = walks, walks.store, walks.config
        self._now = walks.now
        self._began, self._deadline = began, deadline
        self.sent: Counter[str] = Counter()
        self.refused: str | None = None  # what a push service has against us
        self.stopped = False  # by a signal: the next sweep goes on

    def reminders(self) -> None:
        """Send what triggers have due by what somebody did."""
        led = self._led()
        begun = {one.name for one in self._walks.triggers.values() if one.kind is Kind.EVENT}
        self._go_through([number for number, name in led.items() if name in begun], led)

    def everything(self) -> None:
        """Send all that is due, as far as the time allows."""
        self._walks.notes += recurring.carry_out(self._store, self._config, self._now)
        for number in self._store.schedules.due(self._now):
            self._store.campaigns.change(number, CampaignStatus.RUNNING, self._now)
        led = self._led()
        # Triggers first: a campaign is late less soon.
        self._go_through(sorted(led, key=lambda one: led[one] is None), led)

    def _led(self) -> dict[int, str | None]:
        """Return the campaigns that are due, each with the trigger that it is a step of."""
        return {
            number: self._store.triggers.leader(number)
            for number in self._store.deliveries.due_campaigns(self._now)
        }

    def _go_through(self, numbers: Iterable[int], led: Mapping[int, str | None]) -> None:
        for number in numbers:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._walks.notes.append("out of time: the next sweep goes on")
                break
            self._hold_for_the_night(number, self._walks.triggers.get(led[number] or ""))
            self._deliver(number)
            if self.stopped:
                break
        self._note_accepted()

    def _deliver(self, number: int) -> None:
        campaign = self._store.campaigns.by_id(number)
        options = deliver.Options(patience=_PATIENCE, seconds=self._seconds(), unattended=True)
        # What went before took its time, which a message hasn't left of its life.
        now = self._now + int((time.monotonic() - self._began) * 1000)
        try:
            report = deliver.run(self._store, self._config, campaign, now, options)
        except BusyError:
            return  # another process is sending it
        except PushctlError as error:
            self._walks.notes.append(f"{campaign.name}: {error}")
            return
        self.sent.update(report.sent)
        self.refused = self.refused or report.refused
        self.stopped = report.interrupted
        after = report.campaign
        if after.status is CampaignStatus.PAUSED and not report.refused:
            self._walks.notes.append(self._walks.held_up(after.name, after.note))

    def _seconds(self) -> float:
        """Return how long one campaign may keep the next minute's reminders waiting."""
        left = self._began + _SLICE - time.monotonic()
        if self._deadline is not None:
            left = min(left, self._deadline - time.monotonic())
        return max(left, 1.0)

    def _hold_for_the_night(self, number: int, trigger: Trigger | None) -> None:
        """
        Put off what waits where quiet hours have begun since it was decided.

        A second try comes minutes or hours after the first, and what a dead sweep planned
        when the machine is up again.
        """
        if trigger is None or trigger.quiet is None:
            return
        with self._store.write():
            held = []
            for row in self._store.schedules.waiting(number, self._now):
                zone = self._walks.zone_of(row.timezone, row.site)
                if trigger.quiet.holds(self._now, zone):
                    until = trigger.quiet.release(self._now, zone)
                    reason = f"quiet hours {trigger.quiet}"
                    held.append((until, reason, self._now, row.delivery))
                    self._walks.tally["hold"] += 1
                    self._walks.say(
                        trigger.name, row.subscription, row.enrolment, "hold", reason,
                        row.step, until,
                    )  # fmt: skip
            self._store.schedules.put_off(held)

    def _note_accepted(self) -> None:
        for trigger in self._counting_from_acceptance():
            with self._store.write():
                for number, step, at in self._store.enrolments.just_accepted(trigger.name):
                    walk = self._store.enrolments.get(number)
                    who = walk and self._store.enrolments.who(walk.subscription)
                    if walk and who:
                        zone = self._walks.zone(who)
                        seen = observe(trigger, walk, step, zone, accepted_at=at)
                        reason = f"step {step} was accepted"
                        self._store.enrolments.save([(seen, reason)], self._now)

    def _counting_from_acceptance(self) -> Iterator[Trigger]:
        for trigger in self._walks.triggers.values():
            if any(step.since is From.ACCEPTED for step in trigger.steps):
                yield trigger

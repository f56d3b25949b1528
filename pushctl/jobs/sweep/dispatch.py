"""Sends what a sweep has due: reminders first, then campaigns, each under its lock."""

from collections import Counter
from collections.abc import Iterable, Mapping

from pushctl import log
from pushctl.config import Config
from pushctl.errors import BusyError, PushctlError
from pushctl.jobs.campaigns import approvals, experiments, recurring
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.types import PACED
from pushctl.jobs.triggers.apply import apply, describe_paused
from pushctl.jobs.triggers.enrol import observe_steps
from pushctl.jobs.triggers.types import Run
from pushctl.model import CampaignStatus, Cause, Millis
from pushctl.rules.figures.experiments import decision as tests
from pushctl.rules.triggers.changes import Changes
from pushctl.rules.triggers.trigger import From, Kind, Trigger
from pushctl.store import clocks
from pushctl.store.faults import DATABASE_FAULTS, concerns_one

# A sweep that sends a long broadcast makes room for the next one, which is a minute
# later: it has 15 s for what is still under way.
_SLICE = 40.0

# What a rate limit gives back comes due again in a moment: a sweep that left then would
# send two seconds' worth a minute.
_PATIENCE = 1.0 + PACED / 1000


class Dispatch:
    """The sending of one sweep: *sent* counts the outcomes of all campaigns."""

    def __init__(self, run: Run, config: Config, began: float, deadline: float) -> None:
        self._run = run
        self._store = run.store
        self._config = config
        self._began = began
        self.deadline = deadline
        self.sent: Counter[str] = Counter()
        self.refused: str | None = None  # why a push service refuses us
        self.stopped = False  # by a signal: the next sweep goes on
        self.remarks: list[str] = []  # tests that were decided

    def send_urgent(self) -> None:
        """Send the messages that somebody waits for."""
        leaders = self.find_leaders()
        urgent = self._store.campaigns.list_urgent()
        self._go_through([number for number in urgent if number in leaders], leaders)

    def read_now(self) -> Millis:
        """Return the time by the sweep's own clock."""
        return self._run.now + int((clocks.read_seconds() - self._began) * 1000)

    def send_reminders(self) -> None:
        leaders, triggers = self.find_leaders(), self._run.settings.triggers
        begun = {name for name, one in triggers.items() if one.kind is Kind.EVENT}
        self._go_through([row for row, name in leaders.items() if name in begun], leaders)

    def begin_planned(self) -> None:
        """Begin the campaigns that were planned for now."""
        self._decide_tests()
        self.remarks += approvals.take_up(self._store, self._config, self._run.now)
        for note in recurring.carry_out(self._store, self._config, self._run.now):
            self._run.warn(note)
        for number in self._store.schedules.list_due(self._run.now):
            self._store.campaigns.change_status(number, CampaignStatus.RUNNING, self._run.now)

    def _decide_tests(self) -> None:
        """Decide the tests whose time has come; who waits for a winner is due then."""
        for one in self._store.experiments.list_due(self._run.now):
            try:
                decision = experiments.decide(self._store, one, self._run.now)
            except Exception as error:
                if not concerns_one(error):
                    raise
                self._run.leave_out(f"the test {one.name}", error)
                continue
            if decision is not None:
                said = experiments.describe(one, decision)
                is_odd = decision.cause is tests.Cause.SAMPLE_RATIO
                self._run.warn(said) if is_odd else self.remarks.append(said)

    def postpone_calls(self) -> None:
        """Put off calls on other channels where quiet hours have begun."""
        for number in self._store.deliveries.list_due_calls(self._run.now):
            name = self._store.triggers.get_trigger(number) or ""
            self.postpone_in_quiet_hours(number, self._run.settings.triggers.get(name))

    def send_everything(self) -> None:
        """Send all that is due, as far as the time allows."""
        self.begin_planned()
        leaders = self.find_leaders()
        # Triggers first: a campaign is late less soon.
        self._go_through(sorted(leaders, key=lambda one: leaders[one] is None), leaders)

    def find_leaders(self) -> dict[int, str | None]:
        """Return the campaigns that are due, each with the trigger that it is a step of."""
        return {
            number: self._store.triggers.get_trigger(number)
            for number in self._store.deliveries.list_due_campaigns(self._run.now)
        }

    def _go_through(self, numbers: Iterable[int], leaders: Mapping[int, str | None]) -> None:
        for number in numbers:
            if clocks.read_seconds() > self.deadline:
                self._run.warn("out of time: the next sweep goes on")
                break
            trigger = self._run.settings.triggers.get(leaders[number] or "")
            try:
                self.postpone_in_quiet_hours(number, trigger)
                self._deliver(number)
            except Exception as error:
                if not concerns_one(error):
                    raise
                self._run.leave_out(f"campaign {leaders[number] or number}", error)
            if self.stopped:
                break
        self.note_accepted()

    def _deliver(self, number: int) -> None:
        campaign = self._store.campaigns.get_by_id(number)
        # The next minute's reminders wait no longer than this for the campaign.
        seconds = max(min(self._began + _SLICE, self.deadline) - clocks.read_seconds(), 1.0)
        options = deliver.Options(patience=_PATIENCE, seconds=seconds, unattended=True)
        now = self.read_now()  # the campaigns before took some of a message's time to live
        try:
            report = deliver.run(self._store, self._config, campaign, now, options)
        except DATABASE_FAULTS:
            raise  # for all of them
        except BusyError:
            return  # another process is sending it
        except PushctlError as error:
            self._run.warn(
                f"{campaign.name}: {error}", "campaign failed", campaign=campaign.name
            )
            return
        self.sent.update(report.sent)
        self.refused = self.refused or report.refused
        self.stopped = report.interrupted
        after = report.campaign
        counts, status = dict(report.sent), str(after.status)
        log.note("sweep", "campaign sent", campaign=after.name, counts=counts, status=status)
        if after.cause is Cause.NEEDS_APPROVAL:
            self.remarks.append(f"{after.name} waits: {after.note}")
        elif after.status is CampaignStatus.PAUSED and not report.refused:
            self._run.warn(describe_paused(after.name, after.note))

    def postpone_in_quiet_hours(self, number: int, trigger: Trigger | None) -> None:
        """
        Put off messages where quiet hours have begun since they were decided.

        A second try comes minutes or hours after the first; the plans of a dead sweep wait
        until the machine is up again.
        """
        settings = self._run.settings
        if trigger is None or not (trigger.quiet or settings.by_site):
            return
        with self._store.write():
            held, changes = [], Changes(self._run.now)
            for row in self._store.schedules.list_waiting(number, self._run.now):
                quiet = settings.adapt(trigger, row.site).quiet
                zone = settings.zone(row.timezone, row.site)
                if quiet is not None and quiet.holds(self._run.now, zone):
                    until, reason = quiet.find_end(self._run.now, zone), f"quiet hours {quiet}"
                    held.append((until, reason, self._run.now, row.delivery))
                    changes.tally["hold"] += 1
                    changes.record(
                        trigger.name, row.subscription, row.enrolment, "hold", reason,
                        row.step, until,
                    )  # fmt: skip
            apply(self._run, changes)
            self._store.schedules.postpone(held)

    def note_accepted(self) -> None:
        """Note the acceptance of steps that the next ones count from."""
        triggers = [
            trigger.name
            for trigger in self._run.settings.triggers.values()
            if any(step.since is From.ACCEPTED for step in trigger.steps)
        ]
        if not triggers:
            return
        with self._store.write():
            steps = self._store.enrolments.list_accepted(triggers)
            observe_steps(self._run, steps, shown=False)

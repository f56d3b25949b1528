"""
New events -> enrolments: the events since the last sweep begin, restart or end them.

Events are taken in the order in which they were received, a batch and its cursor in one
transaction, so each is taken once.
"""

from collections.abc import Callable, Sequence

from pushctl.jobs.triggers import load_facts
from pushctl.jobs.triggers.apply import apply
from pushctl.jobs.triggers.isolate_faults import do_each
from pushctl.jobs.triggers.types import Run
from pushctl.model import Millis
from pushctl.rules.triggers.changes import Changes
from pushctl.rules.triggers.enrolling import Enrolling
from pushctl.rules.triggers.enrolment import Event, observe
from pushctl.rules.units import DAY

_BATCH = 500
_EVENTS, _SHOWN = "sweep.events", "sweep.shown"

# A first sweep begins here: what is older would be late for everything anyway.
_FIRST_LOOK_BACK: Millis = DAY

# What was told so long after it happened begins nothing: an import of last year's events.
MAX_LATE: Millis = DAY


def take_events(run: Run, enough: Callable[[], bool]) -> int:
    """Take the events since the last sweep until it is *enough*; return how many."""
    known = run.store.meta.get(_EVENTS)
    if known is None:
        known = str(run.store.triggers.find_first_event(run.now - _FIRST_LOOK_BACK))
        run.store.meta.set(_EVENTS, known)
    taken, position, stops = 0, int(known), run.settings.list_stops()
    while True:
        with run.store.write():
            events, last = run.store.enrolments.list_new_events(
                position, _BATCH, MAX_LATE, stops
            )
            if last == position:
                break
            _take(run, events)
            position = last
            run.store.meta.set(_EVENTS, str(position))
        taken += len(events)
        if enough():
            return taken
    take_stops(run)
    return taken


def take_stops(run: Run) -> None:
    """
    End reminders of people who bought something and must not be tracked.

    Once all events are taken: what those before it began ends, too. Then nothing is left of it.
    """
    stops = run.store.tracking.list_stops()
    for start in range(0, len(stops), _BATCH):
        with run.store.write():
            some = stops[start : start + _BATCH]
            events = [Event(0, one.subscription, one.name, one.at) for one in some]
            do_each(
                run.store,
                events,
                lambda them: _stop(run, them),
                lambda one, error: run.leave_out("a purchase that ends reminders", error),
            )
            run.store.tracking.delete_stops(some)


def _stop(run: Run, events: Sequence[Event]) -> None:
    enrolling = Enrolling(load_facts.load_stops(run, events))
    for event in events:
        enrolling.stop(event)
    apply(run, enrolling.changes)


def take_reports(run: Run) -> None:
    with run.store.write():
        position = int(run.store.meta.get(_SHOWN) or 0)
        last, shown = run.store.enrolments.list_shown(position)
        if last != position:
            observe_steps(run, shown, shown=True)
            run.store.meta.set(_SHOWN, str(last))


def observe_steps(run: Run, steps: Sequence[tuple[int, int, Millis]], *, shown: bool) -> None:
    """Note when messages were shown, else accepted: (enrolment, step, time)."""
    if steps:
        do_each(
            run.store,
            steps,
            lambda some: _observe(run, some, shown=shown),
            lambda one, error: run.leave_out(f"the report of enrolment {one[0]}", error),
        )


def _observe(run: Run, steps: Sequence[tuple[int, int, Millis]], *, shown: bool) -> None:
    changes = Changes(run.now)
    known = run.store.enrolments.get_many({row for row, _, _ in steps})
    people = load_facts.load_people(run, (one.subscription for one in known.values()))
    for row, step, at in steps:
        enrolment = known.get(row)
        trigger = run.settings.triggers.get(enrolment.trigger) if enrolment else None
        if enrolment is None or trigger is None:
            continue
        device = people.devices[enrolment.subscription]
        zone = run.settings.zone(device.timezone, device.site)
        times = {"shown_at" if shown else "accepted_at": at}
        seen = observe(trigger, enrolment, step, zone, **times)
        if seen != enrolment:
            reason = f"step {step} was {'shown' if shown else 'accepted'}"
            known[row] = seen
            changes.save(seen, reason)
            if shown:
                changes.record(trigger.name, seen.subscription, row, "shown", reason, step)
    apply(run, changes)


def _take(run: Run, events: Sequence[Event]) -> None:
    """Take events; one bad event from a stranger must not stop all sweeps."""

    def decide(some: Sequence[Event]) -> None:
        enrolling = Enrolling(load_facts.load_events(run, some))
        for event in some:
            enrolling.take(event)
        apply(run, enrolling.changes)

    def leave_out(event: Event, error: Exception) -> None:
        run.leave_out(f"event {event.id}", error)

    do_each(run.store, events, decide, leave_out)

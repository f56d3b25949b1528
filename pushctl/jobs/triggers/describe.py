"""Lists triggers, describes one in words, and rehearses it for one subscriber."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, PushctlError
from pushctl.jobs.triggers import holidays
from pushctl.jobs.triggers.load_facts import load_device, load_settings, load_unshown_of
from pushctl.jobs.triggers.types import Run
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import timing, units
from pushctl.rules.audience.expression import explain
from pushctl.rules.holidays import HolidayRule
from pushctl.rules.schedule import WEEKDAYS
from pushctl.rules.shops.promo_codes import mask
from pushctl.rules.timing import QuietHours
from pushctl.rules.triggers import entry, only
from pushctl.rules.triggers.enrolment import Event
from pushctl.rules.triggers.feed import Feed
from pushctl.rules.triggers.rehearsal import Happening, Rehearsal, play
from pushctl.rules.triggers.trigger import From, Kind, Step, Trigger
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.store.idle import NEXT_SCAN_KEY

# A rehearsal ends here: the longest drip is shorter.
REHEARSED: Millis = 400 * units.DAY

_PASSWORD = re.compile(r"//[^/?#]*@")


_COUNTED = ("active", "finished", "cancelled", "messages", "calls")


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    state: str  # on, paused; "basket/1 paused" where a step's campaign is
    starts: str
    steps: int
    active: int
    finished: int
    cancelled: int
    messages: int
    calls: int  # on other channels


def list_triggers(config: Config, store: Store) -> list[Line]:
    """Return every trigger of pushctl.toml with how many are enrolled in it."""
    counts, states, lines = store.triggers.load_counts(), find_states(store), []
    for name, trigger in config.triggers.items():
        known, start = counts.get(name, {}), describe_start(trigger)
        figures = (known.get(one, 0) for one in _COUNTED)
        lines.append(Line(name, states.get(name, "on"), start, len(trigger.steps), *figures))
    return lines


def find_states(store: Store) -> dict[str, str]:
    """Return why triggers don't send, by name: their own pause, or that of a step."""
    held = {name: ", ".join(steps) for name, steps in store.triggers.list_held_steps().items()}
    return held | dict.fromkeys(store.triggers.list_paused(), "paused")


def get_trigger(config: Config, name: str) -> Trigger:
    """Return the trigger called *name*; NotFoundError lists all names."""
    trigger: Trigger | None = config.triggers.get(name)
    if trigger is None:
        none = "none yet; docs/triggers.md shows how to write one"
        known = ", ".join(config.triggers) or none
        raise NotFoundError(f"no trigger is called {name!r}. In pushctl.toml: {known}.")
    return trigger


def check_name(config: Config, store: Store, name: str) -> None:
    """Raise NotFoundError unless *name* is a trigger, or was one and has its history."""
    if name not in config.triggers and name not in store.triggers.load_counts():
        get_trigger(config, name)


def pause(config: Config, store: Store, name: str, at: Millis | None) -> None:
    """Hold a trigger's enrolments from *at* on, or resume them (None)."""
    get_trigger(config, name)
    with store.write():
        store.triggers.set_paused(name, at)
        if at is None:
            # Today's birthdays: nobody looked for them while it was paused.
            store.meta.remove(NEXT_SCAN_KEY)


def describe_start(trigger: Trigger) -> str:
    """Return the cause of an enrolment in a few words."""
    if trigger.date is not None:
        when = "on" if not trigger.date.days else f"{trigger.date.days:+d} days from"
        return f"{when} the day in {trigger.date.attribute}, {trigger.date.at:%H:%M}"
    if trigger.holiday is not None:
        return _describe_holiday(trigger.holiday)
    if trigger.inactive is not None:
        return f"not seen for {timing.say(trigger.inactive)}"
    if trigger.feed is not None:
        return _describe_feed(trigger.feed)
    words = ", then ".join(trigger.on)
    words += "".join(f", or {one}" for one in sorted(trigger.also_on))
    if trigger.where:
        words += " where " + " and ".join(map(str, trigger.where))
    if trigger.unless:
        words += f", and not {' or '.join(sorted(trigger.unless))}"
    return words + (f", within {timing.say(trigger.within)}" if trigger.within else "")


def _describe_feed(feed: Feed) -> str:
    addresses = ", ".join(
        f"{f'{language}: ' if language else ''}{_PASSWORD.sub('//', address)}"
        for language, address in feed.addresses.items()
    )
    if feed.digest is None:
        most = f", at most {feed.most_a_day} a day" if feed.most_a_day else ""
        return f"a new item of {addresses}{most}"
    days = "day" if len(feed.digest.days) == 7 else ", ".join(
        WEEKDAYS[one] for one in sorted(feed.digest.days)
    )  # fmt: skip
    return f"what is new of {addresses}, every {days} {feed.digest.at:%H:%M}"


def describe_news(store: Store, trigger: Trigger, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """Yield what a digest has told last, and what waits for the next."""
    if trigger.feed is None or trigger.feed.digest is None:
        return
    at, told, waiting = store.feed_news.describe(trigger.name)
    last = "none yet"
    if at is not None:
        last = f"{timing.local(at, zone):%Y-%m-%d %H:%M}, {counted(told, 'item')}"
    yield "Last digest", last
    few = f"; fewer than {trigger.feed.digest.least} wait for the next"
    least = few if trigger.feed.digest.least > 1 else ""
    yield "Waiting", f"{counted(waiting, 'item')}{least}" if waiting else "nothing new"


def _describe_holiday(rule: HolidayRule) -> str:
    when = "on" if not rule.days else f"{rule.days:+d} days from"
    which = " or ".join(rule.names) or "a public holiday"
    besides = f", not {' or '.join(rule.besides)}" if rule.besides else ""
    return f"{when} {which} of their country{besides}, {rule.at:%H:%M}"


def _describe_quiet(config: Config, trigger: Trigger) -> str | None:
    if trigger.quiet is not None:
        return f"{trigger.quiet}, where the person is"
    if trigger.awake:
        return "none, whatever the site's are"
    hours = {str(hours) for hours in config.contact_policy.quiet.values()}
    if not hours or trigger.transactional:
        return None
    return f"the site's: {' or '.join(sorted(hours))}, where the person is"


def describe_step(step: Step, quiet: QuietHours | None = None) -> str:
    """Return in words when a step's message goes out, under its trigger's *quiet* hours."""
    night = ", quiet hours not counted" if quiet else ""
    tiers = [
        timing.say(tier.after) + (f" below {tier.below:g}" if tier.below is not None else "")
        for tier in step.after
    ]
    since = f"the previous step was {step.since}"
    if step.since is From.ENTERED:
        since = "it began"
    words = f"{' or '.join(tiers)} after {since}"
    if step.at is not None:
        words += f", at {step.at:%H:%M} there"
    if step.when:
        words += ", if " + " and ".join(map(str, step.when))
    return f"{words}; not more than {timing.say(step.max_late)} late{night}"


def describe_only(config: Config, trigger: Trigger, number: int) -> str:
    """Return in words for whom a step is, beside its time; nothing: for all."""
    step = trigger.steps[number - 1]
    agreed = f"; only with a consent to {step.consent}" if step.consent else ""
    if (asked := step.only) is None:
        return agreed
    try:
        asked = explain(only.read(trigger, number, config.segments))
    except PushctlError as error:
        asked = f"{asked} (can't be read: {error})"
    return f"{agreed}; only: {asked}"


def describe_trigger(
    config: Config, trigger: Trigger, state: str, pools: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield a trigger's settings as (title, value) for people; *state* as in the list."""
    yield "State", state
    yield "Begins with", describe_start(trigger)
    for number, step in enumerate(trigger.steps, 1):
        promo = ""
        if step.promo:
            own = f"a code of {step.promo}"
            promo = f", {own if step.promo in pools else f'code {mask(step.promo)}'}"
        when = describe_step(step, trigger.quiet) + describe_only(config, trigger, number)
        arms = f" in variants {', '.join(step.test.variants)}" if step.test.variants else ""
        yield f"Step {number}", f"{' or '.join(step.templates)}{arms}{promo}: {when}"
    if trigger.stops:
        yield "Stopped by", ", ".join(sorted(trigger.stops))
    if trigger.goal:
        within = timing.say(trigger.goal.within)
        yield "Goal", f"{trigger.goal.event} within {within} of the last message"
    again = "never" if trigger.reentry is None else f"after {timing.say(trigger.reentry)}"
    yield "Re-entry", again if trigger.reentry != 0 else "always"
    for title, value in (
        ("Audience", trigger.audience),
        ("Tag", trigger.tag),
        ("Quiet hours", _describe_quiet(config, trigger)),
        ("Control group", f"{trigger.holdout:.0%}" if trigger.holdout else None),
        ("Priority", str(trigger.priority) if trigger.priority else None),
        ("Frequency cap", "does not count here" if trigger.transactional else None),
    ):
        if value:
            yield title, value


def rehearse(
    config: Config,
    store: Store,
    name: str,
    who: Subscription,
    now: Millis,
    given: Mapping[str, Json],
    clicked: Collection[int] = (),
) -> Iterator[Happening]:
    """
    Yield what happens to *who* if trigger *name* begins at *now*, over virtual time.

    *given* are the properties of the event that begins it, *clicked* the steps whose messages
    they click. Nothing is written.
    """
    trigger = get_trigger(config, name)
    # The control group would get nothing: the test is about the messages.
    settings = load_settings(
        replace(config, triggers={name: replace(trigger, holdout=0.0)}), store
    )
    run = Run(store, settings, now)
    found = load_device(run, who.id)
    if found is None:
        return
    rehearsal = Rehearsal(*found, clicked=clicked, unshown=load_unshown_of(run, who.id))
    if trigger.kind is Kind.EVENT:
        last = len(trigger.on) - 1
        events = [
            Event(number, who.id, event, now - last + number, given if number == last else {})
            for number, event in enumerate(trigger.on)
        ]
        yield from play(rehearsal, events, now + REHEARSED)
        return
    zone = settings.zone(who.timezone, who.site)
    if trigger.holiday is not None:
        days, at = holidays.find_next(config, store, trigger, who, now)
        given = {**days.describe(who.language), **given}
    else:
        at = _find_start(trigger, who, zone, now)
    yield Happening(at, name, "entered", describe_start(trigger))
    event = Event(0, who.id, trigger.kind, at, given)
    fresh = entry.begin(trigger, event, who.public_id, zone, {"event": dict(given)})
    rehearsal.begin(trigger, fresh)
    yield from play(rehearsal, [], at + REHEARSED)


def _find_start(trigger: Trigger, who: Subscription, zone: tzinfo, now: Millis) -> Millis:
    if trigger.date is None:
        return now
    value = who.attributes.get(trigger.date.attribute)
    found = entry.date_occurrence(trigger.date, value, zone, now, now + 2 * REHEARSED)
    if found is None:
        raise InputError(
            f"{who.public_id} has no coming date in {trigger.date.attribute!r} (it holds "
            f"{value!r}). Choose somebody who has, written 1990-04-28."
        )
    return found[1]

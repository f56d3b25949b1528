"""
Reads [triggers.NAME] and [frequency] of pushctl.toml: tables in, values and faults out.

Nothing is guessed: an unknown key is a fault with the key that was probably suggest.
"""

from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Literal

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import conditions, limits, timing, units
from pushctl.rules.config import checks
from pushctl.rules.config.structure import Fault
from pushctl.rules.events import name_event
from pushctl.rules.timing import QuietHours
from pushctl.rules.triggers import step_tests
from pushctl.rules.triggers.starts import read_date, read_feed, read_holiday, read_kind
from pushctl.rules.triggers.tables import (
    Table,
    read_duration,
    read_flag,
    read_names,
    read_share,
    read_text,
    read_whole,
)
from pushctl.rules.triggers.trigger import (
    DEFAULT_MAX_LATE,
    Frequency,
    From,
    Goal,
    Step,
    Tier,
    Trigger,
)

_KEYS = frozenset(field.name for field in fields(Trigger) if field.name not in ("name", "kind"))
_KEYS |= {"digest", "most_a_day"}
_STEP_KEYS = frozenset(
    {*(field.name for field in fields(Step)), "from", "template", *step_tests.KEYS}
) - {"since", "test"}
_DEFAULT_GOAL_WITHIN = 7 * units.DAY


def parse(name: str, table: Mapping[str, Json]) -> tuple[Trigger | None, list[Fault]]:
    """
    Return the Trigger that *table* declares, or None, and the faults.

    jobs/triggers/lint checks templates, audiences and sites.
    """
    faults: list[Fault] = []
    read = Table(table, ("triggers", name), faults)
    if not isinstance(table, Mapping):
        read.blame("", "is not a table", f"Write [triggers.{name}] and its keys below.")
        return None, faults
    # "basket/1" is a step's campaign, so no name has a slash.
    if fault := checks.named((name, table)):
        read.blame("", *fault)
    read.only(_KEYS)
    kind = read_kind(read)
    steps = _steps(read)
    quiet = read.read("quiet", _quiet, None)
    trigger = Trigger(
        name=name,
        steps=steps,
        kind=kind,
        on=read.read("on", _events, ()),
        also_on=frozenset(read.read("also_on", _events, ())),
        where=read.read("where", _conditions, ()),
        unless=frozenset(read.read("unless", _events, ())),
        within=read.read("within", read_duration, None),
        cancel_on=frozenset(read.read("cancel_on", _events, ())),
        restart=read.read("restart", read_flag, True),
        reentry=read.read("reentry", _reentry, 0),
        audience=read.read("audience", read_text, None),
        sites=frozenset(read.read("sites", read_names, ())),
        tag=read.read("tag", read_text, None),
        goal=_goal(read),
        holdout=read.read("holdout", read_share, 0.0),
        priority=read.read("priority", read_whole, 0),
        quiet=quiet or None,
        awake=quiet is False,
        transactional=read.read("transactional", read_flag, False),
        date=read_date(read),
        holiday=read_holiday(read),
        inactive=read.read("inactive", read_duration, None),
        feed=read_feed(read),
    )
    _check_trigger(trigger, read)
    return (None if faults else trigger), faults


def _quiet(value: Json) -> QuietHours | Literal[False]:
    """Return the quiet hours of "21:00-08:00"; False of "none": not the site's either."""
    text = read_text(value)
    return False if text == "none" else timing.window(text)


def parse_all(tables: Mapping[str, Json]) -> tuple[dict[str, Trigger], list[Fault]]:
    """Return the triggers of [triggers], by name in their order, and every fault."""
    triggers: dict[str, Trigger] = {}
    faults: list[Fault] = []
    for name, table in tables.items():
        trigger, wrong = parse(name, table)
        faults += wrong
        if trigger is not None:
            triggers[name] = trigger
    return triggers, faults


def parse_frequency(table: Mapping[str, Json]) -> tuple[Frequency, list[Fault]]:
    faults: list[Fault] = []
    read = Table(table, ("frequency",), faults)
    read.only([field.name for field in fields(Frequency)])
    plain = Frequency()
    messages = read.read("messages", read_whole, None)
    if messages is not None and messages < 1:
        read.blame("messages", "is below 1", "Leave it out for no cap, or pause the triggers.")
    within = read.read("within", read_duration, plain.within)
    return Frequency(
        messages, within, read.read("spacing", read_duration, plain.spacing)
    ), faults


def _steps(read: Table) -> tuple[Step, ...]:
    steps = read.values.get("steps")
    if not isinstance(steps, list) or not steps:
        read.blame(
            "steps",
            "has no message",
            'Write steps = [{ after = "3m", template = "name" }].',
        )
        return ()
    inner = read.inner("steps", {})
    return tuple(_step(number, step, inner) for number, step in enumerate(steps, 1))


def _step(number: int, values: Json, above: Table) -> Step:
    if not isinstance(values, Mapping):
        above.blame(str(number), "is not a table", 'Write { after = "3m", template = "name" }.')
        return Step((Tier(0),), ("",))
    read = above.inner(str(number), values)
    read.only(_STEP_KEYS)
    said = [key for key in ("template", "templates", "exec", "webhook") if key in values]
    if len(said) != 1:
        read.blame(
            "template",
            "is missing" if not said else f"stands beside {said[1]}",
            'Give one of: template = "name", exec = ["./sms.py"], webhook = "crm".',
        )
    program, webhook = read.read("exec", _program, ()), read.read("webhook", read_text, None)
    names = read.read("templates", read_names, ()) or read.read("template", read_names, ())
    if program or webhook:
        names = (f"exec {program[0].rpartition('/')[2]}" if program else f"webhook {webhook}",)
    step = Step(
        after=read.read("after", _tiers, (Tier(0),)),
        templates=names,
        since=read.read("from", _since, From.ENTERED),
        at=read.read("at", lambda value: timing.clock(read_text(value)), None),
        promo=read.read("promo", read_text, None),
        ttl=read.read("ttl", read_duration, None),
        max_late=read.read("max_late", read_duration, DEFAULT_MAX_LATE),
        when=read.read("when", _conditions, ()),
        only=read.read("only", read_text, None),
        consent=read.read("consent", read_text, None),
        exec=program,
        webhook=webhook,
        test=step_tests.read_test(read, 0 if program or webhook else len(names)),
    )
    if number == 1 and step.since is not From.ENTERED:
        read.blame("from", "counts from a message before the first", "Leave it out in step 1.")
    if step.ttl is not None and step.ttl > limits.MAX_TTL_SECONDS * units.SECOND:
        read.blame("ttl", "is over four weeks", "Push services keep nothing longer: 4w.")
    if step.max_late < units.MINUTE:
        read.blame(
            "max_late", "is under a minute", "A sweep comes once a minute: give it more."
        )
    return step


def _check_trigger(trigger: Trigger, read: Table) -> None:
    for before, step in pairwise(trigger.steps):
        if before.channel and step.since is From.SHOWN:
            text = f"counts from a message that {before.templates[0]} never shows"
            read.blame("steps", text, 'Write from = "accepted".')
    if len(trigger.on) > 1 and trigger.within is None:
        read.blame("within", "is missing", 'A sequence needs a time: within = "2h".')
    if trigger.unless and trigger.within is None:
        read.blame("within", "is missing", 'How long to watch for "unless": within = "2h".')
    if trigger.within is not None and not trigger.unless and len(trigger.on) < 2:
        read.blame("within", "has no use here", 'It goes with "unless" or several "on".')
    if trigger.also_on and not trigger.on:
        read.blame("also_on", "has no use here", 'It goes with "on".')
    begins = {trigger.on[-1] if trigger.on else "", *trigger.also_on}
    for event in sorted(trigger.stops & begins):
        read.blame("cancel_on", f'"{event}" both starts and stops it', "Take one away.")
    if trigger.where and not trigger.on:
        read.blame("where", "has no event to look at", 'It goes with "on".')


def _goal(read: Table) -> Goal | None:
    values = read.values.get("goal")
    if values is None:
        return None
    if isinstance(values, str):
        return Goal(name_event(values), _DEFAULT_GOAL_WITHIN)
    if not isinstance(values, Mapping) or "event" not in values:
        read.blame(
            "goal", "has no event", 'Write goal = { event = "purchase", within = "24h" }.'
        )
        return None
    inner = read.inner("goal", values)
    inner.only(("event", "within"))
    within = inner.read("within", read_duration, _DEFAULT_GOAL_WITHIN)
    return Goal(name_event(inner.read("event", read_text, "")), within)


def _program(value: Json) -> tuple[str, ...]:
    """Read a program and its arguments; no shell ever sees them."""
    if not isinstance(value, list) or not value or not all(isinstance(it, str) for it in value):
        raise InputError('Write the program and its arguments: ["./sms.py", "--from", "shop"].')
    if not value[0].strip() or any("\0" in it for it in value):
        raise InputError("Write the program's path first.")
    return tuple(value)


def _events(value: Json) -> tuple[str, ...]:
    return tuple(map(name_event, read_names(value)))


def _reentry(value: Json) -> Millis | None:
    if value == "always":
        return 0
    if value == "never":
        return None
    try:
        return read_duration(value)
    except InputError:
        raise InputError('Write "always", "never", or a time such as "1d".') from None


def _conditions(value: Json) -> tuple[conditions.Condition, ...]:
    if not isinstance(value, Mapping):
        raise InputError('Write a table: { page = "/trial/*", value = ">= 50" }.')
    return conditions.parse(value)


def _since(value: Json) -> From:
    try:
        return From(value)
    except ValueError:
        raise InputError(f"Write one of: {', '.join(From)}.") from None


def _tiers(value: Json) -> tuple[Tier, ...]:
    if isinstance(value, str):
        return (Tier(read_duration(value)),)
    if not isinstance(value, list) or not value:
        raise InputError('Write "3m", or [{ below = 50, after = "10m" }, { after = "1d" }].')
    tiers = tuple(_tier(one) for one in value)
    *priced, last = tiers
    prices = [tier.below for tier in priced]
    if last.below is not None or None in prices or prices != sorted(set(prices), key=float):  # type: ignore[arg-type]
        raise InputError('Prices must rise, and only the last tier has no "below".')
    return tiers


def _tier(value: Json) -> Tier:
    if (
        not isinstance(value, Mapping)
        or "after" not in value
        or not set(value) <= {"after", "below"}
    ):
        raise InputError('Each tier is { below = 50, after = "10m" }; the last has no "below".')
    below = value.get("below")
    if below is not None and (isinstance(below, bool) or not isinstance(below, int | float)):
        raise InputError('"below" is a number.')
    return Tier(read_duration(value["after"]), None if below is None else float(below))

"""
Reads [triggers.NAME] and [frequency] of pushctl.toml: tables in, values and faults out.

Nothing is guessed: an unknown key is a fault with the key that was probably suggest.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import conditions, limits, timing, units
from pushctl.rules.config import checks
from pushctl.rules.config.structure import Fault, Path, suggest
from pushctl.rules.events import name_event
from pushctl.rules.triggers.trigger import (
    DEFAULT_MAX_LATE,
    DateRule,
    Frequency,
    From,
    Goal,
    Kind,
    Step,
    Tier,
    Trigger,
)

T = TypeVar("T")
D = TypeVar("D")

_KEYS = frozenset(field.name for field in fields(Trigger) if field.name not in ("name", "kind"))
_STEP_KEYS = frozenset(
    {*(field.name for field in fields(Step) if field.name != "since"), "from", "template"}
)
_DEFAULT_GOAL_WITHIN = 7 * units.DAY


class _Table:
    """One TOML table being read; its faults go to *faults*."""

    def __init__(self, values: Mapping[str, Json], path: Path, faults: list[Fault]) -> None:
        self.values, self.path, self.faults = values, path, faults

    def blame(self, key: str, text: str, remedy: str) -> None:
        path = (*self.path, key) if key else self.path
        self.faults.append(Fault(path, text, remedy))

    def inner(self, key: str, values: Mapping[str, Json]) -> "_Table":
        return _Table(values, (*self.path, key), self.faults)

    def only(self, known: Collection[str]) -> None:
        for key in self.values:
            if key not in known:
                self.blame(key, "no setting is called that", suggest(key, sorted(known)))

    def read(self, key: str, how: Callable[[Any], T], default: D) -> T | D:
        """Return what *how* returns for the value; *default* and a fault if it can't."""
        if key not in self.values:
            return default
        try:
            return how(self.values[key])
        except InputError as error:
            self.blame(key, f"is {self.values[key]!r}", str(error))
            return default


def parse(name: str, table: Mapping[str, Json]) -> tuple[Trigger | None, list[Fault]]:
    """
    Return the Trigger that *table* declares, or None, and the faults.

    jobs/triggers/lint checks templates, audiences and sites.
    """
    faults: list[Fault] = []
    read = _Table(table, ("triggers", name), faults)
    if not isinstance(table, Mapping):
        read.blame("", "is not a table", f"Write [triggers.{name}] and its keys below.")
        return None, faults
    # "basket/1" is a step's campaign, so no name has a slash.
    if fault := checks.named((name, table)):
        read.blame("", *fault)
    read.only(_KEYS)
    kind = _kind(read)
    steps = _steps(read)
    trigger = Trigger(
        name=name,
        steps=steps,
        kind=kind,
        on=read.read("on", _events, ()),
        where=read.read("where", _conditions, ()),
        unless=frozenset(read.read("unless", _events, ())),
        within=read.read("within", _duration, None),
        cancel_on=frozenset(read.read("cancel_on", _events, ())),
        restart=read.read("restart", _flag, True),
        reentry=read.read("reentry", _reentry, 0),
        audience=read.read("audience", _text, None),
        sites=frozenset(read.read("sites", _names, ())),
        tag=read.read("tag", _text, None),
        goal=_goal(read),
        holdout=read.read("holdout", _share, 0.0),
        priority=read.read("priority", _whole, 0),
        quiet=read.read("quiet", lambda value: timing.window(_text(value)), None),
        transactional=read.read("transactional", _flag, False),
        date=_date(read),
        inactive=read.read("inactive", _duration, None),
        feed=read.read("feed", _text, None),
    )
    _check_trigger(trigger, read)
    return (None if faults else trigger), faults


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
    read = _Table(table, ("frequency",), faults)
    read.only([field.name for field in fields(Frequency)])
    plain = Frequency()
    messages = read.read("messages", _whole, None)
    if messages is not None and messages < 1:
        read.blame("messages", "is below 1", "Leave it out for no cap, or pause the triggers.")
    within = read.read("within", _duration, plain.within)
    return Frequency(messages, within, read.read("spacing", _duration, plain.spacing)), faults


def _kind(read: _Table) -> Kind:
    starts = [key for key in ("on", "date", "inactive", "feed") if key in read.values]
    if len(starts) != 1:
        said = " and ".join(starts) or "nothing"
        read.blame(
            "",
            f"{said} starts it",
            'Give exactly one of: on = "event", date = {...}, inactive = "30d", feed = "url".',
        )
        return Kind.EVENT
    return Kind.EVENT if starts[0] == "on" else Kind(starts[0])


def _steps(read: _Table) -> tuple[Step, ...]:
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


def _step(number: int, values: Json, above: _Table) -> Step:
    if not isinstance(values, Mapping):
        above.blame(str(number), "is not a table", 'Write { after = "3m", template = "name" }.')
        return Step((Tier(0),), ("",))
    read = above.inner(str(number), values)
    read.only(_STEP_KEYS)
    if ("template" in values) == ("templates" in values):
        read.blame("template", "is missing or there twice", 'Give template = "name".')
    names = read.read("templates", _names, ()) or read.read("template", _names, ())
    step = Step(
        after=read.read("after", _tiers, (Tier(0),)),
        templates=names,
        since=read.read("from", _since, From.ENTERED),
        at=read.read("at", lambda value: timing.clock(_text(value)), None),
        promo=read.read("promo", _text, None),
        ttl=read.read("ttl", _duration, None),
        max_late=read.read("max_late", _duration, DEFAULT_MAX_LATE),
        when=read.read("when", _conditions, ()),
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


def _check_trigger(trigger: Trigger, read: _Table) -> None:
    if len(trigger.on) > 1 and trigger.within is None:
        read.blame("within", "is missing", 'A sequence needs a time: within = "2h".')
    if trigger.unless and trigger.within is None:
        read.blame("within", "is missing", 'How long to watch for "unless": within = "2h".')
    if trigger.within is not None and not trigger.unless and len(trigger.on) < 2:
        read.blame("within", "has no use here", 'It goes with "unless" or several "on".')
    for event in sorted(trigger.stops & {trigger.on[-1] if trigger.on else ""}):
        read.blame("cancel_on", f'"{event}" both starts and stops it', "Take one away.")
    if trigger.where and not trigger.on:
        read.blame("where", "has no event to look at", 'It goes with "on".')
    if trigger.kind is Kind.FEED and not (trigger.feed or "").startswith(
        ("https://", "http://")
    ):
        read.blame("feed", "is no web address", 'Write feed = "https://shop.example/feed.xml".')


def _goal(read: _Table) -> Goal | None:
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
    within = inner.read("within", _duration, _DEFAULT_GOAL_WITHIN)
    return Goal(name_event(inner.read("event", _text, "")), within)


def _date(read: _Table) -> DateRule | None:
    values = read.values.get("date")
    if values is None:
        return None
    if not isinstance(values, Mapping) or "attribute" not in values:
        read.blame("date", "has no attribute", 'Write date = { attribute = "birthday" }.')
        return None
    inner = read.inner("date", values)
    inner.only(("attribute", "days", "at", "yearly"))
    plain = DateRule("")
    days = inner.read("days", _whole, 0)
    if abs(days) > 366:
        inner.blame("days", "is more than a year away", "Choose from -366 to 366.")
    return DateRule(
        inner.read("attribute", _text, ""),
        days,
        inner.read("at", lambda value: timing.clock(_text(value)), plain.at),
        inner.read("yearly", _flag, plain.yearly),
    )


def _text(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"Write a text in quotes, not {value!r}.")
    return value.strip()


def _names(value: Json) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text(value),)
    if not isinstance(value, list) or not value:
        raise InputError('Write one name, or several: ["one", "two"].')
    return tuple(_text(one) for one in value)


def _events(value: Json) -> tuple[str, ...]:
    return tuple(map(name_event, _names(value)))


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise InputError("Write true or false.")
    return value


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("Write a whole number.")
    return value


def _share(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 0.5:
        raise InputError("Write a share from 0 to 0.5: 0.05 holds back 5 %.")
    return float(value)


def _duration(value: Json) -> Millis:
    return timing.duration(_text(value))


def _reentry(value: Json) -> Millis | None:
    if value == "always":
        return 0
    if value == "never":
        return None
    try:
        return _duration(value)
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
        return (Tier(_duration(value)),)
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
    return Tier(_duration(value["after"]), None if below is None else float(below))

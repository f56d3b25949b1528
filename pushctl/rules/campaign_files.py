"""
Campaigns as text: what a campaigns/NAME.toml may say, which is what `pushctl send` can say.

A file is read today and applied on another day, so each of its times has a date with its
year: "tomorrow" would mean something else by then.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from pushctl.errors import InputError, PushctlError
from pushctl.model import Json, Millis
from pushctl.rules import moments, schedule, timing
from pushctl.rules.config import checks
from pushctl.rules.config.structure import Fault, structure, suggest
from pushctl.rules.messages import arms
from pushctl.rules.moments import BEST
from pushctl.rules.random_hours import MOST_DAYS

_MOST_PEOPLE = 1_000_000_000  # more than there are subscriptions
# Any two days will do: what a date means is the same on both.
_ONE, _OTHER = (
    int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)
    for year, month, day in ((2001, 3, 1), (2013, 9, 17))
)


def _checked(check: Callable[[Any], checks.Verdict]) -> Any:
    return field(default=None, metadata={"check": check})


def _is_one_of(*words: str) -> Callable[[str], checks.Verdict]:
    def check(value: str) -> checks.Verdict:
        if value in words:
            return None
        return f"is {value!r}", f"Write one of {', '.join(words)}."

    return check


@dataclass(frozen=True)
class CampaignFile:
    """A campaign as its file says it; the names are those of the options of `send`."""

    name: str = field(metadata={"given": True})  # the file's, without ".toml"
    # to whom
    everyone: bool = False
    tags: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    where: str | None = None
    limit: int | None = _checked(checks.between(1, _MOST_PEOPLE))
    # what
    template: str | None = None
    message: str | None = None
    title: str | None = None
    language: str | None = None
    promo: str | None = None
    topic: str | None = _checked(checks.topic)
    # when: one of at and every
    at: str | None = None
    every: str | None = None
    local: bool = False
    passed: str | None = _checked(_is_one_of(*schedule.Passed))
    over: str | None = _checked(checks.duration)
    explore: str | None = None
    explore_days: int | None = _checked(checks.between(1, MOST_DAYS))
    # a test
    variants: str | None = None
    weights: str | None = None
    test_share: str | None = None
    decide_after: str | None = _checked(checks.duration)
    decide_at: str | None = None
    on_tie: str | None = None
    daily_look: bool = False
    # how
    ttl: str | None = _checked(checks.duration)
    urgency: str | None = None
    rate: str | None = None
    again: bool = False
    ignore_cap: bool = False
    priority: int = 0

    def list_times(self, zone: tzinfo) -> list[tuple[datetime, tzinfo | None]]:
        """Return its local times, one or that of each arm, each with the zone in the text."""
        return [tuple(read_time(text, zone)) for text in self._list_typed()]  # type: ignore[misc]

    def _list_typed(self) -> list[str]:
        if self.variants is not None:
            differ, names = arms.read_names(self.variants)
            if differ is arms.Differ.TIME:
                return [f"{self.at} {name}" if self.at else name for name in names]
        day = moments.split_best(self.at)
        if day is not None:  # nobody knows the hour before it is applied
            return [f"{day} 12:00" if day else BEST]
        return [self.at] if self.at else []

    @property
    def settings_hash(self) -> str:
        """Return what the file says, as a hash; comments and its name are no part of it."""
        said = {key: value for key, value in asdict(self).items() if value and key != "name"}
        return hash_json(said)


def hash_json(value: Json) -> str:
    """Return 32 digits that stand for *value*."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read(
    name: str, text: str, zone: tzinfo, segments: Mapping[str, str]
) -> tuple[CampaignFile | None, list[Fault]]:
    """
    Return the campaign of a file's *text*, and every fault in it.

    *zone* is that of times without one, *segments* those of pushctl.toml. Raises
    tomllib.TOMLDecodeError.
    """
    table = {key: _read_native(value) for key, value in tomllib.loads(text).items()}
    found, faults = structure(CampaignFile, table)
    faults = [_explain_unknown(fault) for fault in faults]
    if found is None:
        return None, faults
    found = replace(found, name=name)
    faulty = {fault.path[0] for fault in faults}
    faults += [
        fault
        for fault in _find_faults(found, zone, segments)
        if not faulty & {fault.path[0], *_RELATED.get(fault.path[0], ())}
    ]
    return found, faults


# A setting is not called missing where another one that stands for it has a fault.
_RELATED = {"everyone": ("tags", "segments", "where"), "at": ("every",)}


def _read_native(value: Any) -> Any:
    """Return a date or time of TOML's own as the text that means it."""
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes" if not value.second else "seconds")
    return str(value) if isinstance(value, date | time) else value


def _explain_unknown(fault: Fault) -> Fault:
    if fault.path == ("to",):
        text = "names single people, and everybody who reads the repository would see them"
        return Fault(fault.path, text, "Write tags, segments or where; or: pushctl send --to.")
    if fault.path == ("name",):
        return Fault(fault.path, "is the file's own name", "Rename the file instead.")
    return fault


def _find_faults(
    it: CampaignFile, zone: tzinfo, segments: Mapping[str, str]
) -> Iterator[Fault]:
    filters = it.tags or it.segments or it.where
    if not (filters or it.everyone):
        text = "is missing: to whom shall it go?"
        yield Fault(("everyone",), text, "Write tags, segments, where, or everyone = true.")
    if filters and it.everyone:
        text = "goes with no tags, segments or where"
        yield Fault(("everyone",), text, "Take one of them out.")
    for name in it.segments:
        if name not in segments:
            yield Fault(("segments",), f"has {name!r}", suggest(name, segments))
    if it.where and (fault := _check_where(it.where, segments)):
        yield Fault(("where",), *fault)
    yield from _find_time_faults(it, zone)


def _check_where(where: str, segments: Mapping[str, str]) -> checks.Verdict:
    from pushctl.rules.audience import parse

    try:
        parse.expand(parse.parse(where), segments)
    except PushctlError as error:
        return f"can't be read: {error}", "See docs/audience.md."
    return None


def _find_time_faults(it: CampaignFile, zone: tzinfo) -> Iterator[Fault]:
    if it.at and it.every:
        yield Fault(("at",), "goes with no every", "Once, or again and again? Take one out.")
        return
    try:
        is_timed = bool(it.every or it._list_typed())
    except InputError:
        return  # variants are wrong: that is told of them
    if not is_timed:
        remedy = 'Write at = "2026-12-01 18:00", or every = "monday 09:00".'
        yield Fault(("at",), "is missing: when shall it go out?", remedy)
    for key, listed in (("at", it._list_typed()), ("decide_at", [it.decide_at])):
        for text in filter(None, listed):
            try:
                read_time(text, zone)
            except InputError as error:
                fault, _, remedy = str(error).partition(". ")
                yield Fault((key,), f"is no date: {fault}", remedy or "See docs/sending.md.")
                break
    if it.every:
        try:
            schedule.rule(it.every, datetime(2026, 1, 1), zone)
        except InputError as error:
            fault, _, remedy = str(error).partition(". ")
            yield Fault(("every",), fault, remedy or "See docs/sending.md.")


def read_time(text: str, zone: tzinfo) -> moments.At:
    """Return the date and hour that *text* means on any day; raises InputError."""
    if text == BEST:
        raise InputError(f"{text!r} has no day. Write the date before it: 2026-12-24 best.")
    one, other = (moments.parse(text, now, zone) for now in (_ONE, _OTHER))
    if one != other:
        raise InputError(
            f"{text!r} means another day tomorrow. Write the date with its year and hour: "
            "2026-12-24 18:00."
        )
    return one


def find_phase(it: CampaignFile, zone: tzinfo, now: Millis) -> str:
    """
    Return where *now* is on the clock of a campaign that goes out once.

    "to come"; "under way" where some people's own clocks have passed its time; "over".
    """
    first, last = [], []
    for local, typed in it.list_times(zone):
        where = (schedule.FIRST, schedule.LAST) if it.local else (typed or zone,) * 2
        times = [local.time()] * 2
        if moments.split_best(it.at) is not None:  # some hour of that day, on each own clock
            where, times = (schedule.FIRST, schedule.LAST), [time.min, time(23, 59)]
        ends = [
            timing.instant(local.date(), hour, one)
            for hour, one in zip(times, where, strict=True)
        ]
        first.append(ends[0])
        last.append(ends[1])
    if min(last) <= now:
        return "over"
    return "to come" if min(first) > now else "under way"

"""
Who falls to which arm of a broadcast, by the person's lot.

All devices of a person fall to one arm. A person for whom an arm makes no difference (a
language without the variant's file) gets the first text and is left out of the comparison.
With a test share the others are held until the decision.
"""

from array import array
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.random_hours import refuse_test
from pushctl.jobs.campaigns.recipients import Times, set_times
from pushctl.jobs.campaigns.variants import Design, join_time
from pushctl.jobs.subscribers.person_lots import find_lots
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.figures.experiments.decision import Rule
from pushctl.rules.lots import lot
from pushctl.rules.messages.arms import Differ
from pushctl.store import Store
from pushctl.templates import Template

# Where somebody falls: the number of an arm, or one of these.
OUTSIDE, HELD = 254, 255

DECIDE_AFTER: Millis = 4 * units.HOUR  # where others wait for it
DECIDE_LOOKS: Millis = units.WEEK  # the last of the daily looks
LATE_DECISION: Millis = units.DAY  # where nobody does: by then most clicks are in
LOOK_EVERY: Millis = units.DAY
# With --local a zone is in the test when its people had so long to react.
SETTLE: Millis = units.HOUR

_PAGE = 20_000


class NobodyComparedError(UsageError):
    """No receiver of a broadcast can fall to an arm."""


@dataclass(frozen=True)
class Assignment:
    """The experiment of a plan; *fell* has a byte for each of its receivers."""

    design: Design
    seed: str
    fell: bytes
    decide_at: Millis
    look_at: Millis  # when the sweep looks at it first
    people_share: float = 1.0  # people for each receiver: some have several devices

    @cached_property
    def counts(self) -> Mapping[int, int]:
        return Counter(self.fell)

    def count_arms(self) -> list[int]:
        return [self.counts.get(number, 0) for number in range(len(self.design.arms))]

    def group(self, receivers: Sequence[int]) -> Mapping[str | None, Sequence[int]]:
        """Return *receivers* by the variant of the text that they get, as far as is known."""
        if self.design.differ is Differ.TIME:
            return {None: receivers}
        names: dict[int, str | None] = {
            number: arm.variant for number, arm in enumerate(self.design.arms)
        }
        found: defaultdict[str | None, array[int]] = defaultdict(lambda: array("q"))
        for one, place in zip(receivers, self.fell, strict=True):
            found[names.get(place)].append(one)
        return found

    def list_held(self, receivers: Sequence[int]) -> set[int]:
        return {one for one, place in zip(receivers, self.fell, strict=True) if place == HELD}

    def keep(self, kept: Sequence[int]) -> "Assignment":
        """Return it without the receivers that are not *kept*."""
        fell = bytes(place for place, stays in zip(self.fell, kept, strict=True) if stays)
        return replace(self, fell=fell)


def assign(
    store: Store,
    config: Config,
    draft: Draft,
    design: Design,
    template: Template,
    receivers: Sequence[int],
    *,
    seed: str,
    now: Millis,
) -> tuple[Times, Assignment]:
    """
    Return the receivers with the times at which they are due, and where they fall.

    Raises UsageError where nobody can be compared, or nobody's message is out in time.
    """
    receivers, times, hours = _set_times(store, config, draft, design, receivers, now, seed)
    comparable = _find_comparable(store, config, design, template, receivers, now)
    if design.differ is Differ.TIME:
        columns = zip(*times, strict=True)
        comparable = [all(one > now for one in each) for each in columns]
    decide_at = _find_decision(draft, design, times, now)
    ready = comparable
    if design.has_rest and draft.local:
        over = [one + SETTLE <= decide_at for one in times[0]]
        ready = [one and two for one, two in zip(comparable, over, strict=True)]
    if receivers and not any(ready):
        raise NobodyComparedError(_explain_nobody(config, any(comparable), times))
    share = design.share
    if share < 1:
        share = min(1.0, share * sum(comparable) / max(sum(ready), 1))
    lots = find_lots(store, receivers)
    fell = _draw(design, seed, lots, comparable, ready, share)
    look_at = min(now + LOOK_EVERY, decide_at) if design.rule is Rule.ANYTIME else decide_at
    people_share = len(set(lots)) / max(len(lots), 1)
    made = Assignment(design, seed, fell, decide_at, look_at, people_share)
    return Times(receivers, _choose_times(times, fell, decide_at), hours), made


def _set_times(
    store: Store,
    config: Config,
    draft: Draft,
    design: Design,
    receivers: Sequence[int],
    now: Millis,
    seed: str,
) -> tuple[Sequence[int], list[Sequence[Millis]], Sequence[float]]:
    """Return receivers, their due times, one list for all arms or one for each, and lots."""
    if draft.explore:
        refuse_test(design.differ, design.share)
    if design.differ is not Differ.TIME:
        receivers, at, hours = set_times(store, config, draft, receivers, now, seed=seed)
        return receivers, [at] if at else [], hours
    found = []
    for arm in design.arms:
        typed = replace(draft, at=join_time(draft.at, arm.time or ""))
        people, at, _ = set_times(store, config, typed, receivers, now, seed=seed)
        found.append(dict(zip(people, at, strict=True)))
    kept = list(found[0])
    return kept, [[each.get(one, 0) for one in kept] for each in found], ()


def _find_comparable(
    store: Store,
    config: Config,
    design: Design,
    template: Template,
    receivers: Sequence[int],
    now: Millis,
) -> Sequence[bool]:
    """Return for each of *receivers* whether every arm has a text of its own for them."""
    known: dict[tuple[str, str | None, tuple[str, ...]], bool] = {}
    names = template.segments
    segments_of = find_segments(store, config, names, now) if names else None
    found: list[bool] = []
    for start in range(0, len(receivers), _PAGE):
        page = receivers[start : start + _PAGE]
        segments = segments_of(page) if segments_of else {}
        readers = store.schedules.load_languages(page)
        for one in page:
            site, language = readers.get(one, ("", None))
            key = site, language, segments.get(one, ())
            if key not in known:
                known[key] = site in config.sites and _has_all(
                    design, template, *key[1:], config.sites[site].language
                )
            found.append(known[key])
    return found


def _has_all(
    design: Design,
    template: Template,
    language: str | None,
    segments: tuple[str, ...],
    default: str,
) -> bool:
    texts = [template.choose(language, segments, default, arm.variant) for arm in design.arms]
    if design.differ is Differ.TEXT:
        return all(
            text.variant == arm.variant for text, arm in zip(texts, design.arms, strict=True)
        )
    return len({text.language for text in texts}) == 1


def _find_decision(
    draft: Draft, design: Design, times: Sequence[Sequence[Millis]], now: Millis
) -> Millis:
    usual = DECIDE_AFTER if design.has_rest else LATE_DECISION
    usual = DECIDE_LOOKS if design.rule is Rule.ANYTIME else usual
    if design.has_rest:
        begins = min(times[0], default=now) if times else now
    else:
        begins = now + (timing.duration(draft.over) if draft.over else 0)
        begins = max([begins, *(max(each, default=now) for each in times)])
    after = usual if design.decide_after is None else design.decide_after
    at = design.decide_at or begins + after
    if at <= begins:
        raise UsageError("the decision would come before the messages: choose a later one")
    return at


def _explain_nobody(config: Config, comparable: bool, times: Sequence[Sequence[Millis]]) -> str:
    if not comparable:
        return (
            "nobody can be compared: no receiver reads a language that has every variant, or "
            "each of the times has passed for them. Write the files, or send with --variants a."
        )
    first = timing.local(min(times[0]) + SETTLE, config.zone)
    return (
        f"--local: when the test is decided, the message is in no time zone out for "
        f"{timing.say(SETTLE)}. Decide at {first:%Y-%m-%d %H:%M} ({config.zone}) or later: "
        "--decide-at, --decide-after"
    )


def _draw(
    design: Design,
    seed: str,
    words: Sequence[str],
    comparable: Sequence[bool],
    ready: Sequence[bool],
    share: float,
) -> bytes:
    edges = list(accumulate(arm.weight for arm in design.arms))[:-1]
    fell = bytearray(len(words))
    for number, word in enumerate(words):
        if not comparable[number]:
            fell[number] = OUTSIDE
        elif not ready[number] or (share < 1 and lot("test", seed, word) >= share):
            fell[number] = HELD
        else:
            fell[number] = bisect(edges, lot("variant", seed, word))
    return bytes(fell)


def _choose_times(
    times: Sequence[Sequence[Millis]], fell: bytes, decide_at: Millis
) -> Sequence[Millis]:
    """Return each one's due time: that of their arm; who is held comes no sooner than that."""
    if not times:
        return ()
    last = len(times) - 1
    return [
        max(times[0][number], decide_at)
        if place == HELD
        else times[min(place, last) if place < OUTSIDE else 0][number]
        for number, place in enumerate(fell)
    ]

"""
A broadcast and the contact policy: judged when it is planned, written when it is frozen.

What is to go out later is judged once more when it is claimed
(jobs/delivery/claims/contact_policy.py). Of it only the control group is written before:
nothing that happens meanwhile changes that.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from pushctl.config import Config
from pushctl.jobs.subscribers.contact_policy import Ended, Held, Judge, Judged
from pushctl.model import Cause, Json, Millis
from pushctl.rules.compact_numbers import NumberMap
from pushctl.rules.contact_policy import TOO_LATE
from pushctl.store import Store

_AT_ONCE = 200_000  # rows that are gathered: lists of ten million take hundreds of megabytes


def judge(
    store: Store,
    config: Config,
    options: Mapping[str, Json],
    receivers: Sequence[int],
    now: Millis,
    *,
    at: Sequence[Millis] = (),
    over: Millis = 0,
    life: Millis,
) -> Judged | None:
    """
    Judge the receivers of a broadcast with these *options*; None: none holds for it.

    *at*, *over* and *life* say when each message is due, and for how long it is of use.
    """
    one = Judge(store, config, options, now)
    if not one.is_needed or not receivers:
        return None
    if over:
        at = array("q", (now + over * n // len(receivers) for n in range(len(receivers))))
    found = one.judge(receivers, at)
    late: Iterable[int]
    if at:
        due = zip(receivers, at, strict=True)
        late = (one for one, when in due if is_late(found.held.get(one), when + life))
    else:
        late = found.held.select(lambda held: is_late(held, now + life))
    _end_too_late(found, late)
    return found


class Part(NamedTuple):
    """Some of a broadcast's receivers."""

    what: str
    people: int


def divide(count: int, found: Judged, without: NumberMap[Ended]) -> list[Part]:
    """Divide *count* receivers by what becomes of them; *without*: all that get nothing."""
    waits, ended = count_waiting(found, without), Counter[Cause]()
    for (_, _, cause), people in without.count_values().items():
        ended[cause] += people
    parts = [
        Part("now", count - len(without) - waits.total()),
        Part("after quiet hours", waits[Cause.QUIET_HOURS]),
        Part("after another message", waits[Cause.FREQUENCY]),
        Part("over the cap", ended[Cause.FREQUENCY]),
        Part("control group", ended[Cause.HOLDOUT]),
        Part("sunset", ended[Cause.SUNSET]),
        Part("of no use after quiet hours", ended[Cause.QUIET_HOURS]),
    ]
    return [*parts, Part("no message", count - sum(part.people for part in parts))]


def count_waiting(found: Judged, without: Container[int]) -> Counter[Cause]:
    """Count who gets the message later; who is held may get none for another reason."""
    return Counter(found.held[row][2] for row in found.held if row not in without)


def is_late(held: Held | None, end: Millis) -> bool:
    """Return whether a message may go out no sooner than when it is of no use any more."""
    return held is not None and held[0] >= end


def _end_too_late(found: Judged, late: Iterable[int]) -> None:
    """End the messages of *late*, if it is for quiet hours; nobody of them is held any more."""
    for row in late:
        cause = found.held.pop(row)[2]
        if cause is Cause.QUIET_HOURS:
            found.without[row] = ("expired", TOO_LATE, cause)


def list_final(without: NumberMap[Ended]) -> NumberMap[Ended]:
    """Return who gets no message whatever happens until it goes out: the control group."""
    return without.select(lambda ended: ended[2] is Cause.HOLDOUT)


def write_held(store: Store, campaign: int, found: Judged, now: Millis) -> None:
    """Have the planned rows of who is held wait."""
    waits: dict[Held, list[int]] = defaultdict(list)
    for place, (row, held) in enumerate(found.held.items(), 1):
        waits[held].append(row)
        if place % _AT_ONCE == 0 or place == len(found.held):
            for (until, reason, cause), rows in waits.items():
                store.plans.hold(campaign, rows, until, reason, cause, now)
            waits.clear()

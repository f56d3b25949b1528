"""
A broadcast and the manners of sending: judged when it is planned, written when it is frozen.

What is to go out later is judged once more when it is claimed (jobs/delivery/courtesy.py).
Of it only the control group is written before: nothing that happens meanwhile changes that.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pushctl.config import Config
from pushctl.jobs.subscribers.manners import Ended, Judge, Judged
from pushctl.model import Cause, Json, Millis
from pushctl.rules.manners import TOO_LATE
from pushctl.store import Store


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
    Judge the receivers of a broadcast with these *options*; None: no manners hold for it.

    *at*, *over* and *life* say when each message is due, and for how long it is of use.
    """
    one = Judge(store, config, options, now)
    if not one.is_needed or not receivers:
        return None
    if over:
        at = array("q", (now + over * n // len(receivers) for n in range(len(receivers))))
    found = one.judge(receivers, at)
    due: Iterable[tuple[int, Millis]] = zip(receivers, at, strict=True) if at else ()
    _end_too_late(found, {one: when for one, when in due if one in found.held}, now, life)
    return found


class Part(NamedTuple):
    """Some of a broadcast's receivers."""

    what: str
    people: int


def divide(count: int, found: Judged, without: Mapping[int, Ended]) -> list[Part]:
    """Divide *count* receivers by what becomes of them; *without*: all that get nothing."""
    waits = Counter(found.held[row][2] for row in list_waiting(found, without))
    ended = Counter(cause for _, _, cause in without.values())
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


def list_waiting(found: Judged, without: Collection[int]) -> list[int]:
    """Return who gets the message later; who is held may get none for another reason."""
    return [row for row in found.held if row not in without]


def _end_too_late(found: Judged, at: Mapping[int, Millis], now: Millis, life: Millis) -> None:
    """End the messages that are of no use any more when they may go out."""
    late = [row for row, held in found.held.items() if held[0] >= at.get(row, now) + life]
    for row in late:
        cause = found.held.pop(row)[2]
        if cause is Cause.QUIET_HOURS:
            found.without[row] = ("expired", TOO_LATE, cause)


def list_final(without: Mapping[int, Ended]) -> Mapping[int, Ended]:
    """Return who gets no message whatever happens until it goes out: the control group."""
    return {row: it for row, it in without.items() if it[2] is Cause.HOLDOUT}


def write_held(store: Store, campaign: int, found: Judged, now: Millis) -> None:
    """Have the planned rows of who is held wait."""
    waits: dict[tuple[Millis, str, Cause], list[int]] = defaultdict(list)
    for row, held in found.held.items():
        waits[held].append(row)
    for (until, reason, cause), rows in waits.items():
        store.plans.hold(campaign, rows, until, reason, cause, now)

"""
What a run has learnt about one push service and key, and how much it may get now.

``add_answers`` adds answers to a ``Lane``, ``allowance`` returns how many letters may go out.
"""

from dataclasses import dataclass, replace

from pushctl.model import Answer, Cause, Millis, Outcome
from pushctl.rules.delivery.retry import clamp_to_day, outage_pause
from pushctl.rules.units import MINUTE, SECOND

CANARIES = 5
BREAKER_WINDOW = 50
WINDOW = 200
UNLIMITED = 1_000_000_000

# A lone 429 among many acceptances is about its receiver; from a tenth on the service
# means the sender (RFC 8030 leaves the scope of a 429 open).
THROTTLED_SHARE = 0.1

# One letter an answer, so that counting and cutting are the string's own.
CODES = {
    Answer.ACCEPTED: "a",
    Answer.GONE: "g",
    Answer.RETRY: "f",
    Answer.IN_DOUBT: "f",
    Answer.THROTTLED: "t",
    Answer.THROTTLED_ONE: "o",
    Answer.REFUSED: "r",
    Answer.TOO_LARGE: "o",
    Answer.QUARANTINE: "o",
    Answer.OUR_FAULT: "o",
    Answer.BLOCKED: "o",
}
UNREACHED = "n"  # no connection came about, so nothing was learnt about the service


def encode(outcome: Outcome) -> str:
    """Return the letter that *outcome* has among the answers of a lane."""
    return UNREACHED if outcome.cause is Cause.NO_CONNECTION else CODES[outcome.answer]


@dataclass(frozen=True, slots=True)
class Lane:
    """One push service and VAPID key, as this run knows them."""

    recent: str = ""  # the last 200 answers, one letter each (CODES)
    answered: int = 0
    accepted: int = 0
    gone: int = 0
    hold_until: Millis = 0
    why: str = ""  # why it is held or stopped, for people
    stopped: bool = False  # only a person can set it going again
    probing: bool = False  # the circuit is open: one letter a minute
    rate: float | None = None  # messages a second, once it has throttled us
    throttled_at: Millis = 0
    unreached_since: Millis = 0  # no connection has come about since then; 0: it does


def add_answers(
    lane: Lane, codes: str, now: Millis, retry_after: Millis | None = None, reason: str = ""
) -> Lane:
    """
    Return *lane* after the answers *codes*, in the order in which they came.

    *retry_after* is the longest pause asked for among them, *reason* the last answer that
    was no acceptance.
    """
    if not (answers := codes.replace(UNREACHED, "")):
        return _lose(lane, now, reason) if codes else lane
    return _add(_reach(lane), answers, now, retry_after, reason)


def _lose(lane: Lane, now: Millis, reason: str) -> Lane:
    """Hold *lane*, to which no connection came about: as long again as that has lasted."""
    if lane.unreached_since and now < lane.hold_until:
        return lane  # these were under way when it was lost
    since = lane.unreached_since or now
    until = max(lane.hold_until, now + outage_pause(now - since))
    return replace(lane, unreached_since=since, hold_until=until, why=reason)


def _reach(lane: Lane) -> Lane:
    """End the outage of *lane*, if there was one."""
    if not lane.unreached_since:
        return lane
    return replace(lane, unreached_since=0, hold_until=0, why="")


def _add(lane: Lane, codes: str, now: Millis, retry_after: Millis | None, reason: str) -> Lane:
    lane = replace(
        lane,
        recent=(lane.recent + codes)[-WINDOW:],
        answered=lane.answered + len(codes),
        accepted=lane.accepted + codes.count("a"),
        gone=lane.gone + codes.count("g"),
    )
    if lane.probing:
        lane = _end_probe(lane, codes, now, retry_after)
    if "r" in codes and lane.accepted == 0:
        lane = replace(lane, why=f"refuses us ({reason})")
    if "r" in codes and _is_mostly(lane, "r"):
        return replace(lane, stopped=True, why=f"refuses us ({reason})")
    if "t" in codes:
        lane = _throttle(lane, now, retry_after, reason)
    if "f" in codes and _is_mostly(lane, "f") and not lane.probing:
        until = now + max(MINUTE, _asked(retry_after))
        lane = replace(lane, probing=True, hold_until=until, why=f"keeps failing ({reason})")
    return lane


def _is_mostly(lane: Lane, code: str) -> bool:
    """Return whether *code* came five times before any acceptance, or is half of the last."""
    if lane.accepted == 0:
        return lane.recent.endswith(code * CANARIES)
    last = lane.recent[-BREAKER_WINDOW:]
    return len(last) == BREAKER_WINDOW and last.count(code) * 2 >= BREAKER_WINDOW


def _asked(retry_after: Millis | None) -> Millis:
    return 0 if retry_after is None else clamp_to_day(retry_after)


def _end_probe(lane: Lane, codes: str, now: Millis, retry_after: Millis | None) -> Lane:
    # Letters that were on their way when the circuit opened prove nothing; a probe's
    # answer comes after the hold is over.
    if now < lane.hold_until:
        return lane
    if codes.strip("f"):
        return replace(lane, probing=False, recent=codes[-WINDOW:], why="")
    return replace(lane, hold_until=now + max(MINUTE, _asked(retry_after)))


def _throttle(lane: Lane, now: Millis, retry_after: Millis | None, reason: str) -> Lane:
    if lane.recent.count("t") < THROTTLED_SHARE * len(lane.recent):
        return lane
    until = max(lane.hold_until, now + clamp_to_day(retry_after))
    held = replace(lane, hold_until=until, why=f"asks us to slow down ({reason})")
    if now < lane.hold_until:
        return held  # the same episode: what was under way when it began
    return replace(held, throttled_at=now)


# Fewer acceptances measure the start of a run rather than what a service takes.
MEASURABLE = 200
LEAST_RATE = 10.0
RECOVERY: Millis = 20 * SECOND


def slow_down(lane: Lane, accepted: int, elapsed: Millis) -> Lane:
    """
    Return *lane* at half the rate at which it throttled us; at least ten a second.

    *accepted* messages in *elapsed* are that rate. Too few measure nothing: the pause that
    the service asked for must do.
    """
    if accepted < MEASURABLE:
        return lane
    measured = accepted / max(1.0, elapsed / SECOND)
    current = measured if lane.rate is None else min(measured, lane.rate)
    return replace(lane, rate=max(LEAST_RATE, current / 2))


def pace(lane: Lane, now: Millis) -> float | None:
    """Return the messages a second that *lane* may get: half as many again each 20 s."""
    if lane.rate is None:
        return None
    quiet = max(0, now - max(lane.hold_until, lane.throttled_at)) / RECOVERY
    return lane.rate * float(1.5 ** min(quiet, 40.0))


def allowance(lane: Lane, under_way: int, now: Millis) -> int:
    """
    Return how many letters may go out beside those *under_way*.

    Until the first acceptance only a few go out (canaries), twice as many with each answer
    that is no acceptance but no refusal either.
    """
    if lane.stopped or now < lane.hold_until:
        return 0
    if lane.probing or lane.unreached_since:
        return max(0, 1 - under_way)
    if lane.accepted == 0:
        return max(0, max(CANARIES, min(2 * lane.answered, 500)) - under_way)
    return UNLIMITED

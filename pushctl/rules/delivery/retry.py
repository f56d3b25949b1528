"""
Decides what happens to a row of the ledger after an answer of a push service.

Sources: RFC 8030, and the services' own answers as docs/sending.md lists them.
"""

from typing import NamedTuple

from pushctl.model import Answer, Cause, DeliveryStatus, Millis, Outcome
from pushctl.rules.units import DAY, HOUR, MINUTE, SECOND

MAX_TRIES = 6
REDIRECTS = 3  # no push service redirects: three times, and the subscription is put aside
FIRST_PAUSE: Millis = 2 * SECOND
LONGEST_PAUSE: Millis = 5 * MINUTE
LONGEST_UNPROVED_PAUSE: Millis = 6 * HOUR

# Of outcomes: nothing of the message has left this machine.
NEVER_SENT = frozenset((
    Cause.NO_CONNECTION, Cause.HELD_BACK, Cause.HOST_NOT_ALLOWED, Cause.ADDRESS_NOT_ALLOWED,
    Cause.KEY_MISSING, Cause.OTHER_WORKER, Cause.BAD_SUBSCRIPTION_KEY, Cause.NO_MESSAGE,
    Cause.SERVICE_WAITS, Cause.RATE_LIMIT, Cause.QUIET_HOURS, Cause.AWAITS_WINNER,
    Cause.TIME_OVER, Cause.NOT_ACTIVE, Cause.FORGOTTEN, Cause.HAS_IT, Cause.FREQUENCY,
    Cause.HOLDOUT, Cause.SUNSET, Cause.CANCELLED, Cause.TEST_STOPPED,
    Cause.PAUSED_BY_SUBSCRIBER, Cause.ENROLMENT_ENDED, Cause.NO_CONSENT, Cause.CALL_NOT_BEGUN,
    Cause.NO_CODES, Cause.CODE_USED, Cause.GOAL_REACHED,
))  # fmt: skip

# Of letters whose sending process died.
_DOUBTS = {
    Cause.SENDER_STOPPED: "the sender was stopped",
    Cause.MACHINE_RESTARTED: "the machine was restarted",
}


class Decision(NamedTuple):
    status: DeliveryStatus
    reason: str
    next_attempt_at: Millis | None = None
    given_back: int = 0  # 1: the try doesn't count
    effect: str | None = None  # on the subscription: "gone", "failed", "small"


def decide(
    outcome: Outcome,
    tries: int,
    expires_at: Millis | None,
    now: Millis,
    chance: float,
    proved: bool,
    outage: Millis | None = 0,
) -> Decision:
    """
    Return the decision about the delivery of *outcome*.

    *tries* counts this one; *chance* is a random number from 0 to 1 for the jitter;
    *proved*: this push service has accepted a message signed with the same key in this
    run, so a refusal is about the subscription and not about us; *outage*: for how long no
    connection to it has come about, None where its host may not exist at all.
    """
    answer, reason = outcome.answer, outcome.reason
    if outcome.cause is Cause.NO_CONNECTION:
        return _retry_unsent(reason, tries, expires_at, now, chance, outage)
    if answer is Answer.RETRY:
        if outcome.cause is Cause.HELD_BACK:
            return Decision(DeliveryStatus.PLANNED, reason, None, 1)
        if outcome.cause is Cause.REDIRECT and tries >= REDIRECTS:
            return _final(Answer.QUARANTINE, reason)
        pause = backoff(tries, chance)
        if outcome.retry_after is not None:
            pause = max(pause, clamp_to_day(outcome.retry_after))
        return _again(reason, tries, now + pause, expires_at)
    if answer is Answer.THROTTLED:
        # The row is not at fault, so only its time to live bounds the tries.
        pause = clamp_to_day(outcome.retry_after)
        return _again(reason, 0, now + pause + int(chance * SECOND), expires_at, given_back=1)
    if answer is Answer.THROTTLED_ONE:
        return _again(reason, tries, now + clamp_to_day(outcome.retry_after), expires_at)
    if answer is Answer.REFUSED and not proved:
        return _again(reason, 0, now + backoff(1, chance), expires_at, given_back=1)
    if answer is Answer.OUR_FAULT and tries < 2:
        # The campaign stops for it, so it may be put right and tried once more.
        return Decision(DeliveryStatus.PLANNED, reason)
    return _final(answer, reason)


def _retry_unsent(
    reason: str,
    tries: int,
    expires_at: Millis | None,
    now: Millis,
    chance: float,
    outage: Millis | None,
) -> Decision:
    """
    Plan a message that never left this machine, for as long as it is of use.

    Such a try is no answer of the push service, so none counts. At a host that may be made
    up the tries are counted for their pauses alone: they cost others little.
    """
    if outage is None:
        pause = min(LONGEST_UNPROVED_PAUSE, FIRST_PAUSE * 10 ** min(tries - 1, 6))
        return _again(reason, 0, now + pause + int(chance * SECOND), expires_at)
    pause = outage_pause(outage)
    at = now + pause + int(chance * max(SECOND, pause // 10))
    return _again(reason, 0, at, expires_at, given_back=1)


def doubt(delivery: int, cause: Cause) -> Outcome:
    """Return the outcome of a letter that was begun by a process that then died of *cause*."""
    return Outcome(delivery, Answer.IN_DOUBT, _DOUBTS[cause], cause=cause)


def is_by_service(outcome: Outcome) -> bool:
    """Return whether *outcome* is an answer of a push service, or the want of one."""
    return outcome.cause is not Cause.HELD_BACK and outcome.cause not in _DOUBTS


def _again(
    reason: str, tries: int, at: Millis, expires_at: Millis | None, given_back: int = 0
) -> Decision:
    if tries >= MAX_TRIES:
        return Decision(DeliveryStatus.REJECTED, f"{reason}, {tries} times")
    if expires_at is not None and at >= expires_at:
        return Decision(DeliveryStatus.EXPIRED, f"{reason}, until its time was over")
    return Decision(DeliveryStatus.PLANNED, reason, at, given_back)


def _final(answer: Answer, reason: str) -> Decision:
    status, effect = _FINAL[answer]
    return Decision(status, reason, effect=effect)


_FINAL = {
    Answer.ACCEPTED: (DeliveryStatus.ACCEPTED, None),
    Answer.GONE: (DeliveryStatus.GONE, "gone"),
    Answer.REFUSED: (DeliveryStatus.REJECTED, "failed"),
    Answer.QUARANTINE: (DeliveryStatus.REJECTED, "failed"),
    Answer.TOO_LARGE: (DeliveryStatus.REJECTED, "small"),
    Answer.OUR_FAULT: (DeliveryStatus.REJECTED, None),
    Answer.BLOCKED: (DeliveryStatus.REJECTED, None),
    Answer.IN_DOUBT: (DeliveryStatus.IN_DOUBT, None),
}


def backoff(tries: int, chance: float) -> Millis:
    """Return a pause with full jitter: from 2 s up to 4, 8, 16 s, ... at most 5 minutes."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 10))
    return FIRST_PAUSE + int(chance * (longest - FIRST_PAUSE))


def outage_pause(lasted: Millis) -> Millis:
    """Return the pause in an outage of *lasted*: as long again, from 2 s to 5 minutes."""
    return min(LONGEST_PAUSE, max(FIRST_PAUSE, lasted))


def clamp_to_day(retry_after: Millis | None) -> Millis:
    """Return a Retry-After within bounds: one second to one day, a minute for none."""
    if retry_after is None:
        return MINUTE
    return min(max(retry_after, SECOND), DAY)


def seconds_left(expires_at: Millis | None, now: Millis, ttl: int) -> int:
    """Return the TTL to ask for: what is left of the message's life (RFC 8030, 5.2)."""
    if expires_at is None:
        return ttl
    return max(0, min(ttl, (expires_at - now + 999) // SECOND))

"""
What becomes of one row of the ledger after an answer of a push service.

Sources: RFC 8030, and the services' own answers as docs/sending.md lists them.
"""

from typing import NamedTuple

from pushctl.model import Answer, DeliveryStatus, Millis, Outcome
from pushctl.rules.units import DAY, MINUTE, SECOND

MAX_TRIES = 6
REDIRECTS = 3  # no push service redirects: three times, and the subscription is put aside
FIRST_PAUSE: Millis = 2 * SECOND
LONGEST_PAUSE: Millis = 5 * MINUTE

# What push/ says of letters that were never begun: nothing was sent, nothing learnt.
HELD_BACK = "held back"

# What we say ourselves of letters whose sending process died: no service's fault.
STOPPED = "the sender was stopped"
RESTARTED = "the machine was restarted"

# What push/ says of a letter that went down with a connection that is counted already.
LOST_TOO = "connection lost with others"


class Decision(NamedTuple):
    """What becomes of a delivery, and of its subscription."""

    status: DeliveryStatus
    reason: str
    next_attempt_at: Millis | None = None
    given_back: int = 0  # 1: the try doesn't count
    effect: str | None = None  # "gone", "failed", "small": what the subscription learns


def decide(
    outcome: Outcome,
    tries: int,
    expires_at: Millis | None,
    now: Millis,
    chance: float,
    proved: bool,
) -> Decision:
    """
    Return what becomes of the delivery that *outcome* is about.

    *tries* counts this one; *chance* is a random number from 0 to 1 for the jitter;
    *proved* says whether this push service has accepted anything signed with the same
    key in this run: only then a refusal is about the subscription and not about us.
    """
    answer, reason = outcome.answer, outcome.reason
    if answer is Answer.RETRY:
        if never_started(outcome):
            return Decision(DeliveryStatus.PLANNED, reason, None, 1)
        if reason.endswith("redirect") and tries >= REDIRECTS:
            return _FINAL[Answer.QUARANTINE](reason)
        pause = backoff(tries, chance)
        if outcome.retry_after is not None:
            pause = max(pause, within_day(outcome.retry_after))
        return _again(reason, tries, now + pause, expires_at)
    if answer is Answer.THROTTLED:
        # The row is not at fault, so only its time to live bounds the tries.
        pause = within_day(outcome.retry_after)
        return _again(reason, 0, now + pause + int(chance * SECOND), expires_at, given_back=1)
    if answer is Answer.THROTTLED_ONE:
        return _again(reason, tries, now + within_day(outcome.retry_after), expires_at)
    if answer is Answer.REFUSED and not proved:
        return _again(reason, 0, now + backoff(1, chance), expires_at, given_back=1)
    if answer is Answer.OUR_FAULT and tries < 2:
        # The campaign stops for it, so it may be put right and tried once more.
        return Decision(DeliveryStatus.PLANNED, reason)
    return _FINAL[answer](reason)


def never_started(outcome: Outcome) -> bool:
    """Say whether nothing of the letter was sent, so that nothing was learnt either."""
    return outcome.answer is Answer.RETRY and outcome.reason == HELD_BACK


def by_a_service(outcome: Outcome) -> bool:
    """Say whether *outcome* tells anything of a push service."""
    return not (never_started(outcome) or outcome.reason in (STOPPED, RESTARTED))


def _again(
    reason: str, tries: int, at: Millis, expires_at: Millis | None, given_back: int = 0
) -> Decision:
    if tries >= MAX_TRIES:
        return Decision(DeliveryStatus.REJECTED, f"{reason}, {tries} times")
    if expires_at is not None and at >= expires_at:
        return Decision(DeliveryStatus.EXPIRED, f"{reason}, until its time was over")
    return Decision(DeliveryStatus.PLANNED, reason, at, given_back)


_FINAL = {
    Answer.ACCEPTED: lambda reason: Decision(DeliveryStatus.ACCEPTED, reason),
    Answer.GONE: lambda reason: Decision(DeliveryStatus.GONE, reason, effect="gone"),
    Answer.REFUSED: lambda reason: Decision(DeliveryStatus.REJECTED, reason, effect="failed"),
    Answer.QUARANTINE: lambda reason: Decision(
        DeliveryStatus.REJECTED, reason, effect="failed"
    ),
    Answer.TOO_LARGE: lambda reason: Decision(DeliveryStatus.REJECTED, reason, effect="small"),
    Answer.OUR_FAULT: lambda reason: Decision(DeliveryStatus.REJECTED, reason),
    Answer.BLOCKED: lambda reason: Decision(DeliveryStatus.REJECTED, reason),
    Answer.IN_DOUBT: lambda reason: Decision(DeliveryStatus.IN_DOUBT, reason),
}


def backoff(tries: int, chance: float) -> Millis:
    """Return a pause with full jitter: from 2 s up to 4, 8, 16 s, ... at most 5 minutes."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 10))
    return FIRST_PAUSE + int(chance * (longest - FIRST_PAUSE))


def within_day(retry_after: Millis | None) -> Millis:
    """Return a Retry-After within bounds: one second to one day, a minute for none."""
    if retry_after is None:
        return MINUTE
    return min(max(retry_after, SECOND), DAY)


def seconds_left(expires_at: Millis | None, now: Millis, ttl: int) -> int:
    """Return the TTL to ask for: what is left of the message's life (RFC 8030, 5.2)."""
    if expires_at is None:
        return ttl
    return max(0, min(ttl, (expires_at - now + 999) // SECOND))

"""
What to do with each answer of a push service, and how much each of them may get.

Two pure parts. ``decide`` says what becomes of one row of the ledger. A ``Lane`` is what
this run has learnt about one push service and key: ``heard`` adds answers to it,
``allowance`` says how many letters may go out now. Sources: RFC 8030, and the services'
own answers as docs/sending.md lists them.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from pushctl.model import Answer, DeliveryStatus, Millis, Outcome

SECOND: Millis = 1000
MINUTE: Millis = 60 * SECOND
DAY: Millis = 24 * 60 * MINUTE

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


# --- what this run has learnt about one push service and key ----------------------

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


def heard(
    lane: Lane, codes: str, now: Millis, retry_after: Millis | None = None, reason: str = ""
) -> Lane:
    """
    Return *lane* after the answers *codes*, in the order in which they came.

    *retry_after* is the longest pause asked for among them, *reason* the last answer that
    was no acceptance.
    """
    lane = replace(
        lane,
        recent=(lane.recent + codes)[-WINDOW:],
        answered=lane.answered + len(codes),
        accepted=lane.accepted + codes.count("a"),
        gone=lane.gone + codes.count("g"),
    )
    if lane.probing:
        lane = _probed(lane, codes, now, retry_after)
    if "r" in codes and lane.accepted == 0:
        lane = replace(lane, why=f"refuses us ({reason})")
    if "r" in codes and _refuses(lane):
        return replace(lane, stopped=True, why=f"refuses us ({reason})")
    if "t" in codes:
        lane = _throttled(lane, now, retry_after, reason)
    if "f" in codes and _fails(lane) and not lane.probing:
        until = now + max(MINUTE, _asked(retry_after))
        lane = replace(lane, probing=True, hold_until=until, why=f"keeps failing ({reason})")
    return lane


def _refuses(lane: Lane) -> bool:
    """Five refusals in a row before any acceptance, or half of what came last."""
    if lane.accepted == 0:
        return lane.recent.endswith("r" * CANARIES)
    last = lane.recent[-BREAKER_WINDOW:]
    return len(last) == BREAKER_WINDOW and last.count("r") * 2 >= BREAKER_WINDOW


def _fails(lane: Lane) -> bool:
    if lane.accepted == 0:
        return lane.recent.endswith("f" * CANARIES)
    last = lane.recent[-BREAKER_WINDOW:]
    return len(last) == BREAKER_WINDOW and last.count("f") * 2 >= BREAKER_WINDOW


def _asked(retry_after: Millis | None) -> Millis:
    return 0 if retry_after is None else within_day(retry_after)


def _probed(lane: Lane, codes: str, now: Millis, retry_after: Millis | None) -> Lane:
    # Letters that were on their way when the circuit opened prove nothing; a probe's
    # answer comes after the hold is over.
    if now < lane.hold_until:
        return lane
    if codes.strip("f"):
        return replace(lane, probing=False, recent=codes[-WINDOW:], why="")
    return replace(lane, hold_until=now + max(MINUTE, _asked(retry_after)))


def _throttled(lane: Lane, now: Millis, retry_after: Millis | None, reason: str) -> Lane:
    if lane.recent.count("t") < THROTTLED_SHARE * len(lane.recent):
        return lane
    until = max(lane.hold_until, now + within_day(retry_after))
    held = replace(lane, hold_until=until, why=f"asks us to slow down ({reason})")
    if now < lane.hold_until:
        return held  # the same episode: what was under way when it began
    return replace(held, throttled_at=now)


# Fewer acceptances measure the start of a run rather than what a service takes.
MEASURABLE = 200
LEAST_RATE = 10.0
RECOVERY: Millis = 20 * SECOND


def slowed(lane: Lane, accepted: int, elapsed: Millis) -> Lane:
    """
    Return *lane* at half the rate at which it throttled us; at least ten a second.

    *accepted* messages in *elapsed* are that rate. Of too few nothing can be told: then
    the pause that the service asked for is the answer.
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


def allowance(lane: Lane, flying: int, now: Millis) -> int:
    """
    Return how many letters may go out beside the *flying* ones.

    Until something was accepted only a few are risked (canaries), twice as many with
    each answer that is no acceptance but no refusal either.
    """
    if lane.stopped or now < lane.hold_until:
        return 0
    if lane.probing:
        return max(0, 1 - flying)
    if lane.accepted == 0:
        return max(0, max(CANARIES, min(2 * lane.answered, 500)) - flying)
    return UNLIMITED


FEW_GONE = 100  # fewer prove nothing, and can be put right by hand
TELLING = 20  # receivers of earlier messages who tell that a service is in order


def suspiciously_gone(gone: int, answered: int) -> bool:
    """
    Say whether so many subscriptions are gone that the fault may be ours or theirs.

    The caller weighs it against the past: where less than 5 % used to be gone, the
    origin stops and nobody more is deleted (faults seen: 40 % in waves, real and not).
    """
    return gone > FEW_GONE and gone > 0.2 * answered


USUALLY_GONE = 0.05


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate limit: tokens that come in evenly, for at most half a second's burst."""

    rate: float  # tokens a second
    tokens: float = 1.0
    at: Millis = 0

    def filled(self, now: Millis, rate: float | None = None) -> "Bucket":
        rate = self.rate if rate is None else rate
        come = max(0, now - self.at) / SECOND * rate
        return Bucket(rate, min(max(1.0, rate / 2), self.tokens + come), max(self.at, now))

    def taken(self, count: int) -> "Bucket":
        return replace(self, tokens=self.tokens - count)

    @property
    def ready(self) -> int:
        """
        How many may go out: none until a tenth of a second's are together.

        Each handful is claimed, journalled and booked as one; single letters would cost
        ten times as much.
        """
        return int(self.tokens) if self.tokens >= self.handful else 0

    def wait(self) -> float:
        """Return the seconds until something may go out."""
        return max(0.0, (self.handful - self.tokens) / self.rate)

    @property
    def handful(self) -> float:
        return max(1.0, self.rate / 10)


ERROR_WINDOW = 1000
ERROR_SHARE = 0.25


def spread(errors: int, ended: int) -> str:
    """
    Return one letter for each of *ended* final states, *errors* of them "x", evenly mixed.

    Answers are counted by the batch; errors all in front of it would be the first ones that
    the last thousand forget.
    """
    first = max(0, ended - ERROR_WINDOW)
    if not errors:
        return "a" * (ended - first)
    return "".join(
        "x" if (number + 1) * errors // ended > number * errors // ended else "a"
        for number in range(first, ended)
    )


def too_many_errors(recent: str) -> bool:
    """
    Say whether a campaign should stop and ask: a quarter of the last answers are errors.

    *recent* holds one letter for each of the last (up to 1,000) final states: "x" for
    rejected or in doubt. Two hundred are needed for a judgement.
    """
    return len(recent) >= 200 and recent.count("x") >= ERROR_SHARE * len(recent)

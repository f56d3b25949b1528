"""What each answer leads to, and how much a push service may get."""

from typing import Any

import pytest

from pushctl.model import Answer, Cause, DeliveryStatus, Outcome
from pushctl.rules.delivery import lane as lanes
from pushctl.rules.delivery import retry, stop_thresholds
from pushctl.rules.delivery.bucket import Bucket
from pushctl.rules.delivery.lane import CODES, Lane, allowance, pace, slow_down
from tests.support import DAY, HOUR, MINUTE, NOON, SECOND


def outcome(answer: Answer, reason: str = "", **more: int | Cause) -> Outcome:
    return Outcome(1, answer, reason, **more)  # type: ignore[arg-type]


def decide(
    answer: Answer,
    reason: str = "x",
    *,
    tries: int = 1,
    life: int | None = DAY,
    chance: float = 0.5,
    proved: bool = True,
    **more: int | Cause,
) -> retry.Decision:
    end = None if life is None else NOON + life
    return retry.decide(outcome(answer, reason, **more), tries, end, NOON, chance, proved)


@pytest.mark.parametrize(
    ("answer", "status", "effect"),
    [
        (Answer.ACCEPTED, DeliveryStatus.ACCEPTED, None),
        (Answer.GONE, DeliveryStatus.GONE, "gone"),
        (Answer.TOO_LARGE, DeliveryStatus.REJECTED, "small"),
        (Answer.QUARANTINE, DeliveryStatus.REJECTED, "failed"),
        (Answer.BLOCKED, DeliveryStatus.REJECTED, None),
        (Answer.IN_DOUBT, DeliveryStatus.IN_DOUBT, None),
        (Answer.REFUSED, DeliveryStatus.REJECTED, "failed"),
    ],
)
def test_final_answers_end_a_delivery(
    answer: Answer, status: DeliveryStatus, effect: str | None
) -> None:
    decision = decide(answer)
    assert (decision.status, decision.effect) == (status, effect)
    assert decision.next_attempt_at is None


def test_every_answer_has_a_decision_and_a_code() -> None:
    for answer in Answer:
        assert decide(answer).status in DeliveryStatus
        assert answer in CODES


def test_a_service_fault_is_tried_again_with_growing_pauses() -> None:
    pauses = [decide(Answer.RETRY, tries=tries, chance=1.0) for tries in range(1, 6)]
    waits = [it.next_attempt_at - NOON for it in pauses if it.next_attempt_at]
    assert waits == [4 * SECOND, 8 * SECOND, 16 * SECOND, 32 * SECOND, 64 * SECOND]
    assert all(it.status is DeliveryStatus.PLANNED for it in pauses)


def test_pauses_lie_between_two_seconds_and_five_minutes() -> None:
    for tries in range(1, 40):
        assert retry.backoff(tries, 0.0) == 2 * SECOND
        assert retry.backoff(tries, 1.0) <= 5 * MINUTE


def test_the_sixth_failure_is_the_last() -> None:
    decision = decide(Answer.RETRY, "503 service fault", tries=6)
    assert decision.status is DeliveryStatus.REJECTED
    assert decision.reason == "503 service fault, 6 times"


def test_retry_after_wins_over_a_shorter_pause() -> None:
    decision = decide(Answer.RETRY, retry_after=2 * MINUTE)
    assert decision.next_attempt_at == NOON + 2 * MINUTE


def test_nothing_is_tried_again_after_its_time() -> None:
    decision = decide(Answer.RETRY, life=2 * SECOND, chance=0.0)
    assert decision.status is DeliveryStatus.EXPIRED


def test_a_throttled_try_does_not_count() -> None:
    decision = decide(Answer.THROTTLED, tries=6, retry_after=MINUTE)
    assert decision.status is DeliveryStatus.PLANNED
    assert decision.given_back == 1
    assert decision.next_attempt_at == NOON + MINUTE + 500


def test_a_throttled_device_counts_its_tries() -> None:
    assert decide(Answer.THROTTLED_ONE, tries=6).status is DeliveryStatus.REJECTED
    assert decide(Answer.THROTTLED_ONE).next_attempt_at == NOON + MINUTE


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, MINUTE), (1, SECOND), (HOUR, HOUR), (9 * DAY, DAY)]
)
def test_retry_after_stays_within_a_second_and_a_day(asked: int | None, granted: int) -> None:
    assert retry.clamp_to_day(asked) == granted


def test_a_refusal_before_any_acceptance_is_not_the_subscriptions_fault() -> None:
    decision = decide(Answer.REFUSED, proved=False)
    assert decision.status is DeliveryStatus.PLANNED
    assert decision.effect is None


def test_what_was_held_back_was_never_tried() -> None:
    decision = decide(Answer.RETRY, "held back", tries=6, cause=Cause.HELD_BACK)
    assert decision == retry.Decision(DeliveryStatus.PLANNED, "held back", None, 1)


def test_the_third_redirect_puts_the_subscription_aside() -> None:
    redirect: Any = {"reason": "302 redirect", "cause": Cause.REDIRECT}
    assert decide(Answer.RETRY, tries=2, **redirect).effect is None
    assert decide(Answer.RETRY, tries=3, **redirect).effect == "failed"


def test_our_own_fault_waits_once_for_being_put_right() -> None:
    assert decide(Answer.OUR_FAULT, tries=1).status is DeliveryStatus.PLANNED
    assert decide(Answer.OUR_FAULT, tries=2).status is DeliveryStatus.REJECTED


def test_the_ttl_is_what_is_left() -> None:
    assert retry.seconds_left(NOON + HOUR, NOON, 86_400) == 3600
    assert retry.seconds_left(NOON + DAY, NOON, 60) == 60
    assert retry.seconds_left(NOON - 1, NOON, 60) == 0
    assert retry.seconds_left(NOON + 1, NOON, 60) == 1


# --- lanes --------------------------------------------------------------------------


def heard(lane: Lane, *batches: str, now: int = NOON, **more: int) -> Lane:
    for codes in batches:
        lane = lanes.add_answers(lane, codes, now, reason="why", **more)  # type: ignore[arg-type]
    return lane


def test_a_new_service_gets_five_canaries() -> None:
    assert allowance(Lane(), 0, NOON) == 5
    assert allowance(Lane(), 3, NOON) == 2
    assert allowance(Lane(), 5, NOON) == 0


def test_the_first_acceptance_opens_the_way() -> None:
    assert allowance(heard(Lane(), "a"), 100_000, NOON) > 100_000


def test_gone_canaries_prove_nothing_but_let_a_few_more_go() -> None:
    lane = heard(Lane(), "ggggg")
    assert allowance(lane, 0, NOON) == 10
    assert not lane.stopped


def test_five_refusals_before_any_acceptance_stop_the_service() -> None:
    lane = heard(Lane(), "rrrr")
    assert not lane.stopped
    lane = heard(lane, "r")
    assert lane.stopped
    assert allowance(lane, 0, NOON + DAY) == 0


def test_after_an_acceptance_a_few_refusals_are_the_subscriptions() -> None:
    assert not heard(Lane(), "a", "r" * 20).stopped


def test_refusals_of_half_of_the_last_fifty_stop_a_proved_service() -> None:
    assert heard(Lane(), "a" * 200, "r" * 25).stopped
    assert not heard(Lane(), "a" * 200, "r" * 24).stopped


def test_throttling_holds_the_service_until_retry_after() -> None:
    lane = heard(Lane(), "at", retry_after=15 * MINUTE)
    assert lane.hold_until == NOON + 15 * MINUTE
    assert allowance(lane, 0, NOON + MINUTE) == 0
    assert allowance(lane, 0, NOON + 15 * MINUTE) > 0


def test_a_lone_429_among_many_acceptances_is_its_receivers_alone() -> None:
    assert heard(Lane(), "a" * 199, "t").hold_until == 0
    assert heard(Lane(), "a" * 180, "t" * 20).hold_until > NOON


def test_throttling_halves_the_rate_which_then_recovers() -> None:
    lane = slow_down(heard(Lane(), "t", retry_after=SECOND), 10_000, 10 * SECOND)
    assert lane.rate == 500.0
    until = lane.hold_until
    assert pace(lane, until) == 500.0
    assert pace(lane, until + 20 * SECOND) == pytest.approx(750.0)
    assert slow_down(lane, 300, 10 * MINUTE).rate == 10.0


def test_a_pause_at_the_start_of_a_run_cripples_nobody() -> None:
    held = heard(Lane(), "at", retry_after=SECOND)
    assert slow_down(held, accepted=1, elapsed=SECOND).rate is None


def test_what_was_under_way_when_throttling_began_does_not_halve_again() -> None:
    first = heard(Lane(), "t", retry_after=MINUTE)
    again = heard(first, "t", now=NOON + SECOND, retry_after=MINUTE)
    assert again.throttled_at == first.throttled_at
    assert again.hold_until == NOON + SECOND + MINUTE


def test_half_of_fifty_failing_opens_the_circuit() -> None:
    assert heard(Lane(), "a" * 26, "f" * 24).hold_until == 0
    lane = heard(Lane(), "a" * 25, "f" * 25)
    assert lane.probing
    assert allowance(lane, 0, NOON + SECOND) == 0


def test_five_failing_canaries_open_it_too() -> None:
    assert heard(Lane(), "fffff").probing


def test_one_probe_a_minute_closes_the_circuit_when_it_works() -> None:
    lane = heard(Lane(), "a" * 25, "f" * 25)
    later = NOON + MINUTE
    assert allowance(lane, 0, later) == 1
    assert allowance(lane, 1, later) == 0
    failed = heard(lane, "f", now=later)
    assert failed.probing
    assert failed.hold_until == later + MINUTE
    closed = heard(lane, "a", now=later)
    assert not closed.probing
    assert allowance(closed, 50, later) > 1000


def test_latecomers_do_not_close_the_circuit() -> None:
    lane = heard(Lane(), "a" * 25, "f" * 25)
    assert heard(lane, "aaaa", now=NOON + SECOND).probing


@pytest.mark.parametrize(
    ("gone", "of", "suspicious"),
    [
        (0, 1000, False),
        (100, 100, False),
        (101, 101, True),
        (200, 1000, False),
        (201, 1000, True),
    ],
)
def test_more_than_a_hundred_and_a_fifth_gone_is_suspicious(
    gone: int, of: int, suspicious: bool
) -> None:
    assert stop_thresholds.has_suspicious_share(gone, of) is suspicious


def test_a_bucket_lets_out_its_rate() -> None:
    bucket, out = Bucket(10.0, at=NOON), 0
    for tick in range(101):
        bucket = bucket.refill(NOON + tick * 100)
        bucket, out = bucket.take(bucket.ready), out + bucket.ready
    assert out == pytest.approx(101, abs=1)


def test_a_bucket_lets_out_a_tenth_of_a_second_at_a_time() -> None:
    bucket, taken = Bucket(200.0, at=NOON), []
    for tick in range(1, 1001):
        bucket = bucket.refill(NOON + tick)
        if bucket.ready:
            assert bucket.wait() == 0
            taken.append(bucket.ready)
        bucket = bucket.take(bucket.ready)
    assert taken == pytest.approx([20] * 10, abs=1)
    assert bucket.wait() <= 0.1


def test_what_a_bucket_waits_for_is_there_then() -> None:
    bucket = Bucket(200.0, tokens=0.0, at=NOON)
    later = NOON + round(bucket.wait() * 1000)
    assert not bucket.refill(later - 1).ready
    assert bucket.refill(later).ready == 20


def test_a_long_pause_does_not_save_up_a_burst() -> None:
    assert Bucket(10.0, at=NOON).refill(NOON + DAY).tokens == 5.0


def test_errors_of_a_large_batch_are_not_forgotten_first() -> None:
    assert stop_thresholds.spread(0, 3000) == "a" * stop_thresholds.ERROR_WINDOW
    assert stop_thresholds.spread(2, 4) == "axax"
    mixed = stop_thresholds.spread(900, 3000)
    assert (len(mixed), mixed.count("x")) == (1000, 300)
    assert stop_thresholds.has_too_many_errors(mixed)


def test_a_quarter_of_errors_is_too_much_but_not_of_the_first_few() -> None:
    assert not stop_thresholds.has_too_many_errors("x" * 199)
    assert stop_thresholds.has_too_many_errors("x" * 200)
    assert not stop_thresholds.has_too_many_errors("x" * 49 + "a" * 151)
    assert stop_thresholds.has_too_many_errors("x" * 50 + "a" * 150)


def test_a_service_that_fails_and_names_a_time_is_left_alone_until_then() -> None:
    lane = lanes.add_answers(Lane(), "fffff", NOON, 10 * MINUTE, "503")
    assert allowance(lane, 0, NOON + 10 * MINUTE - 1) == 0
    assert allowance(lane, 0, NOON + 10 * MINUTE) == 1
    again = lanes.add_answers(lane, "f", NOON + 10 * MINUTE, 5 * MINUTE, "503")
    assert allowance(again, 0, NOON + 15 * MINUTE - 1) == 0

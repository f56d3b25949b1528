"""Which letters go out now, which wait, and which go back into the ledger."""

from pathlib import Path

import pytest

from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.types import LaneKey, RenderedRow
from pushctl.model import Cause, Millis
from pushctl.rules.delivery.lane import allowance
from pushctl.store import clocks
from pushctl.store.origins import Origin
from tests.support import HOUR, MINUTE, NOON, SECOND, sending

A: LaneKey = ("https://a.example", "key")
B: LaneKey = ("https://b.example", "key")


def rendered(lane: LaneKey, count: int, first: int = 0) -> list[RenderedRow]:
    return [
        RenderedRow(sending.letter(number), lane, 1, None, number, "en", 0)
        for number in range(first, first + count)
    ]


def proved(throttle: Throttle, *lanes: LaneKey) -> Throttle:
    for lane in lanes:
        throttle.add_answers(lane, "a", NOON, None, "")
    return throttle


def test_new_services_are_tried_with_single_letters() -> None:
    throttle = Throttle({})
    throttle.add(rendered(A, 20), NOON)
    chunks = [throttle.take(500, NOON, careful=1) for _ in range(7)]
    assert [len(chunk) for chunk in chunks] == [1, 1, 1, 1, 1, 0, 0]
    proved(throttle, A)
    assert len(throttle.take(500, NOON, careful=1)) == 15
    assert throttle.waiting == 0


def test_a_chunk_mixes_services_as_the_list_does() -> None:
    throttle = proved(Throttle({}), A, B)
    throttle.add(rendered(A, 900), NOON)
    throttle.add(rendered(B, 300, first=1000), NOON)
    chunk = throttle.take(400, NOON, careful=1)
    assert len(chunk) == 400
    assert sum(row.lane == A for row in chunk) == 300


def test_a_held_services_letters_go_back_with_a_date_after_the_hold() -> None:
    throttle = proved(Throttle({}), A, B)
    throttle.add(rendered(A, 50) + rendered(B, 50, first=100), NOON)
    throttle.add_answers(A, "tttttttttt", NOON, HOUR, "429")
    given = list(throttle.release(NOON))
    assert {it.id for it in given} == set(range(50))
    dates = [it.next_attempt_at for it in given]
    assert all(it is not None and NOON + HOUR <= it <= NOON + 66 * MINUTE for it in dates)
    assert {it.cause for it in given} == {Cause.SERVICE_WAITS}
    assert len(throttle.take(500, NOON, careful=1)) == 50


def test_a_stopped_services_letters_wait_for_a_person() -> None:
    throttle = Throttle({})
    throttle.add(rendered(A, 3), NOON)
    throttle.add_answers(A, "rrrrr", NOON, None, "401")
    assert [it.next_attempt_at for it in throttle.release(NOON)] == [None] * 3
    assert throttle.has_stopped_all()


def test_what_an_earlier_run_learnt_still_holds() -> None:
    origin = Origin(A[0], NOON + HOUR, "asks us to slow down", 50.0, NOON)
    throttle = Throttle({A[0]: origin})
    throttle.add(rendered(A, 3), NOON)
    assert throttle.take(500, NOON, careful=1) == []
    assert len(list(throttle.release(NOON))) == 3
    assert throttle.lanes[A].rate == 50.0


def test_a_campaigns_rate_lets_out_what_it_allows() -> None:
    throttle = proved(Throttle({}, campaign_rate=100.0, now=NOON), A)
    throttle.add(rendered(A, 500), NOON)
    sent = sum(len(throttle.take(500, NOON + tick * 100, careful=1)) for tick in range(11))
    assert 100 <= sent <= 102


def test_a_campaigns_rate_has_use_for_two_seconds_of_letters() -> None:
    assert proved(Throttle({}), A).room() is None
    throttle = proved(Throttle({}, campaign_rate=100.0, now=NOON), A)
    assert throttle.room() == 200
    throttle.add(rendered(A, 101), NOON)
    assert throttle.room() == 0  # not before half of them have gone
    throttle.take(10, NOON + SECOND, 1)
    assert throttle.room() == 109


def test_a_services_rate_gives_the_rest_back_in_its_turn() -> None:
    throttle = proved(Throttle({}, origin_rate=10.0, now=NOON), A)
    throttle.add(rendered(A, 100), NOON)
    given = list(throttle.release(NOON))
    assert len(given) == 80
    dates = sorted(it.next_attempt_at or 0 for it in given)
    assert {it.cause for it in given} == {Cause.RATE_LIMIT}
    assert dates[0] > NOON + SECOND
    assert dates[-1] == NOON + 10 * SECOND


def test_throttling_halves_what_was_measured_and_stays_for_the_run() -> None:
    throttle = Throttle({})
    throttle.load_lane(A, NOON)
    throttle.add_answers(A, "a" * 1000, NOON + SECOND, None, "")
    lane = throttle.add_answers(A, "t" * 200, NOON + 10 * SECOND, MINUTE, "429")
    assert lane.rate == 50.0
    assert allowance(lane, 0, NOON + 10 * SECOND + MINUTE) > 0


def test_flying_letters_are_counted_until_they_land() -> None:
    throttle = proved(Throttle({}), A)
    throttle.add(rendered(A, 10), NOON)
    chunk = throttle.take(4, NOON, careful=1)
    assert (throttle.under_way, throttle.waiting) == (4, 6)
    throttle.take_back(chunk)
    assert throttle.under_way == 0
    assert len(throttle.drain()) == 6
    assert throttle.waiting == 0


def test_the_keys_of_a_service_share_the_rate_that_is_set_for_it() -> None:
    other: LaneKey = (A[0], "older key")
    throttle = proved(Throttle({}, origin_rate=100.0, now=NOON), A, other)
    throttle.add(rendered(A, 500) + rendered(other, 500, first=1000), NOON)
    sent = sum(len(throttle.take(500, NOON + tick * 100, careful=1)) for tick in range(11))
    assert 90 <= sent <= 102


class Machine:
    """Two processes that send, and the clock of the machine that they run on."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = file
        self._ran = 500.0  # seconds
        monkeypatch.setattr(clocks, "read_seconds", lambda: self._ran)

    def send(self, *lags: int, seconds: float = 1.0, rate: float = 100.0) -> list[int]:
        """Have processes whose time *lags* so many ms send; return how many each sent."""
        throttles = [
            Throttle({}, origin_rate=rate, rates=self._file, now=self._now(lag)) for lag in lags
        ]
        for throttle, lag in zip(throttles, lags, strict=True):
            throttle.load_lane(A, self._now(lag))
            throttle.add_answers(A, "a", self._now(lag), None, "")
            throttle.add(rendered(A, 5_000), self._now(lag))
        sent = [0] * len(lags)
        for _ in range(int(seconds * 100)):
            for number, (throttle, lag) in enumerate(zip(throttles, lags, strict=True)):
                sent[number] += len(throttle.take(500, self._now(lag), careful=1))
            self._ran += 0.01
        return sent

    def _now(self, lag: int) -> Millis:
        return NOON + int(self._ran * 1000) - lag


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "rates", monkeypatch)


def test_two_campaigns_at_once_share_the_rate_that_is_set_for_a_service(
    machine: Machine, tmp_path: Path
) -> None:
    assert 90 <= sum(machine.send(0, 0)) <= 102
    assert (tmp_path / "rates").stat().st_mode & 0o777 == 0o600
    # The next one begins with what those have left.
    assert sum(machine.send(0, seconds=0.2)) <= 30


@pytest.mark.parametrize("lag", [1, 100, 900, 1_500, 60_000, HOUR])
def test_a_shared_rate_holds_however_far_apart_two_runs_began(
    machine: Machine, lag: int
) -> None:
    assert 950 <= sum(machine.send(0, lag, seconds=10.0)) <= 1_010


def test_who_shares_a_rate_gets_a_part_of_it(machine: Machine) -> None:
    one, other = machine.send(0, 100, seconds=20.0, rate=20.0)
    assert min(one, other) >= 100


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"{",
        b"[1]",
        b'{"origins": {"https://a.example": 5}, "asked": {}}',
        b'{"origins": {"https://a.example": ["x", "y", "z"]}, "asked": {}}',
        # of the machine's last life, which was longer; and of an hour ago
        b'{"origins": {"https://a.example": [0, 900000000, ""]}, "asked": {}}',
        b'{"origins": {"https://a.example": [0, -3600000, ""]}, "asked": {}}',
    ],
)
def test_what_a_crash_or_a_restart_leaves_of_the_shared_rate_stops_nobody(
    machine: Machine, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "rates").write_bytes(left)
    assert 90 <= sum(machine.send(0)) <= 102


@pytest.mark.parametrize("file", ["/dev/full", "/nowhere/rates"])
def test_a_rate_holds_where_nothing_can_be_written(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 90 <= sum(Machine(Path(file), monkeypatch).send(0)) <= 102


def test_what_goes_back_at_once_is_not_waited_for() -> None:
    throttle = proved(Throttle({}), B)
    assert not throttle.has_to_release(NOON)
    throttle.add(rendered(A, 3), NOON)
    assert not throttle.has_to_release(NOON)
    throttle.add_answers(A, "rrrrr", NOON, None, "401")
    assert throttle.has_to_release(NOON)
    assert throttle.seconds_to_wait(NOON) == 0
    list(throttle.release(NOON))
    assert not throttle.has_to_release(NOON)
    throttle.add_answers(B, "tttttttttt", NOON, HOUR, "429")
    throttle.add(rendered(B, 3), NOON)
    assert throttle.seconds_to_wait(NOON) == 0


def test_what_goes_on_by_itself_tries_a_stopped_service_again() -> None:
    throttle = Throttle({}, again=MINUTE)
    throttle.add(rendered(A, 3), NOON)
    throttle.add_answers(A, "rrrrr", NOON, None, "401")
    assert [it.next_attempt_at for it in throttle.release(NOON)] == [NOON + MINUTE] * 3


# --- standstills ----------------------------------------------------------------------


def test_after_a_standstill_all_rows_return_to_the_ledger() -> None:
    throttle = proved(Throttle({}, standstill=MINUTE), A)
    throttle.add(rendered(A, 500), NOON)
    under_way = throttle.take(200, NOON, careful=1)
    later = NOON + HOUR
    assert throttle.take(200, later, careful=1) == []
    assert throttle.has_to_release(later)
    released = list(throttle.release(later))
    assert {row.next_attempt_at for row in released} == {later}
    assert (len(released), throttle.waiting) == (300, 0)
    # What had been taken before comes back a moment later, and is as old.
    throttle.take_back(under_way)
    throttle.add(under_way, later + SECOND, again=True)
    assert throttle.take(200, later + SECOND, careful=1) == []
    assert len(list(throttle.release(later + SECOND))) == 200
    throttle.add(rendered(A, 10), later + SECOND)
    assert len(throttle.take(200, later + SECOND, careful=1)) == 10


def test_what_comes_back_unsent_goes_out_again_where_nobody_stood_still() -> None:
    throttle = proved(Throttle({}, standstill=MINUTE), A)
    throttle.add(rendered(A, 20), NOON)
    chunk = throttle.take(20, NOON, careful=1)
    throttle.take_back(chunk)
    throttle.add(chunk, NOON + MINUTE, again=True)
    assert not throttle.has_to_release(NOON + MINUTE)
    assert len(throttle.take(20, NOON + MINUTE, careful=1)) == 20

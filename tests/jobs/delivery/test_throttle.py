"""Which letters go out now, which wait, and which go back into the ledger."""

from pathlib import Path

import pytest

from pushctl.jobs.delivery import clock
from pushctl.jobs.delivery.render import Item, LaneKey
from pushctl.jobs.delivery.throttle import Traffic
from pushctl.model import Millis
from pushctl.rules.delivery.lane import allowance
from pushctl.store.origins import Origin
from tests.support import HOUR, MINUTE, NOON, SECOND, sending

A: LaneKey = ("https://a.example", "key")
B: LaneKey = ("https://b.example", "key")


def items(lane: LaneKey, count: int, first: int = 0) -> list[Item]:
    return [
        Item(sending.letter(number), lane, 1, None, number, "en", 0)
        for number in range(first, first + count)
    ]


def proved(traffic: Traffic, *lanes: LaneKey) -> Traffic:
    for lane in lanes:
        traffic.heard(lane, "a", NOON, None, "")
    return traffic


def test_new_services_are_tried_with_single_letters() -> None:
    traffic = Traffic({})
    traffic.add(items(A, 20), NOON)
    chunks = [traffic.take(500, NOON, careful=1) for _ in range(7)]
    assert [len(chunk) for chunk in chunks] == [1, 1, 1, 1, 1, 0, 0]
    proved(traffic, A)
    assert len(traffic.take(500, NOON, careful=1)) == 15
    assert traffic.waiting == 0


def test_a_chunk_mixes_services_as_the_list_does() -> None:
    traffic = proved(Traffic({}), A, B)
    traffic.add(items(A, 900), NOON)
    traffic.add(items(B, 300, first=1000), NOON)
    chunk = traffic.take(400, NOON, careful=1)
    assert len(chunk) == 400
    assert sum(item.lane == A for item in chunk) == 300


def test_a_held_services_letters_go_back_with_a_date_after_the_hold() -> None:
    traffic = proved(Traffic({}), A, B)
    traffic.add(items(A, 50) + items(B, 50, first=100), NOON)
    traffic.heard(A, "tttttttttt", NOON, HOUR, "429")
    given = list(traffic.give_back(NOON))
    assert {it.item.lane for it in given} == {A}
    assert all(it.at is not None and NOON + HOUR <= it.at <= NOON + 66 * MINUTE for it in given)
    assert len(traffic.take(500, NOON, careful=1)) == 50


def test_a_stopped_services_letters_wait_for_a_person() -> None:
    traffic = Traffic({})
    traffic.add(items(A, 3), NOON)
    traffic.heard(A, "rrrrr", NOON, None, "401")
    assert [it.at for it in traffic.give_back(NOON)] == [None] * 3
    assert traffic.all_stopped()


def test_what_an_earlier_run_learnt_still_holds() -> None:
    origin = Origin(A[0], NOON + HOUR, "asks us to slow down", 50.0, NOON)
    traffic = Traffic({A[0]: origin})
    traffic.add(items(A, 3), NOON)
    assert traffic.take(500, NOON, careful=1) == []
    assert len(list(traffic.give_back(NOON))) == 3
    assert traffic.lanes[A].rate == 50.0


def test_a_campaigns_rate_lets_out_what_it_allows() -> None:
    traffic = proved(Traffic({}, campaign_rate=100.0, now=NOON), A)
    traffic.add(items(A, 500), NOON)
    sent = sum(len(traffic.take(500, NOON + tick * 100, careful=1)) for tick in range(11))
    assert 100 <= sent <= 102


def test_a_campaigns_rate_has_use_for_two_seconds_of_letters() -> None:
    assert proved(Traffic({}), A).room() is None
    traffic = proved(Traffic({}, campaign_rate=100.0, now=NOON), A)
    assert traffic.room() == 200
    traffic.add(items(A, 101), NOON)
    assert traffic.room() == 0  # not before half of them have gone
    traffic.take(10, NOON + SECOND, 1)
    assert traffic.room() == 109


def test_a_services_rate_gives_the_rest_back_in_its_turn() -> None:
    traffic = proved(Traffic({}, origin_rate=10.0, now=NOON), A)
    traffic.add(items(A, 100), NOON)
    given = list(traffic.give_back(NOON))
    assert len(given) == 80
    dates = sorted(it.at or 0 for it in given)
    assert dates[0] > NOON + SECOND
    assert dates[-1] == NOON + 10 * SECOND


def test_throttling_halves_what_was_measured_and_stays_for_the_run() -> None:
    traffic = Traffic({})
    traffic.lane(A, NOON)
    traffic.heard(A, "a" * 1000, NOON + SECOND, None, "")
    lane = traffic.heard(A, "t" * 200, NOON + 10 * SECOND, MINUTE, "429")
    assert lane.rate == 50.0
    assert allowance(lane, 0, NOON + 10 * SECOND + MINUTE) > 0


def test_flying_letters_are_counted_until_they_land() -> None:
    traffic = proved(Traffic({}), A)
    traffic.add(items(A, 10), NOON)
    chunk = traffic.take(4, NOON, careful=1)
    assert (traffic.flying, traffic.waiting) == (4, 6)
    traffic.landed(chunk)
    assert traffic.flying == 0
    assert len(traffic.drain()) == 6
    assert traffic.waiting == 0


def test_the_keys_of_a_service_share_the_rate_that_is_set_for_it() -> None:
    other: LaneKey = (A[0], "older key")
    traffic = proved(Traffic({}, origin_rate=100.0, now=NOON), A, other)
    traffic.add(items(A, 500) + items(other, 500, first=1000), NOON)
    sent = sum(len(traffic.take(500, NOON + tick * 100, careful=1)) for tick in range(11))
    assert 90 <= sent <= 102


class Machine:
    """Two processes that send, and the clock of the machine that they run on."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = file
        self._ran = 500.0  # seconds
        monkeypatch.setattr(clock, "steady", lambda: self._ran)

    def send(self, *lags: int, seconds: float = 1.0, rate: float = 100.0) -> list[int]:
        """Have processes whose time *lags* so many ms send; return how many each sent."""
        traffics = [
            Traffic({}, origin_rate=rate, rates=self._file, now=self._now(lag)) for lag in lags
        ]
        for traffic, lag in zip(traffics, lags, strict=True):
            traffic.lane(A, self._now(lag))
            traffic.heard(A, "a", self._now(lag), None, "")
            traffic.add(items(A, 5_000), self._now(lag))
        sent = [0] * len(lags)
        for _ in range(int(seconds * 100)):
            for number, (traffic, lag) in enumerate(zip(traffics, lags, strict=True)):
                sent[number] += len(traffic.take(500, self._now(lag), careful=1))
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
    traffic = proved(Traffic({}), B)
    assert not traffic.returns(NOON)
    traffic.add(items(A, 3), NOON)
    assert not traffic.returns(NOON)
    traffic.heard(A, "rrrrr", NOON, None, "401")
    assert traffic.returns(NOON)
    assert traffic.pause(NOON) == 0
    list(traffic.give_back(NOON))
    assert not traffic.returns(NOON)
    traffic.heard(B, "tttttttttt", NOON, HOUR, "429")
    traffic.add(items(B, 3), NOON)
    assert traffic.pause(NOON) == 0


def test_what_goes_on_by_itself_tries_a_stopped_service_again() -> None:
    traffic = Traffic({}, again=MINUTE)
    traffic.add(items(A, 3), NOON)
    traffic.heard(A, "rrrrr", NOON, None, "401")
    assert [it.at for it in traffic.give_back(NOON)] == [NOON + MINUTE] * 3

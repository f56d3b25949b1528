"""Which letters go out now, which wait, and which go back into the ledger."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from pushctl.jobs.letters import Item, LaneKey
from pushctl.jobs.traffic import Traffic
from pushctl.rules import policy
from pushctl.store.origins import Origin
from tests.support import HOUR, MINUTE, NOON, sending

A: LaneKey = ("https://a.example", "key")
B: LaneKey = ("https://b.example", "key")
SECOND = 1000


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
    assert policy.allowance(lane, 0, NOON + 10 * SECOND + MINUTE) > 0


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


def sent_together(traffics: Sequence[Traffic], ticks: Iterable[int]) -> int:
    """Let each take what it may ten times a second; return how many those were."""
    for traffic in traffics:
        proved(traffic, A)
        traffic.add(items(A, 500), NOON)
    return sum(
        len(traffic.take(500, NOON + tick * 100, careful=1))
        for tick in ticks
        for traffic in traffics
    )


def test_two_campaigns_at_once_share_the_rate_that_is_set_for_a_service(tmp_path: Path) -> None:
    file = tmp_path / "rates"
    both = [Traffic({}, origin_rate=100.0, rates=file, now=NOON) for _ in range(2)]
    assert 90 <= sent_together(both, range(11)) <= 102
    assert file.stat().st_mode & 0o777 == 0o600
    # The next one begins with what those have left.
    later = [Traffic({}, origin_rate=100.0, rates=file, now=NOON)]
    assert sent_together(later, range(10, 12)) <= 12


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"{",
        b"[1]",
        b'{"https://a.example": 5}',
        b'{"https://a.example": ["x", "y"]}',
        # of a clock that was an hour ahead, and of yesterday
        b'{"https://a.example": [0, %d]}' % (NOON + HOUR),
        b'{"https://a.example": [0, %d]}' % (NOON - 24 * HOUR),
    ],
)
def test_what_a_crash_or_a_clock_leaves_of_the_shared_rate_stops_nobody(
    tmp_path: Path, left: bytes
) -> None:
    file = tmp_path / "rates"
    file.write_bytes(left)
    one = [Traffic({}, origin_rate=100.0, rates=file, now=NOON)]
    assert 90 <= sent_together(one, range(11)) <= 102


@pytest.mark.parametrize("file", ["/dev/full", "/nowhere/rates"])
def test_a_rate_holds_where_nothing_can_be_written(file: str) -> None:
    one = [Traffic({}, origin_rate=100.0, rates=Path(file), now=NOON)]
    assert 90 <= sent_together(one, range(11)) <= 102


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

"""The contract of pools, held against each of them (see jobs/delivery/pool)."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import Config
from pushctl.jobs.delivery.pools import pool as pool_of_processes
from pushctl.jobs.delivery.pools.pool import (
    FAR,
    FEW,
    MAX_DEATHS,
    OF_ANSWERS,
    OwnProcess,
    Pool,
    ProcessPool,
    Returned,
    is_far,
    open_pool,
)
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.push import Postbox, chunk, journal
from tests.push.test_transport import letter, letters, postbox
from tests.support import program, wire

Open = Callable[[Postbox], Pool]
CORES = os.cpu_count() or 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[wire.Wire]:
    def behave(request: wire.Request) -> wire.Answer:
        kind = request.path.split("/")[1]
        return wire.Answer(delay={"slow": 30.0, "far": 0.05}.get(kind, 0.0))

    with wire.serve(tmp_path, behave) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, server: wire.Wire) -> Iterator[Postbox]:
    yield replace(postbox(tmp_path, server), stop=tmp_path / "stop")
    chunk.close_sender()


@pytest.fixture(params=["own process", "processes"])
def open_(request: pytest.FixtureRequest) -> Open:
    if request.param == "own process":
        return OwnProcess
    return lambda box: ProcessPool(2, box)


def slow(first: int, count: int) -> list[Letter]:
    return [
        letter(number, endpoint=f"https://{wire.HOST}/slow/{number}")
        for number in range(first, first + count)
    ]


def send(pool: Pool, chunks: Sequence[Sequence[Letter]]) -> Returned:
    """Submit *chunks* as there is room, and poll until all is back."""
    waiting, total = list(chunks), Returned()
    while waiting or pool.busy:
        while waiting and pool.free:
            pool.submit(waiting.pop(0))
        gather(pool, total)
        if total.fault:
            break
    return total


def gather(pool: Pool, total: Returned, seconds: float = 10.0) -> None:
    returned = pool.poll(seconds)
    total.outcomes += returned.outcomes
    total.unsent += returned.unsent
    total.journals += returned.journals
    total.fault = total.fault or returned.fault


def deliveries(returned: Returned) -> list[int]:
    unsent = [letter.delivery for letter in returned.unsent]
    return sorted([outcome.delivery for outcome in returned.outcomes] + unsent)


def test_each_letter_comes_back_once_with_its_outcome(open_: Open, box: Postbox) -> None:
    whole = letters(300)
    with open_(box) as pool:
        returned = send(pool, [whole[start : start + 50] for start in range(0, 300, 50)])
        assert deliveries(returned) == list(range(300))
        assert {it.answer for it in returned.outcomes} == {Answer.ACCEPTED}
        assert (returned.unsent, returned.fault, pool.busy) == ([], None, False)
        assert journal.find_files(box.journal, box.run)
        returned.discard()
        assert not journal.find_files(box.journal, box.run)


def test_it_takes_chunks_while_it_is_free(open_: Open, box: Postbox) -> None:
    with open_(box) as pool:
        room = pool.free
        assert room >= 1
        for number in range(room):
            pool.submit([letter(number)])
        assert pool.free == 0
        total = Returned()
        while pool.busy:
            gather(pool, total)
        assert pool.free == room
        assert deliveries(total) == list(range(room))


def test_polling_an_idle_pool_returns_at_once(open_: Open, box: Postbox) -> None:
    with open_(box) as pool:
        began = time.monotonic()
        assert pool.poll(30.0) == Returned()
        assert time.monotonic() - began < 15  # on a machine with much else to do, too


def test_what_a_sender_held_back_is_unsent(open_: Open, box: Postbox) -> None:
    assert box.stop is not None
    box.stop.touch()
    with open_(box) as pool:
        returned = send(pool, [letters(20)])
    assert (returned.outcomes, len(returned.unsent)) == ([], 20)


def test_an_unreachable_service_is_an_outcome(open_: Open, box: Postbox) -> None:
    nowhere = replace(box, loopback={wire.HOST: "127.0.0.1:1"})
    with open_(nowhere) as pool:
        returned = send(pool, [letters(3)])
    assert {it.cause for it in returned.outcomes} == {Cause.NO_CONNECTION}
    assert deliveries(returned) == [0, 1, 2]


def test_without_a_journal_nothing_is_sent_and_the_fault_comes_back(
    open_: Open, box: Postbox, server: wire.Wire
) -> None:
    (box.journal.parent / "file").touch()
    with open_(replace(box, journal=box.journal.parent / "file" / "journal")) as pool:
        returned = send(pool, [letters(3)])
        assert pool.free == 0
    assert "can't be written" in str(returned.fault)
    assert (returned.outcomes, deliveries(returned)) == ([], [0, 1, 2])
    assert not server.bodies


def test_a_closed_pool_takes_nothing_and_returns_what_it_has(open_: Open, box: Postbox) -> None:
    with open_(box) as pool:
        count = pool.free
        for number in range(count):
            pool.submit([letter(number)])
        for _ in range(2):
            pool.close()
            assert pool.free == 0
        total = Returned()
        while pool.busy:
            gather(pool, total)
        assert deliveries(total) == list(range(count))


def test_a_terminated_pool_returns_all_that_is_left(open_: Open, box: Postbox) -> None:
    with open_(box) as pool:
        pool.submit(letters(5))
        for _ in range(2):
            pool.terminate()
            assert pool.free == 0
        total = Returned()
        gather(pool, total)
        pool.close()
        assert not pool.busy
    assert deliveries(total) == list(range(5))


def test_an_ended_pool_leaves_no_process_behind(open_: Open, box: Postbox) -> None:
    with open_(box) as pool:
        send(pool, [letters(5)])
    assert program.workers_of(os.getpid()) == []


def test_letters_that_a_killed_worker_had_begun_are_in_doubt(
    box: Postbox, server: wire.Wire
) -> None:
    with ProcessPool(1, box) as pool:
        pool.submit(slow(0, 3))
        pool.submit(letters(5)[3:])
        wire.wait_until(lambda: bool(server.bodies))
        os.kill(program.workers_of(os.getpid())[0], signal.SIGKILL)
        total = Returned()
        while pool.busy:
            gather(pool, total)
        assert {it.delivery: it.cause for it in total.outcomes} == dict.fromkeys(
            range(3), Cause.SENDER_STOPPED
        )
        assert [it.delivery for it in total.unsent] == [3, 4]
        assert pool.free
        assert {it.answer for it in send(pool, [total.unsent]).outcomes} == {Answer.ACCEPTED}


def test_a_worker_that_dies_while_a_large_chunk_is_handed_out_is_noticed(
    box: Postbox, server: wire.Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads the rest of the chunk: Python before 3.11.5 would wait for ever."""
    monkeypatch.setattr(pool_of_processes, "END_SECONDS", 1.0)
    with ProcessPool(1, replace(box, timeout=2.0)) as pool:
        pool.submit(slow(0, 1))
        pool.submit(letters(2_000)[1:])  # far more than a pipe holds
        wire.wait_until(lambda: bool(server.bodies))
        os.kill(program.workers_of(os.getpid())[0], signal.SIGKILL)
        total = Returned()
        while pool.busy:
            gather(pool, total)
    assert {it.cause for it in total.outcomes} == {Cause.SENDER_STOPPED}
    assert deliveries(total) == list(range(2_000))


def test_a_chunk_that_a_killed_worker_had_not_read_comes_back(
    box: Postbox, server: wire.Wire
) -> None:
    large = [letter(number, payload=bytes(3_900)) for number in range(10, 60)]
    with ProcessPool(1, box) as pool:
        pool.submit(slow(0, 1))
        pool.submit(large)  # more than a pipe holds
        wire.wait_until(lambda: bool(server.bodies))
        os.kill(program.workers_of(os.getpid())[0], signal.SIGKILL)
        total = Returned()
        while pool.busy:
            gather(pool, total)
        assert [it.delivery for it in total.unsent] == list(range(10, 60))
        assert [it.cause for it in total.outcomes] == [Cause.SENDER_STOPPED]


def test_letters_begun_when_it_is_terminated_are_in_doubt(
    box: Postbox, server: wire.Wire
) -> None:
    with ProcessPool(1, box) as pool:
        pool.submit(slow(0, 3))
        wire.wait_until(lambda: bool(server.bodies))
        pool.terminate()
        returned = pool.poll(0.0)
    assert {it.cause for it in returned.outcomes} == {Cause.SENDER_STOPPED}
    assert deliveries(returned) == [0, 1, 2]


def test_workers_that_die_one_after_another_are_a_fault(
    box: Postbox, server: wire.Wire
) -> None:
    with ProcessPool(1, box) as pool:
        for number in range(MAX_DEATHS):
            pool.submit(slow(number, 1))
            wire.wait_until(lambda: len(server.bodies) > number)  # noqa: B023
            os.kill(program.workers_of(os.getpid())[0], signal.SIGKILL)
            returned = pool.poll(10.0)
            assert (deliveries(returned), returned.fault) == ([number], None)
        returned = send(pool, [letters(3)])
        assert (deliveries(returned), returned.outcomes, pool.free) == ([0, 1, 2], [], 0)
        assert "lower push.workers" in str(returned.fault)


def far(first: int, count: int) -> list[Letter]:
    return [
        letter(number, endpoint=f"https://{wire.HOST}/far/{number}")
        for number in range(first, first + count)
    ]


def test_services_that_are_far_get_more_processes(
    box: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_of_processes, "OF_ANSWERS", 3)
    with ProcessPool(1, box, most=2) as pool:
        window = pool.window
        first = send(pool, [far(0, 3)])
        assert len(program.workers_of(os.getpid())) == 1  # nothing is left for another
        total = send(pool, [far(3, 3), far(6, 3), far(9, 3)])
        assert len(program.workers_of(os.getpid())) == 2
        assert (pool.free, pool.window > window) == (4, True)
    assert deliveries(first) + deliveries(total) == list(range(12))
    assert {it.answer for it in total.outcomes} == {Answer.ACCEPTED}
    assert program.workers_of(os.getpid()) == []


def test_a_worker_added_later_that_is_killed_is_noticed(
    box: Postbox, server: wire.Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_of_processes, "OF_ANSWERS", 3)
    with ProcessPool(1, replace(box, timeout=2.0), most=2) as pool:
        send(pool, [far(0, 3)])
        (first,) = program.workers_of(os.getpid())
        pool.submit(slow(3, 1))
        pool.submit(slow(4, 1))
        wire.wait_until(lambda: {"/slow/3", "/slow/4"} <= server.bodies.keys())
        (added,) = {*program.workers_of(os.getpid())} - {first}
        os.kill(added, signal.SIGKILL)
        total = Returned()
        while pool.busy:
            gather(pool, total)
        assert deliveries(total) == [3, 4]
        assert {it.answer for it in total.outcomes} == {Answer.IN_DOUBT}
        assert len(send(pool, [letters(7)[5:]]).outcomes) == 2
        assert len(program.workers_of(os.getpid())) == 2


def test_a_service_is_far_when_even_its_quickest_answer_takes_long() -> None:
    def answered(milliseconds: int) -> Outcome:
        return Outcome(1, Answer.ACCEPTED, "201", 201, latency=milliseconds)

    slow = [answered(FAR)] * OF_ANSWERS
    assert is_far(slow)
    assert not is_far(slow[1:])  # a few answers say nothing: connections were made first
    assert not is_far([*slow, answered(FAR - 1)])
    assert not is_far([Outcome(1, Answer.RETRY, "not sent")] * OF_ANSWERS)


@pytest.mark.parametrize(("configured", "sizes"), [(0, (CORES, 2 * CORES)), (3, (3, 3))])
def test_how_many_processes_send(box: Postbox, configured: int, sizes: tuple[int, int]) -> None:
    config = Config(Path("pushctl.toml"), contact=box.contact, sites={})
    config = replace(config, push=replace(config.push, workers=configured))
    with open_pool(config, box, FEW + 1) as pool:
        assert isinstance(pool, ProcessPool)
        assert (pool.free, pool._most) == (2 * sizes[0], sizes[1])

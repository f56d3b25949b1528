"""Group commit: nobody hears of a write that did not happen, and nothing grows for ever."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pushctl import inbox
from pushctl.inbox import BadLine, Writer
from pushctl.model import InboxRecord, Millis
from pushctl.receiver import commit
from pushctl.receiver.answers import Refusal
from pushctl.receiver.commit import Committer
from tests.support import NOON


def record(number: int) -> InboxRecord:
    return InboxRecord(f"id-{number}", NOON + number, "/v1/events", "shop", "{}")


def names(folder: Path) -> list[str]:
    entries = inbox.read(folder, {})
    return [entry.item.id for entry in entries if isinstance(entry.item, InboxRecord)]


class SlowDisk(Writer):
    """A real writer whose first write waits until it is let go; remembers the batches."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.batches: list[int] = []
        self.go = threading.Event()

    def write(self, lines: Sequence[bytes], at: Millis) -> None:
        self.batches.append(len(lines))
        assert self.go.wait(10)
        super().write(lines, at)


async def put(committer: Committer, item: InboxRecord) -> None:
    """Return when *item* is on disk; raise what it is refused with."""
    on_disk: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(refusal: Refusal | None) -> None:
        if not on_disk.done():
            (on_disk.set_exception(refusal) if refusal else on_disk.set_result(None))

    committer.put(item, told)
    await on_disk


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_queues_while_the_disk_is_busy_is_written_together(tmp_path: Path) -> None:
    async def story() -> list[int]:
        disk = SlowDisk(tmp_path)
        committer = Committer([disk])
        running = asyncio.create_task(committer.run())
        first = asyncio.create_task(put(committer, record(0)))
        while not disk.batches:
            await asyncio.sleep(0)
        rest = [asyncio.create_task(put(committer, record(number))) for number in range(1, 50)]
        await _turns()
        assert not first.done()  # nothing is on disk yet
        disk.go.set()
        await asyncio.gather(first, *rest)
        committer.close()
        await running
        return disk.batches

    assert asyncio.run(story()) == [1, 49]
    assert names(tmp_path) == [f"id-{number}" for number in range(50)]


def test_a_full_queue_is_said_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        disk = SlowDisk(tmp_path)
        committer = Committer([disk], most=2)
        running = asyncio.create_task(committer.run())
        waiting = [asyncio.create_task(put(committer, record(0)))]
        while not disk.batches:
            await asyncio.sleep(0)
        waiting += [asyncio.create_task(put(committer, record(number))) for number in (1, 2)]
        await _turns()
        with pytest.raises(Refusal) as refused:
            await put(committer, record(3))
        assert (refused.value.status, refused.value.word) == (503, "queue")
        assert refused.value.headers == {"retry-after": "5"}
        disk.go.set()
        await asyncio.gather(*waiting)
        committer.close()
        await running

    asyncio.run(story())
    assert names(tmp_path) == ["id-0", "id-1", "id-2"]


def test_a_disk_that_stalls_is_said_the_sooner_the_more_are_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "STALLED_SECONDS_FOR_MANY", 0.0)
    monkeypatch.setattr(commit, "MANY", 2)

    async def story() -> None:
        disk = SlowDisk(tmp_path)
        committer = Committer([disk])
        running = asyncio.create_task(committer.run())
        waiting = [asyncio.create_task(put(committer, record(0)))]
        while not disk.batches:
            await asyncio.sleep(0)
        waiting += [asyncio.create_task(put(committer, record(number))) for number in (1, 2)]
        await _turns()
        with pytest.raises(Refusal, match="queue"):
            await put(committer, record(3))
        monkeypatch.setattr(commit, "MANY", 99)
        waiting.append(asyncio.create_task(put(committer, record(4))))
        await _turns()
        monkeypatch.setattr(commit, "STALLED_SECONDS", 0.0)
        with pytest.raises(Refusal, match="queue"):
            await put(committer, record(5))
        disk.go.set()
        await asyncio.gather(*waiting)
        committer.close()
        await running

    asyncio.run(story())
    assert names(tmp_path) == ["id-0", "id-1", "id-2", "id-4"]


def test_a_disk_that_fails_refuses_and_recovers_without_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.write_text("where a folder should be")

    async def story() -> None:
        committer = Committer([Writer(folder)])
        running = asyncio.create_task(committer.run())
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await put(committer, record(1))
            assert (refused.value.status, refused.value.word) == (503, "disk")
            assert committer.full
        folder.unlink()
        await put(committer, record(2))
        assert not committer.full
        committer.close()
        await running

    asyncio.run(story())
    assert names(folder) == ["id-2"]


def test_a_disk_that_has_room_again_is_found_out_when_nobody_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "ROTATE_SECONDS", 0.01)
    monkeypatch.setattr(commit, "CHECK_SECONDS", 0.01)
    folder = tmp_path / "inbox"
    folder.write_text("where a folder should be")

    async def story() -> None:
        committer = Committer([Writer(folder), Writer(folder)])
        running = asyncio.create_task(committer.run())
        try:
            with pytest.raises(Refusal, match="disk"):
                await put(committer, record(1))
            assert committer.full
            async with asyncio.timeout(10):
                folder.unlink()
                while committer.full:
                    await asyncio.sleep(0.01)
            await put(committer, record(2))
        finally:
            committer.close()
            await running

    asyncio.run(story())
    assert not [each for each in inbox.read(folder, {}) if isinstance(each.item, BadLine)]
    assert names(folder) == ["id-2"]


def test_a_disk_with_room_for_a_few_bytes_only_is_still_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "ROTATE_SECONDS", 0.01)
    monkeypatch.setattr(commit, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(commit, "MIN_FREE_TO_RECEIVE_BYTES", 1 << 60)

    async def story() -> None:
        looked = asyncio.Event()
        committer = Committer([Writer(tmp_path)])
        loop, look = asyncio.get_running_loop(), committer._has_little_room

        def seen() -> bool:
            loop.call_soon_threadsafe(looked.set)
            return look()

        running = asyncio.create_task(committer.run())
        try:
            with pytest.raises(Refusal, match="room"):
                await put(committer, record(1))
            monkeypatch.setattr(committer, "_has_little_room", seen)
            async with asyncio.timeout(10):
                for _ in range(3):
                    looked.clear()
                    await looked.wait()
            assert committer.full
            monkeypatch.setattr(commit, "MIN_FREE_TO_RECEIVE_BYTES", 0)
            async with asyncio.timeout(10):
                while committer.full:
                    await asyncio.sleep(0.01)
        finally:
            committer.close()
            await running

    asyncio.run(story())


def test_closing_writes_what_waits_and_takes_nothing_more(tmp_path: Path) -> None:
    async def story() -> None:
        committer = Committer([Writer(tmp_path)])
        waiting = [asyncio.create_task(put(committer, record(number))) for number in range(5)]
        await _turns()
        committer.close()
        with pytest.raises(Refusal, match="stopping"):
            await put(committer, record(9))
        await committer.run()
        await asyncio.gather(*waiting)

    asyncio.run(story())
    assert len(names(tmp_path)) == 5


def test_a_client_that_went_away_disturbs_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        disk = SlowDisk(tmp_path)
        committer = Committer([disk])
        running = asyncio.create_task(committer.run())
        gone = asyncio.create_task(put(committer, record(0)))
        while not disk.batches:
            await asyncio.sleep(0)
        gone.cancel()
        disk.go.set()
        await put(committer, record(1))
        committer.close()
        await running

    asyncio.run(story())
    assert names(tmp_path) == ["id-0", "id-1"]

"""
Pools: letters are submitted to them, outcomes come back.

One thread opens a pool as a context manager and makes all calls. What holds for every pool:

| call | may block | afterwards |
|---|---|---|
| ``submit(letters)`` | ``OwnProcess``: until all are answered, at most ``push.timeout`` for each window of them. ``ProcessPool``: while its processes are started, below a second | only while ``free`` is above 0 |
| ``poll(seconds)`` | until the first chunk is back, at most *seconds*. Where a worker died: until the others have ended, at most ``push.timeout`` and 10 s more | at any time |
| ``close()`` | no | ``free`` is 0; chunks that no worker has begun come back unsent, the others as ever |
| ``terminate()`` | until all workers are killed, below a second | ``free`` is 0; the next ``poll`` returns all that is left |
| end of the context | until idle workers have ended, at most ``push.timeout`` and 10 s | nothing more |

No call raises for what a push service, the network or the death of a worker does. Each
letter comes back from ``poll`` once: with an outcome, or as unsent, where nothing of it was
begun and it may be submitted again. Where nothing more can be sent (no journal can be
written, workers die one after another, no thread can be started), the reason comes back as ``fault`` and ``free`` is 0.
Anything raised is a bug in the sender, or KeyboardInterrupt; the journals hold the outcomes
of what was under way, and the next run reads them (``recovery``).
"""  # noqa: E501

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self, cast

from pushctl import log, push
from pushctl.config import Config
from pushctl.errors import ConfigError, name_shortage
from pushctl.jobs.delivery.pools import worker_format
from pushctl.jobs.delivery.types import LaneKey, Sendable
from pushctl.model import Cause, Letter, Millis, Outcome
from pushctl.push import Postbox, journal
from pushctl.rules.delivery import retry
from pushctl.store import clocks
from pushctl.store.clocks import read_seconds

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

# A pool of processes costs as much to start as some thousand letters cost to send.
FEW = 2_000  # letters that need none
# Workers that write letters load templates first, which takes as long as writing 5,000.
MANY = 5_000
MAX_DEATHS = 5  # pools that may die one after another before a chunk comes back

CHUNK = 500  # letters in one call

# The quickest of so many answers took so long: then the way to the service is long, too. One
# beside us answers the last letters of a chunk, after which none is encrypted, much sooner.
FAR, OF_ANSWERS = 20, CHUNK // 2  # milliseconds

SILENT_TIMEOUTS = 70  # times push.timeout: no chunk takes so long, 8 letters at a time
NOTICE_SECONDS = 3.0  # until a pool has noticed that a worker died
END_SECONDS = 10.0  # after push.timeout, until an ending worker has ended


@dataclass
class Returned:
    """The letters that came back from a pool since the last ``poll``."""

    outcomes: list[Outcome] = field(default_factory=list)
    unsent: list[Sendable] = field(default_factory=list)
    unwritten: list[int] = field(default_factory=list)  # rows for which a worker has no letter
    fault: ConfigError | None = None  # why nothing more can be sent
    journals: list[Callable[[], None]] = field(default_factory=list)

    def add(
        self,
        outcomes: Sequence[Outcome],
        letters: Sequence[Sendable],
        postbox: Postbox,
        unwritten: Sequence[int] = (),
    ) -> None:
        """Add the *outcomes* of a chunk; letters that its sender held back are unsent."""
        if unwritten:
            self.unwritten += unwritten
            without = frozenset(unwritten)
            letters = [it for it in letters if it.delivery not in without]
        begun = [outcome for outcome in outcomes if outcome.cause is not Cause.HELD_BACK]
        self.outcomes += begun
        if len(begun) < len(letters):
            answered = {outcome.delivery for outcome in begun}
            self.unsent += [it for it in letters if it.delivery not in answered]
        if letters:
            first = letters[0].delivery  # the journal is called by it
            self.journals.append(partial(journal.discard, postbox.journal, postbox.run, first))

    def recover(self, letters: Iterable[Sendable], postbox: Postbox) -> None:
        """Add *letters* with the outcomes in the journals of dead workers."""
        left = journal.recover(postbox.journal, postbox.run)
        for letter in letters:
            delivery = letter.delivery
            if delivery in left.outcomes:
                self.outcomes.append(left.outcomes[delivery])
            elif delivery in left.started:
                self.outcomes.append(retry.doubt(delivery, Cause.SENDER_STOPPED))
            else:
                self.unsent.append(letter)
        self.journals.append(left.discard)

    def discard(self) -> None:
        """Remove the journals; call it once the outcomes are committed."""
        for discard in self.journals:
            discard()

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.unsent or self.unwritten or self.fault)


class Pool(ABC):
    """The contract above; this base has no letters under way."""

    window: int  # letters that may be claimed and unanswered: what memory is bounded by
    careful: int  # letters in one chunk for a service that has accepted none yet
    writes = False  # whether it takes rows in place of their letters
    _slots: int  # chunks that may be under way

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox
        self._back = Returned()  # not yet polled
        self._closed = False

    @property
    def free(self) -> int:
        """The number of chunks that may be submitted now."""
        full = self._closed or self._back
        return 0 if full else max(0, self._slots - self._count_under_way())

    @property
    def busy(self) -> bool:
        """Whether letters are still to come back."""
        return bool(self._count_under_way() or self._back)

    def _count_under_way(self) -> int:
        """Return the number of chunks that are under way."""
        return 0

    @abstractmethod
    def submit(self, letters: Sequence[Sendable]) -> None:
        """Have a chunk sent; of rows only where it ``writes``."""

    def poll(self, seconds: float) -> Returned:
        returned, self._back = self._back, Returned()
        return returned

    def hold(self, lanes: frozenset[LaneKey]) -> None:  # noqa: B027 - most have no use for it
        """Begin no more letters of *lanes*, in chunks that are under way, too."""

    def close(self) -> None:
        self._closed = True

    def terminate(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse(self, letters: Sequence[Sendable], fault: ConfigError, back: Returned) -> None:
        back.unsent += letters
        back.fault, self._closed = fault, True


def open_pool(
    config: Config,
    postbox: Postbox,
    count: int,
    look: Callable[[], None] | None = None,
    recipe: worker_format.Recipe | None = None,
    read_now: Callable[[], Millis] = clocks.read_now,
) -> Pool:
    """
    Return a pool of this machine for a run of *count* letters.

    *look* is called many times a second while ``submit`` blocks; it must not raise. With a
    *recipe* a pool for many takes rows too, and writes their letters as of *read_now*.
    """
    if count <= FEW or not _may_start():
        return OwnProcess(postbox, look)
    workers = config.push.workers or os.cpu_count() or 1
    most = config.push.workers or 2 * workers
    return ProcessPool(workers, postbox, recipe if count > MANY else None, read_now, most)


def is_far(outcomes: Iterable[Outcome]) -> bool:
    """Return whether services are so far that a worker waits for the end of each chunk."""
    latencies = [it.latency for it in outcomes if it.http_status is not None]
    return len(latencies) >= OF_ANSWERS and min(latencies) >= FAR


def _may_start() -> bool:
    from pushctl.push import workers  # at need, see ProcessPool

    if (obstacle := workers.find_obstacle()) is None:
        return True
    log.note_error("send", "no semaphores, so one process sends (/dev/shm)", obstacle)
    return False


class OwnProcess(Pool):
    """Sends in this process, one chunk at a time, before ``submit`` returns."""

    window, careful, _slots = 3 * CHUNK, CHUNK, 1

    def __init__(self, postbox: Postbox, look: Callable[[], None] | None = None) -> None:
        super().__init__(postbox)
        self._look = look

    def submit(self, letters: Sequence[Sendable]) -> None:
        try:
            outcomes = push.send_chunk(
                cast("Sequence[Letter]", letters), self._postbox, self._look
            )
        except ConfigError as error:
            self._refuse(letters, error, self._back)
        else:
            self._back.add(outcomes, letters, self._postbox)


class ProcessPool(Pool):
    """
    Sends in *workers* processes; started at the first ``submit``, and anew when one dies.

    Then the others end in good order, and the journals hold the outcomes of all of them. Where
    services are far, so that a worker waits for the last answers of each chunk, it takes
    *most* processes: others use the processor meanwhile.
    """

    # The first acceptance permits the rest; a larger chunk would wait for its slowest.
    careful = 1

    def __init__(
        self,
        workers: int,
        postbox: Postbox,
        recipe: worker_format.Recipe | None = None,
        read_now: Callable[[], Millis] = clocks.read_now,
        most: int = 0,
    ) -> None:
        from pushctl.push import workers as processes  # at need: it takes 20 ms

        super().__init__(postbox)
        self.writes, self._read_now = recipe is not None, read_now
        self._workers = processes
        processes.prepare(*([worker_format.__name__] if self.writes else []))
        self._then = None if recipe is None else partial(worker_format.begin, recipe)
        self._most, self._far = most, False
        self._set_size(workers)
        self._under_way: dict[Future[bytes], Sequence[Sendable]] = {}
        self.send: Callable[[bytes, Postbox], bytes] = worker_format.send  # what a worker does
        self._executor: ProcessPoolExecutor | None = None
        self._broken = False  # a worker has died
        self._deaths = 0
        self._shortage: ConfigError | None = None  # the machine refuses threads or memory
        self._last = read_seconds()  # when a chunk was submitted or came back

    def _set_size(self, size: int) -> None:
        self._size = size
        self._slots = 2 * size  # one in work and one waiting for each
        self.window = CHUNK * (self._slots + max(2, size))

    def _count_under_way(self) -> int:
        return len(self._under_way)

    def _start(self) -> "ProcessPoolExecutor":
        return self._workers.start_executor(self._size, self._postbox, self._then)

    def submit(self, letters: Sequence[Sendable]) -> None:
        self._grow()  # not before there is work for them
        try:
            if self._executor is None and self._deaths >= MAX_DEATHS:
                raise ConfigError(
                    f"the sending processes died {self._deaths} times, and never had they "
                    "done anything before. Memory or processes may have run out (dmesg and "
                    "ulimit -u tell): lower push.workers in pushctl.toml, then go on with "
                    "pushctl campaigns resume."
                )
            executor = self._executor = self._executor or self._start()
            letters = worker_format.arrange(letters)
            packed = worker_format.pack(letters, self._read_now())
            future = executor.submit(self.send, packed, self._postbox)
        except (BrokenExecutor, EOFError, OSError):
            # A worker or the process that workers are forked from died just now.
            self._broken = True
            self._back.unsent += letters
        except ConfigError as error:
            self._refuse(letters, error, self._back)
        except (RuntimeError, MemoryError) as error:
            if (shortage := name_shortage(error)) is None:
                raise
            # The executor may have some of its parts only.
            self._back.unsent += letters
            self._broken, self._shortage = True, shortage
        else:
            self._under_way[future], self._last = letters, read_seconds()

    def poll(self, seconds: float) -> Returned:
        returned = super().poll(seconds)
        seconds = 0.0 if self._broken or returned else seconds
        done, _ = wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            self._take(future, returned)
        if done:
            self._last = read_seconds()
        elif self._under_way and self._is_gone(read_seconds() - self._last):
            self._end(patience=0.0)
            self._broken = True
        if self._broken:
            self._give_up(returned)
        self._far = self._far or is_far(returned.outcomes)
        return returned

    def _grow(self) -> None:
        """Take more processes where services are far."""
        more = self._most - self._size
        if not self._far or more <= 0:
            return
        try:
            if self._executor is not None:
                self._workers.add_processes(self._executor, more)
        except (EOFError, OSError, MemoryError) as error:
            # They only make it faster; submit notices what ends the others.
            log.note_error("send", "no more sending processes", error)
            self._most = 0
        else:
            self._set_size(self._most)

    def _take(self, future: "Future[bytes]", returned: Returned) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor | MemoryError):
            self._broken = True  # the journals have its outcomes
            return
        letters = self._under_way.pop(future)
        if isinstance(error, ConfigError):
            self._refuse(letters, error, returned)
        elif future.cancelled():
            returned.unsent += letters
        else:
            outcomes, unwritten = worker_format.read_answer(future.result())
            returned.add(outcomes, letters, self._postbox, unwritten)
            self._deaths = 0

    def _is_gone(self, silent: float) -> bool:
        """
        Return whether no chunk will come any more, *silent* seconds after the last.

        A worker hangs; or one died in the middle of its answer, and the pool waits for the
        rest of it.
        """
        manager = self._workers.find_manager(self._executor)
        if manager is None or not manager.is_alive():
            return True  # the executor's own thread could start nothing more
        return silent > SILENT_TIMEOUTS * self._postbox.timeout or (
            silent > NOTICE_SECONDS
            and any(not it.is_alive() for it in self._workers.find_processes(self._executor))
        )

    def _give_up(self, returned: Returned) -> None:
        # The other workers first receive the answers to what they have under way.
        self._end(self._postbox.timeout + END_SECONDS)
        self._broken = False
        self._deaths += 1
        if self._shortage is not None:
            returned.fault, self._closed = self._shortage, True
        letters = list(chain.from_iterable(self._under_way.values()))
        log.note("send", "worker died", level=logging.WARNING, under_way=len(letters))
        returned.recover(letters, self._postbox)
        self._under_way.clear()

    def close(self) -> None:
        super().close()
        for future in self._under_way:
            future.cancel()

    def terminate(self) -> None:
        super().close()
        self._end(patience=0.0)
        self._broken = bool(self._under_way)

    def __exit__(self, *_: object) -> None:
        self.close()
        self._end(self._postbox.timeout + END_SECONDS)

    def _end(self, patience: float) -> None:
        """End all processes, those by force that have not ended after *patience* seconds."""
        if self._executor is not None:
            executor, self._executor = self._executor, None
            self._workers.end(executor, patience)

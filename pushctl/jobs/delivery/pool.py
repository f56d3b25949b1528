"""
Who sends: this process for a few letters, a pool of workers for many.

A pool costs as much to start as some thousand letters cost to send. When a worker dies the
whole pool is given up and a new one started; what it was at, the journals tell.
"""

import gc
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Self

from pushctl import push
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.model import Letter, Outcome
from pushctl.push import Postbox

FEW = 2_000  # letters that need no pool
MAX_DEATHS = 5  # pools that may die one after another before a chunk comes back

CHUNK = 500  # letters in one call

SILENCE = 70  # times push.timeout: no chunk takes so long, 8 letters at a time
MOURNING = 3.0  # seconds in which a pool has noticed that a worker died
FAREWELL = 10.0  # seconds, after push.timeout, in which a worker that is to end has ended


@contextmanager
def few_collections() -> Iterator[None]:
    """
    Have Python look for cycles rarely: claims make tuples by the thousand, and none.

    That look took a sixth of this process's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Crew:
    """The senders of one run; a context manager that leaves no process behind."""

    def __init__(self, config: Config, postbox: Postbox, count: int) -> None:
        self._postbox = postbox
        self._workers = 0
        if count > FEW:
            self._workers = config.push.workers or 2 * (os.cpu_count() or 1)
            push.prepare()
        self._pool: Executor | None = None
        self._deaths = 0

    @property
    def slots(self) -> int:
        """How many chunks may be under way: one in work and one waiting for each worker."""
        return 2 * self._workers or 1

    @property
    def window(self) -> int:
        """How many letters may be claimed and unanswered: what memory is bounded by."""
        return CHUNK * (self.slots + max(2, self._workers))

    @property
    def careful(self) -> int:
        """How many letters to a service on trial go into one chunk."""
        # One each for the pool: the first acceptance opens the way for the rest, while
        # a chunk of them would wait for its slowest.
        return 1 if self._workers else CHUNK

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def submit(self, letters: Sequence[Letter]) -> "Future[list[Outcome]]":
        """Have *letters* sent; what the future holds is ``push.send_chunk``'s."""
        if not self._workers:
            future: Future[list[Outcome]] = Future()
            try:
                future.set_result(push.send_chunk(letters, self._postbox))
            except Exception as error:
                future.set_exception(error)  # as a pool does
            return future
        if self._deaths >= MAX_DEATHS:
            raise ConfigError(
                f"the sending processes died {self._deaths} times, and never had they done "
                "anything before. Memory may have run out (dmesg tells): lower push.workers "
                "in pushctl.toml, then go on with pushctl campaigns resume."
            )
        try:
            if self._pool is None:
                self._pool = push.executor(self._workers, self._postbox)
            return self._pool.submit(push.send_chunk, letters, self._postbox)
        except (EOFError, OSError) as error:
            # Who workers are forked from is gone; another one comes with the next pool.
            raise BrokenExecutor("no worker could be started") from error

    def lost(self) -> None:
        """
        Bury a pool of which a worker died; the next ``submit`` starts another.

        Its other workers take what answers still come to them first.
        """
        self._deaths += 1
        self._close()

    def alive(self) -> None:
        """Note that a chunk came back whole."""
        self._deaths = 0

    def is_gone(self, silent: float) -> bool:
        """
        Say whether no chunk can be hoped for any more, *silent* seconds after the last.

        A worker hangs; or one has died in the middle of its answer, for the rest of which
        the pool waits without noticing.
        """
        return silent > SILENCE * self._postbox.timeout or (
            silent > MOURNING and any(not one.is_alive() for one in _processes(self._pool))
        )

    def kill(self) -> None:
        """End all workers now; what they were at, their journals tell."""
        self._close(patience=0.0)

    def _close(self, patience: float | None = None) -> None:
        """End the pool, with force whom of it *patience* seconds have not ended."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        processes, answers = _processes(pool), getattr(pool, "_result_queue", None)

        def end() -> None:
            for process in processes:
                process.kill()
            # Ours is the last end open of the pipe that answers come by: a pool that waits
            # for the rest of one would wait for ever, and we for the pool.
            if answers is not None:
                answers._writer.close()

        if patience is None:
            patience = self._postbox.timeout + FAREWELL
        last = threading.Timer(patience, end)
        last.daemon = True
        last.start()
        pool.shutdown(wait=True, cancel_futures=True)
        last.cancel()


def _processes(pool: Executor | None) -> list[BaseProcess]:
    # What the standard library keeps to itself, and forgets when the pool is shut down.
    return list((getattr(pool, "_processes", None) or {}).values())

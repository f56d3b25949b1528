"""Runs a part of a check in a process of its own, with a connection of its own."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from traceback import format_exception
from typing import Generic, TypeVar

from pushctl import child_processes
from pushctl.errors import PushctlError
from pushctl.jobs.figures.columns.campaign_counts import Progress
from pushctl.store import Store

T = TypeVar("T")
# Gets a connection of its own, and what to call with the steps that are done.
Work = Callable[[Store, Callable[[int], object]], T]

_NEWS = 100  # how often at most a process tells how far it is: nobody reads it meanwhile


class Beside(Generic[T]):
    """Work under way; *steps*: how many it has."""

    def __init__(self, process: BaseProcess, link: Connection, steps: int) -> None:
        self._process, self._link, self._steps = process, link, steps

    def wait(self, progress: Progress) -> T:
        """Return what the work returns; raises its PushctlError, RuntimeError for a fault."""
        with progress(self._steps) as advance:
            while True:
                try:
                    kind, told = self._link.recv()
                except EOFError:
                    self._process.join()
                    code = self._process.exitcode
                    raise PushctlError(
                        f"a process of the check ended by itself (exit code {code}): its part "
                        "is not checked. Run the command again."
                    ) from None
                if kind == "done":
                    advance(told)
                elif kind == "result":
                    found: T = told
                    return found
                else:
                    raise told


@contextmanager
def start(path: Path, work: Work[T], steps: int) -> Iterator[Beside[T]]:
    """
    Run *work* beside this block, on the database *path*; it ends with the block at the latest.

    Raises OSError where no process can be had.
    """
    process, ours = child_processes.start(_serve, path, work, steps)
    try:
        yield Beside(process, ours, steps)
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(link: Connection, parent: int, path: Path, work: Work[T], steps: int) -> None:
    """Do *work*, and tell through *link* how far it is and what came of it."""
    if not child_processes.begin(parent, signal.SIGKILL):
        return
    waiting = 0

    def advance(done: int) -> None:
        nonlocal waiting
        waiting += done
        if waiting * _NEWS >= steps:
            link.send(("done", waiting))
            waiting = 0

    with suppress(BrokenPipeError):
        try:
            with Store(path) as store:
                link.send(("result", work(store, advance)))
        except PushctlError as error:
            link.send(("error", error))
        except Exception as error:
            text = "".join(format_exception(error))
            link.send(("error", RuntimeError(f"in a process of the check:\n{text}")))

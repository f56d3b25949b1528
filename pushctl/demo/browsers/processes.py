"""Browsers and their helpers as processes that always end with us."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pushctl.errors import PushctlError

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None, use_errno=True)


class BrowserError(PushctlError):
    """A browser did not start, did not answer in time or answered with an error."""


def spawn(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    files: Mapping[int, int] | None = None,
    folder: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """
    Start *command* in a process group of its own, its output in *log*.

    *files* are descriptors that it gets: number there -> number here; *folder* is where
    it starts. It is killed when
    the thread that called this ends, so call it from one that lives on.
    """

    def before_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for there, here in (files or {}).items():
            os.dup2(here, there)

    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            # Python's own descriptors close themselves; those in *files* must stay.
            close_fds=False,
            preexec_fn=before_exec,
        )


def end(process: "subprocess.Popen[bytes]", patience: float = 5.0) -> None:
    """Wait for a process that was asked to leave; then kill its whole group."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    # Children that were left behind are still in the group.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(ready: Callable[[], T | None], what: str, patience: float = 15.0) -> T:
    """Return the first true value of *ready*; BrowserError after *patience* seconds."""
    deadline, pause = time.monotonic() + patience, 0.005
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise BrowserError(f"no {what} within {patience:.0f} seconds")
        time.sleep(pause)
        # Asking a browser costs it more time than what is waited for may take.
        pause = min(1.3 * pause, 0.05)
    return found

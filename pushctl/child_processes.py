"""Processes that a command starts beside itself: they leave Ctrl-C to it, and end with it."""

import ctypes
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

_PR_SET_PDEATHSIG = 1


def start(target: Callable[..., object], *arguments: object) -> tuple[SpawnProcess, Connection]:
    """
    Start ``target(link, parent, *arguments)``; return the process and our end of the pipe.

    *parent* is this process's number, for ``begin``. Raises OSError where none can be had.
    """
    # Not forked: libcurl and SQLite do not survive it.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, os.getpid(), *arguments))
    # Ctrl-C is for us, also while a process starts, which inherits what is blocked.
    resource_tracker.ensure_running()  # unblocks signals when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return process, ours


def begin(parent: int, at_its_end: signal.Signals) -> bool:
    """
    In such a process: leave Ctrl-C to *parent*, and get the signal *at_its_end* when it ends.

    Return whether it is still there.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, at_its_end, 0, 0, 0)
    if os.getppid() != parent:
        return False
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return True

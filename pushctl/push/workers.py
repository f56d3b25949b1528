"""The pool of sending processes on this machine."""

import ctypes
import fcntl
import gc
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver, resource_tracker

from pushctl.push import dial
from pushctl.push.postbox import Postbox

_PR_SET_PDEATHSIG = 1
_ANCESTOR = "pushctl.push.ancestor"
_FOR_ALL = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

# Seconds for a parent that was told to end too to end us: it waits 15 for what flies.
ALONE = 20.0


def prepare() -> None:
    """
    Start the process that workers are forked from; it loads what they need beside us.

    A signal for all processes of a terminal or a unit must not end it before it has learnt
    to leave such to its parent: we would find nobody to fork from.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([_ANCESTOR])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)
    try:
        resource_tracker.ensure_running()  # it lets two of them through again
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def executor(workers: int, postbox: Postbox) -> ProcessPoolExecutor:
    """
    Return a started pool of *workers* processes for ``push.send_chunk``.

    They die with the one that calls this, ignore Ctrl-C (the caller ends a run through
    ``postbox.stop``) and have proved their encoder before they send. They are forked from a
    clean process, not from this: libcurl, SQLite and threads don't survive a fork.
    """
    dial.targets(postbox.loopback)  # an error in them is told here, not in a worker's trace
    prepare()
    pool = ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("forkserver"),
        initializer=begin,
        initargs=(os.getpid(), postbox),
    )
    # The pool starts a process when work comes; so that all are ready when it does,
    # each is given a little now.
    for _ in range(workers):
        pool.submit(_nothing)
    return pool


def _nothing() -> None:
    """Do nothing, in a process that had to be started for it."""


def begin(parent: int, postbox: Postbox) -> None:
    """
    Prepare this process: die with *parent*, ignore Ctrl-C, end well on SIGTERM.

    A worker that outlived a killed parent would go on sending what the next run has
    already taken over.
    """
    _die_with_the_parent()
    # Chunks make tuples by the thousand, and no cycles: look for those rarely.
    gc.freeze()
    gc.set_threshold(50_000)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()

    from pushctl.push import chunk

    chunk.open_sender(postbox)


def _die_with_the_parent() -> None:
    """
    Have the kernel end this process when its parent, or the ancestor, dies however.

    The ancestor forked us, so it can be named to prctl. The parent holds the other end
    of a pipe; that it was closed is told by SIGIO, which ends a process.
    """
    from pushctl.push import ancestor

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    # Either may have died before we could ask to be told.
    if os.getppid() != ancestor.PID or not parent.is_alive():
        os._exit(1)


def _wait_for_end(parent: int) -> None:
    """
    On SIGTERM start nothing more; leave once what flies has landed, if the parent asks.

    A service manager ends all processes of a unit at once: then the parent lives on
    for a moment, takes our outcomes and ends the pool itself. If it doesn't, the signal was
    for this process alone, which is of no more use: leave, and the parent starts others.
    """
    from pushctl.push import chunk

    by = signal.sigwaitinfo({signal.SIGTERM}).si_pid
    chunk.stopping.set()
    until = time.monotonic() + ALONE
    while by != parent and (left := until - time.monotonic()) > 0:
        told = signal.sigtimedwait({signal.SIGTERM}, left)
        by = told.si_pid if told else by
    chunk.wait_until_idle()
    os._exit(0)

"""Worker processes for sending, on this machine."""

import ctypes
import fcntl
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from errno import EACCES, EDQUOT, ENOENT, ENOSPC, EPERM, EROFS
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess

from pushctl.errors import name_shortage
from pushctl.push import loopback_targets
from pushctl.push.clock import read_seconds
from pushctl.push.postbox import Postbox

_PR_SET_PDEATHSIG = 1
_ANCESTOR = "pushctl.push.fork_server"
_FOR_ALL = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# Why the ancestor has no socket: it is forbidden, has no folder, or too long a name (None).
_NO_SOCKET = frozenset((EPERM, EACCES, ENOENT, EROFS, ENOSPC, EDQUOT, None))

# After a signal, for a parent that got it too: it waits 15 s for what is in flight.
ALONE_SECONDS = 20.0


def prepare(*modules: str) -> str:
    """
    Start the process that workers are forked from, which loads what they need meanwhile.

    *modules* too, unless it was started before. Returns how workers begin: by "forkserver";
    or by "spawn", each by itself, where that process can't listen: in a service's unit nobody
    may (jobs/project/unit_files), where TMPDIR is long its socket has no name, and where no
    folder for temporary files can be written it has no place.

    Signals are blocked until it ignores them: one for all processes would end it.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([_ANCESTOR, *modules])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)
    try:
        resource_tracker.ensure_running()  # unblocks two of them
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)
        forkserver.ensure_running()
    except OSError as error:
        if error.errno in _NO_SOCKET:
            return "spawn"
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return "forkserver"


def find_obstacle() -> OSError | None:
    """
    Return why no pool of processes can be had here, None where one can.

    Its queues have semaphores, for which /dev/shm has to be there and writable.
    """
    try:
        # The context that leaves no name behind, and needs no process that clears it away.
        multiprocessing.get_context("fork").Lock()
    except OSError as error:
        return error
    return None


def start_executor(
    workers: int, postbox: Postbox, then: Callable[[], None] | None = None
) -> ProcessPoolExecutor:
    """
    Return a started pool of *workers* processes for ``push.send_chunk``, prepared by *then*.

    They end with this process, ignore Ctrl-C (``postbox.stop`` ends a run) and have tested
    their encoder. They are forked from another process: libcurl, SQLite and threads don't
    survive a fork. Raises ConfigError for targets that aren't loopback addresses.
    """
    loopback_targets.parse_targets(postbox.loopback)
    _keep_shortages_quiet()
    pool = ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context(prepare()),
        initializer=begin,
        initargs=(os.getpid(), postbox, then),
    )
    # The pool starts a process for each task: these start all of them. One that is spawned
    # inherits what is blocked, and is not ended by a signal for all before it ignores them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)
    try:
        for _ in range(workers):
            pool.submit(int)
    except BaseException:
        # No thread is there to end those that have begun (a private attribute).
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pool


def add_processes(pool: ProcessPoolExecutor, count: int) -> None:
    """
    Start *count* more processes for *pool*, unless it is broken or has ended.

    Raises EOFError, OSError or MemoryError where none can be started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)  # as in start_executor
    try:
        # As its own ``submit`` does (private attributes), which starts no more than it was
        # made for. Its thread looks after the new ones from the next ``submit`` on.
        with pool._shutdown_lock:
            if not pool._broken and not pool._shutdown_thread:
                for _ in range(count):
                    pool._spawn_process()  # type: ignore[attr-defined]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(pool: ProcessPoolExecutor, patience: float) -> None:
    """
    End all processes of *pool*, those by force that have not ended after *patience* seconds.

    It starts no thread of its own: where none can be started it would never end.
    """
    processes, manager = find_processes(pool), find_manager(pool)
    answers = getattr(pool, "_result_queue", None)
    chunks = getattr(pool, "_call_queue", None)
    if manager is None or not manager.is_alive():
        patience = 0.0
        for process in processes:
            process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
    if manager is not None:
        # It ends the processes, and waits for them.
        deadline = read_seconds() + patience
        while manager.is_alive() and read_seconds() < deadline:
            manager.join(0.1)
            if not any(process.is_alive() for process in processes):
                break
    for process in processes:
        process.kill()
    # Ours are the last open ends of both pipes: a pool would never end that waits for
    # the rest of an answer, or to write a chunk that nobody reads (python/cpython#94777).
    for last in (getattr(answers, "_writer", None), getattr(chunks, "_reader", None)):
        if last is not None:
            with suppress(OSError):  # the pool has closed it at this moment
                last.close()
    if manager is not None:
        manager.join()


def find_manager(pool: ProcessPoolExecutor | None) -> threading.Thread | None:
    """Return the pool's own thread, which hands out work; None: it never began."""
    # A private attribute, which is None once the pool is shut down.
    thread: threading.Thread | None = getattr(pool, "_executor_manager_thread", None)
    return thread if thread is not None and thread.ident is not None else None


def find_processes(pool: ProcessPoolExecutor | None) -> list[BaseProcess]:
    # A private attribute, which is None once the pool is shut down.
    return list((getattr(pool, "_processes", None) or {}).values())


def _keep_shortages_quiet() -> None:
    """Have a pool's own thread end without a traceback where the machine refuses another."""
    before = threading.excepthook

    def report(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is None or name_shortage(told.exc_value) is None:
            before(told)

    # Once; another library may have put its own in place of it since.
    if getattr(before, "__qualname__", "") != report.__qualname__:
        threading.excepthook = report


def begin(parent: int, postbox: Postbox, then: Callable[[], None] | None = None) -> None:
    """
    Prepare this process: end with *parent*, ignore Ctrl-C, end in good order on SIGTERM.

    A worker that outlived a killed parent would send letters that the next run sends too.
    """
    try:
        _begin(parent, postbox, then)
    except (OSError, RuntimeError, MemoryError) as error:
        if name_shortage(error) is None:
            raise
        # The pool would print a traceback for each worker; its owner says what is missing.
        os._exit(1)


def _begin(parent: int, postbox: Postbox, then: Callable[[], None] | None) -> None:
    _end_with_parent(parent)
    # Chunks make thousands of tuples and no cycles.
    gc.freeze()
    gc.set_threshold(50_000)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()

    from pushctl.push import chunk

    chunk.open_sender(postbox)
    if then is not None:
        then()


def _end_with_parent(number: int) -> None:
    """
    Have the kernel end this process when its parent, process *number*, or the ancestor ends.

    prctl does so for the ancestor, which forked us, or the parent, which spawned us. The
    parent holds the other end of a pipe; its closing raises SIGIO, which ends a process.
    """
    from pushctl.push import fork_server

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    # Either may have ended before. Who was spawned has loaded the ancestor's module itself.
    spawned = os.getpid() == fork_server.PID
    if os.getppid() != (number if spawned else fork_server.PID) or not parent.is_alive():
        os._exit(1)


def _wait_for_end(parent: int) -> None:
    """
    On SIGTERM start nothing more; end when nothing is in flight and the parent asks for it.

    A service manager ends all processes of a unit at once: then the parent takes our
    outcomes and ends the pool. If it doesn't within ALONE_SECONDS, the signal was for this
    process alone: it ends, and the parent starts others.
    """
    from pushctl.push import chunk

    by = signal.sigwaitinfo({signal.SIGTERM}).si_pid
    chunk.stopping.set()
    until = time.monotonic() + ALONE_SECONDS
    while by != parent and (left := until - time.monotonic()) > 0:
        received = signal.sigtimedwait({signal.SIGTERM}, left)
        by = received.si_pid if received else by
    chunk.wait_until_idle()
    os._exit(0)

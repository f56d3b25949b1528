"""
Locks between processes: held by flock, so that they die with their process.

No pid file can be stale after a kill; the file's text is for people only.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pushctl.errors import BusyError

# A person waits so long for work that takes a moment: a watch's, which comes all the time.
PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.05

# Taken by take_early(), for as long as this process lives.
_early: dict[Path, int] = {}


def take_early(path: Path) -> bool:
    """
    Take the lock at *path* until this process ends, before its work is even loaded.

    ``hold`` joins it later. Returns False when another process holds it.
    """
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    _early[path.resolve()] = handle
    return True


def give_back(path: Path) -> None:
    """Release a lock of ``take_early`` before its process ends; nothing where it has none."""
    handle = _early.pop(path.resolve(), None)
    if handle is not None:
        os.close(handle)


@contextlib.contextmanager
def hold(
    path: Path, what: str | None = None, *, keep: bool = True, patience: float = 0.0
) -> Iterator[None]:
    """
    Hold the lock at *path* for as long as the block runs.

    Who holds it is waited for at most *patience* seconds. *what* is the name of the work in
    others' errors (default: the command line's first words). The file stays behind unless
    *keep* is False. Raises BusyError naming the work and the process that holds it.
    """
    if _early and (early := _early.get(path.resolve())) is not None:
        _sign(early, what)
        yield
        return
    handle = _take_within(path, patience)
    try:
        _sign(handle, what)
        yield
    finally:
        if not keep:
            with contextlib.suppress(OSError):
                path.unlink()
        # Closing gives the lock back, unless a child inherited the file: then it
        # lasts until the child ends too, and O_CLOEXEC sees to it that none does.
        os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock at *path* at this moment."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask do not meet each other.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _take_within(path: Path, patience: float) -> int:
    until = time.monotonic() + patience
    while True:
        try:
            return _take(path)
        except BusyError:
            if time.monotonic() >= until:
                raise
        time.sleep(_LOOK_SECONDS)


def _take(path: Path) -> int:
    """Return a handle that holds the lock of the file at *path*."""
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its holder may have removed it since it was opened: then it locks nothing.
            if _is_current(handle, path):
                return handle
        except BlockingIOError:
            holder = _read_holder(handle)
            os.close(handle)
            raise BusyError(
                f"{holder} is running (it holds {path}). Nothing was done; "
                "try again when it has ended."
            ) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _open(path: Path) -> int:
    """Open a lock's file; a new one is as old as can be: its time is its owner's to set."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags | os.O_CREAT, 0o600)
    os.utime(handle, ns=(0, 0))
    return handle


def _is_current(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _sign(handle: int, what: str | None) -> None:
    # For people alone: on a full disk the lock holds without a name.
    with contextlib.suppress(OSError):
        before = os.fstat(handle)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{what or _describe_command()}, process {os.getpid()}\n".encode(), 0)
        # A sweep's lock is as old as the last one that ended; this one may fail.
        os.utime(handle, ns=(before.st_atime_ns, before.st_mtime_ns))


def _read_holder(handle: int) -> str:
    text = os.pread(handle, 200, 0).decode("utf-8", "replace")
    return "".join(c for c in text.strip() if c.isprintable()) or "another run"


def _describe_command() -> str:
    words = [Path(sys.argv[0]).name or "pushctl"]
    for word in sys.argv[1:3]:
        if word.startswith("-"):
            break
        words.append(word)
    return " ".join(words)

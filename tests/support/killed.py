"""A process that is killed before a given line: kills at every point, the same each time."""

import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any


def files_of(*modules: ModuleType) -> frozenset[str]:
    """Return the source files of *modules*, as frames name them."""
    return frozenset(str(module.__file__) for module in modules)


def run(work: Callable[[], object], at: int, files: Collection[str]) -> bool:
    """
    Run *work* in a forked process; SIGKILL ends it before line number *at* run in *files*.

    Returns False where *work* ended before that. *work* opens what it uses for itself.
    """
    return _wait(_fork(work, lambda: _kill_at(at, files)))


def run_for(work: Callable[[], object], seconds: float) -> bool:
    """Run *work* in a forked process and kill it after *seconds*; as ``run``."""
    pid = _fork(work, lambda: None)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)  # it is there, alive or not, until it is waited for
    return _wait(pid)


def _fork(work: Callable[[], object], begin: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    begin()
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _wait(pid: int) -> bool:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def count_lines(work: Callable[[], object], files: Collection[str]) -> int:
    """Run *work* here; return how many lines of *files* ran."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@dataclass(frozen=True)
class Points:
    """Where kills leave different files: numbers of lines, as ``run`` takes them."""

    lines: int  # that ran in all
    first: tuple[int, ...]  # of each stretch in which no file changes; 1 is among them


def find_points(
    work: Callable[[], object], files: Collection[str], folders: Collection[Path]
) -> Points:
    """
    Run *work* in a forked process, and compare *folders* before each line of *files*.

    SIGKILL leaves what is in the files, and takes everything else away. So it leaves the
    same before each line of a stretch in which nothing changes, and one kill at its first
    line stands for all of them. *folders* must hold whatever *work* writes.
    """
    with tempfile.TemporaryFile() as told:

        def watch() -> None:
            count, before = 0, b""
            first: list[int] = []

            def trace(frame: FrameType, event: str, _: Any) -> Any:
                nonlocal count, before
                if event == "line":
                    count += 1
                    if (found := _read_state(folders)) != before:
                        first.append(count)
                        before = found
                return trace if frame.f_code.co_filename in files else None

            sys.settrace(trace)
            try:
                work()
            finally:
                sys.settrace(None)
            pickle.dump(Points(count, tuple(first)), told)
            told.flush()

        _wait(_fork(watch, lambda: None))
        told.seek(0)
        points = pickle.load(told)
    assert isinstance(points, Points)
    return points


def _read_state(folders: Collection[Path]) -> bytes:
    """Return what is equal only where names, rights, sizes and contents in *folders* are."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            about = path.lstat()
            content = zlib.crc32(path.read_bytes()) if path.is_file() else 0
            found.append((str(path), about.st_mode, about.st_ino, about.st_size, content))
    return repr(found).encode()


def _kill_at(at: int, files: Collection[str]) -> None:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace if frame.f_code.co_filename in files else None

    sys.settrace(trace)


def copy_database(source: Path, target: Path) -> Path:
    """Copy a closed database's file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    target.chmod(0o600)
    return target

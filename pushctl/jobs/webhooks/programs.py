"""
Runs a step's program: an argument list without a shell, a bare environment, ten seconds.

The person's data comes on standard input, from memory, so that nothing waits for anybody. When
the program ends or its time is over, its whole process group is killed.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pushctl import rights
from pushctl.rules.limits import CALL_SECONDS, MAX_CALL_OUTPUT_BYTES
from pushctl.rules.wording import clean

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class Ran(NamedTuple):
    """How a program ended; *code* None: its time was over, or it never began."""

    code: int | None
    output: str  # of both streams, on one line
    fault: str = ""  # why it was not begun


def find(folder: Path, program: str) -> Path:
    """Return the path of *program*: absolute, or one in the project's *folder*."""
    return folder / program


def find_fault(folder: Path, program: str) -> str | None:
    """Return why *program* is not run, None where it may be."""
    path = find(folder, program)
    if not Path(program).is_absolute() and not path.resolve().is_relative_to(folder.resolve()):
        return "is not in the project's folder; write its whole path"
    return rights.find_program_fault(path)


def run(
    folder: Path, arguments: Sequence[str], given: bytes, seconds: float = CALL_SECONDS
) -> Ran:
    """Run a program in *folder* with *given* on its standard input."""
    if fault := find_fault(folder, arguments[0]):
        return Ran(None, "", f"{arguments[0]} {fault}")
    stdin = os.memfd_create("call", os.MFD_CLOEXEC)
    try:
        os.write(stdin, given)
        os.lseek(stdin, 0, os.SEEK_SET)
        process = subprocess.Popen(
            [str(find(folder, arguments[0])), *arguments[1:]],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        return Ran(None, "", f"{arguments[0]} can't be started: {error.strerror}")
    finally:
        os.close(stdin)
    try:
        ended, output = _read(process, seconds)
    finally:
        # Before it is waited for: until then nobody else can get its number.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()  # it may have left its group
        code = process.wait()
    text = clean(" ".join(output.decode("utf-8", "replace").split()))
    return Ran(code if ended else None, text)


def _read(process: subprocess.Popen[bytes], seconds: float) -> tuple[bool, bytes]:
    """Read until the program ends; return whether it did in time, and what it wrote."""
    assert process.stdout is not None
    kept, end = bytearray(), time.monotonic() + seconds
    with process.stdout as pipe:
        handle, exit_ = pipe.fileno(), os.pidfd_open(process.pid)
        os.set_blocking(handle, False)
        try:
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.register(exit_, select.POLLIN)
            while (left := end - time.monotonic()) > 0:
                ready = {one for one, _ in waiting.poll(left * 1000)}
                if handle in ready and not _take(handle, kept):
                    waiting.unregister(handle)
                elif exit_ in ready and handle not in ready:
                    return True, bytes(kept)
            return False, bytes(kept)
        finally:
            os.close(exit_)


def _take(handle: int, kept: bytearray) -> bool:
    """Read a piece, keep what there is room for; return whether more may come."""
    try:
        piece = os.read(handle, 65_536)
    except BlockingIOError:
        return True
    kept.extend(piece[: max(0, MAX_CALL_OUTPUT_BYTES - len(kept))])
    return bool(piece)

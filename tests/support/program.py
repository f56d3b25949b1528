"""Run pushctl as people do: as a process of its own, through pipes or on a terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = (sys.executable, "-m", "pushctl")


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change pushctl's answers."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PUSHCTL_")
    }
    kept.pop("NO_COLOR", None)
    return kept | {"COLUMNS": "100", "TZ": "Europe/Berlin", "TERM": "xterm"} | dict(more or {})


def pushctl(*arguments: str, cwd: Path | None = None, **more: str) -> Run:
    """Run pushctl with pipes; keyword arguments are environment variables."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment(more),
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def on_terminal(
    command: Sequence[str], *, answers: Sequence[str] = (), cwd: Path | None = None, **more: str
) -> Run:
    """
    Run *command* on a terminal of its own; type one of *answers* whenever it waits.

    A question is a line that ends with a blank and is not ended. What both streams
    showed is in ``out``.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        if cwd:
            os.chdir(cwd)
        os.execvpe(command[0], list(command), environment(more))
    shown, waiting = b"", list(answers)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        if not ready:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
        last = shown.rpartition(b"\n")[2].replace(b"\x1b[0m", b"")
        if waiting and last.endswith(b" "):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    text = shown.decode("utf-8").replace("\r\n", "\n")
    return Run(os.waitstatus_to_exitcode(status), text, "")


def workers_of(parent: int) -> list[int]:
    """Return the sending processes of *parent*: forked from a process that it started."""
    ancestors = [it for it in _children(parent) if b"forkserver" in _command(it)]
    return [worker for ancestor in ancestors for worker in _children(ancestor)]


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for file in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""

"""
Run pushctl as people do: as a process of its own, through pipes or on a terminal.

Most are forked from one that has loaded pushctl already (``forked``), which saves most of
their time. ``anew=True`` starts a new interpreter.
"""

import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support import forked

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


def pushctl(*arguments: str, cwd: Path | None = None, anew: bool = False, **more: str) -> Run:
    """Run pushctl with pipes; keyword arguments are environment variables."""
    if not anew and forked.can_fork(more):
        return _pushctl_forked(arguments, cwd, environment(more))
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


def _pushctl_forked(
    arguments: Sequence[str], cwd: Path | None, variables: Mapping[str, str]
) -> Run:
    with ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull))
        # Files, not pipes: nobody has to read while it runs.
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        streams = [nothing.fileno(), out.fileno(), err.fileno()]
        code = forked.start(arguments, streams, cwd=cwd, environment=variables).wait(60)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8").replace("\r\n", "\n"))
    return Run(code, *texts)


def on_terminal(
    command: Sequence[str], *, answers: Sequence[str] = (), cwd: Path | None = None, **more: str
) -> Run:
    """
    Run *command* on a terminal of its own; type one of *answers* whenever it waits.

    A question is a line that ends with a blank and is not ended. What both streams
    showed is in ``out``.
    """
    if tuple(command[: len(PROGRAM)]) == PROGRAM and forked.can_fork(more):
        terminal, theirs = pty.openpty()
        arguments = command[len(PROGRAM) :]
        variables = environment(more)
        program = forked.start(
            arguments, [theirs] * 3, cwd=cwd, environment=variables, terminal=True
        )
        os.close(theirs)
        text = _converse(terminal, list(answers))
        return Run(program.wait(10), text, "")
    pid, terminal = pty.fork()
    if pid == 0:
        if cwd:
            os.chdir(cwd)
        os.execvpe(command[0], list(command), environment(more))
    text = _converse(terminal, list(answers))
    _, status = os.waitpid(pid, 0)
    return Run(os.waitstatus_to_exitcode(status), text, "")


def _converse(terminal: int, answers: list[str]) -> str:
    """Return all that is shown on *terminal* until its other end is closed."""
    shown = b""
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
        if answers and last.endswith(b" "):
            os.write(terminal, answers.pop(0).encode() + b"\n")
    os.close(terminal)
    return shown.decode("utf-8").replace("\r\n", "\n")


def workers_of(parent: int) -> list[int]:
    """Return the sending processes of *parent*: forked from a process that it started."""
    ancestors = [it for it in _children(parent) if b"forkserver" in _command(it)]
    return [worker for ancestor in ancestors for worker in _children(ancestor)]


def spawned_by(parent: int) -> list[int]:
    """Return the processes of multiprocessing that *parent* started anew."""
    return [one for one in _children(parent) if b"spawn_main" in _command(one)]


def is_running(process: int) -> bool:
    """Return whether *process* runs: what has ended and waits to be buried does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or read
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


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

"""
pushctl as a process that starts in a hundredth of a second: forked, not loaded.

A start takes 0.4 s, nearly all of it for loading modules, and the tests start pushctl
hundreds of times. ``python -m tests.support.forked`` loads them once and forks for each
command. What is forked is a process like any other: it has descriptors, environment,
folder and terminal of its own, runs ``pushctl.quick.main`` and ends as the interpreter
ends. Only what happens before ``main`` is not tried here: some tests start true ones.
"""

import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from tests.support import ROOT

_MOST = 1 << 20  # bytes of one request
# What the interpreter reads when it starts, long before the fork.
_TOO_LATE = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "GLIBC_")


def can_fork(variables: Mapping[str, str]) -> bool:
    """Say whether a forked process would heed these environment variables."""
    return not any(name.startswith(_TOO_LATE) for name in variables)


@dataclass
class Forked:
    """A command under way. ``wait`` for it once."""

    pid: int
    _ended: int  # the descriptor on which its exit status comes

    def wait(self, timeout: float) -> int:
        """Return the exit code, negative for a signal; kill and raise TimeoutExpired."""
        try:
            if not select.select([self._ended], [], [], timeout)[0]:
                os.kill(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(f"pushctl (process {self.pid})", timeout)
            return os.waitstatus_to_exitcode(int(os.read(self._ended, 32)))
        finally:
            os.close(self._ended)


def start(
    arguments: Sequence[str],
    streams: Sequence[int],
    *,
    cwd: Path | None,
    environment: Mapping[str, str],
    terminal: bool = False,
) -> Forked:
    """
    Start pushctl with *arguments* on *streams* (stdin, stdout, stderr).

    With *terminal* the streams are a terminal, which becomes the process's own.
    """
    request = {
        "arguments": list(arguments),
        "cwd": str((cwd or Path.cwd()).absolute()),
        "environment": dict(environment),
        "terminal": terminal,
    }
    ended, theirs = os.pipe()
    try:
        link = _server().link
        rights = array.array("i", [*streams, theirs])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        link.sendmsg([json.dumps(request).encode()], ancillary)
        pid = int(link.recv(32))
    finally:
        os.close(theirs)
    return Forked(pid, ended)


@dataclass
class _Server:
    link: socket.socket
    process: "subprocess.Popen[bytes]"


@lru_cache(maxsize=1)
def _server() -> _Server:
    """Start the server; it ends when our end of the link is closed, so with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MOST)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked", str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={name: text for name, text in os.environ.items() if name != "COLUMNS"},
        )
    ours.settimeout(60)
    return _Server(ours, process)


# --- the server's side -------------------------------------------------------------------


def _load() -> None:
    """Load what commands load, so that the forked ones need not."""
    from importlib import import_module

    from pushctl import cli

    for command in cli.COMMANDS.values():
        import_module(command.module)
    wings = ("campaigns", "delivery", "ingest", "project", "subscribers", "sweep", "triggers")
    for wing in wings:
        for file in sorted((ROOT / "pushctl/jobs" / wing).glob("[!_]*.py")):
            import_module(f"pushctl.jobs.{wing}.{file.stem}")
    for file in sorted((ROOT / "pushctl/store").glob("[!_]*.py")):
        import_module(f"pushctl.store.{file.stem}")
    for name in ("jinja2", "lark", "sqlite_utils", "rich.table", "rich.progress", "tomlkit"):
        import_module(name)


def _serve(link: socket.socket) -> None:
    """Fork for each request, and send each exit status where its request says."""
    under_way: dict[int, int] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting: list[Any] = [link, woken]
    while True:
        for ready in select.select(waiting, [], [])[0]:
            if ready is link:
                if not _fork(link, under_way, (woken, wake)):
                    return
            else:
                os.read(woken, 4096)
                _reap(under_way)


def _fork(link: socket.socket, under_way: dict[int, int], own: tuple[int, int]) -> bool:
    """Take one request; return False when nobody will ask any more."""
    data, rights, _, _ = socket.recv_fds(link, _MOST, 4)
    if not data:
        return False
    *streams, ended = rights
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (ended, *own, *under_way.values()):
            os.close(number)
        link.close()
        _become(json.loads(data), streams)
    for number in streams:
        os.close(number)
    under_way[pid] = ended
    link.send(str(pid).encode())
    return True


def _reap(under_way: dict[int, int]) -> None:
    while under_way:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended = under_way.pop(pid)
        with suppress(BrokenPipeError):
            os.write(ended, str(status).encode())
        os.close(ended)


def _become(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Become the process that was asked for, up to its ``main``."""
    if request["terminal"]:
        os.login_tty(streams[0])
        streams = streams[1:]
    else:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)  # type: ignore[misc]
    # As the interpreter does: every line at once, and nothing is an encoding error.
    errors: Any = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stderr = sys.__stderr__ = errors  # type: ignore[misc]
    sys.argv = [str(ROOT / "pushctl/__main__.py"), *request["arguments"]]
    from pushctl.quick import main

    main()
    sys.exit()


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))

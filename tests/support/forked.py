"""
pushctl as a process that starts in a hundredth of a second: forked, not loaded.

A start takes 0.4 s, nearly all of it for loading modules, and the tests start pushctl
hundreds of times. ``python -m tests.support.forked`` loads them once and forks for each
command. What is forked is a process like any other: it has descriptors, environment,
folder and terminal of its own, runs ``pushctl.quick.main`` and ends as the interpreter
ends, except that it doesn't take its modules apart. What happens before ``main`` and after
the last flush is not tried here: some tests start true ones.
"""

import array
import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests.support import ROOT, clocked

PUSHCTL = "pushctl.quick:main"
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
    ended: int  # the descriptor on which its exit status comes

    def wait(self, timeout: float) -> int:
        """Return the exit code, negative for a signal; kill and raise TimeoutExpired."""
        try:
            if not select.select([self.ended], [], [], timeout)[0]:
                os.kill(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(f"pushctl (process {self.pid})", timeout)
            return os.waitstatus_to_exitcode(int(os.read(self.ended, 32)))
        finally:
            os.close(self.ended)


def start(
    arguments: Sequence[str],
    streams: Sequence[int],
    *,
    cwd: Path | None,
    environment: Mapping[str, str],
    terminal: bool = False,
    entry: str = PUSHCTL,
) -> Forked:
    """
    Start pushctl with *arguments* on *streams* (stdin, stdout, stderr).

    With *terminal* the streams are a terminal, which becomes the process's own. *entry* is
    another function, which reads its arguments from sys.argv, and its module.
    """
    request = {
        "entry": entry,
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


def wait_long(seconds: float) -> None:
    """Give the server so long to load pushctl: a proof runs behind all other work."""
    _server().link.settimeout(seconds)


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


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1

# --- the server's side -------------------------------------------------------------------


# What pushctl loads only once a command needs it, and what others load then in their turn.
_LATE = (
    "babel.dates",
    "babel.numbers",
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.ascii",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
    "http_ece",
    "jinja2",
    "lark",
    "py_vapid",
    "pushctl.quick",
    "pushctl.terminal",
    "rich._emoji_codes",
    "rich._unicode_data.unicode17-0-0",
    "rich.progress",
    "rich.table",
    "sqlite_utils",
    "tomlkit",
    "typer._adapters",  # loads pydantic
    "typer._click.decorators",
)


def _load() -> None:
    """Load what commands load, so that the forked ones need not."""
    from pushctl import cli

    for command in cli.COMMANDS.values():
        import_module(command.module)
    for floor in ("commands", "jobs", "store", "push", "receiver", "rules", "templates"):
        for file in sorted((ROOT / "pushctl" / floor).rglob("[!_]*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            if module != "pushctl.push.fork_server":  # it changes the process that loads it
                import_module(module)
    for name in _LATE:
        import_module(name)
    _use_once()
    # Nothing of this is garbage. Else each forked process walks through all of it when it
    # ends, and so copies it: a tenth of a second.
    gc.collect()
    gc.freeze()


def _use_once() -> None:
    """
    Build what is built at its first use and never changes, so that no forked process need.

    The parser of expressions takes 36 ms, a language's words and rules 10, the templates of a
    new project 200, patterns of browsers' names 250; what a template's first use compiles is
    regular expressions.
    """
    from babel.dates import format_date
    from babel.numbers import format_currency
    from pydantic.plugin._loader import get_plugins

    from pushctl.rules.audience.parse import parse
    from pushctl.rules.web import agents
    from pushctl.templates import Template, list_names, read, sandbox

    get_plugins()
    agents.read("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    for name in list_names(ROOT / "templates"):
        files = read(ROOT / "templates", name)
        english = {file: text for file, text in files.items() if file[:2] in ("en", "me")}
        Template.from_sources(name, english)

    parse("everyone")
    sandbox.Renderer([sandbox.parse("body", "{{ subscriber.city|default('here') }}")])
    for language in ("en", "ar", "de"):
        format_currency(1, "EUR", locale=language)
        format_date(date(2026, 11, 30), locale=language)


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
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing outlives the tests
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
    if clock := request["environment"].get(clocked.VARIABLE):
        clocked.use(clock)
    os.chdir(request["cwd"])
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)  # type: ignore[misc]
    # As the interpreter does: every line at once, and nothing is an encoding error.
    errors: Any = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stderr = sys.__stderr__ = errors  # type: ignore[misc]
    sys.argv = [str(ROOT / "pushctl/__main__.py"), *request["arguments"]]
    module, _, function = request["entry"].partition(":")
    code: object = None
    try:
        getattr(import_module(module), function)()
    except SystemExit as ending:
        code = ending.code
    _end(code)


def _end(code: object) -> NoReturn:
    """
    End as the interpreter does: threads, what waits for the end, garbage, streams.

    Taking all modules apart would come then: 50 ms for nothing but copies of their pages.
    """
    if code is None or isinstance(code, int):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        gc.collect()
        # A stream that can't be flushed ends as the interpreter has it.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit((code or 0) & 0xFF)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))

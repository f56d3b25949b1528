"""The demo's other processes: pushctl's own commands, run as a person would run them."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pushctl import output
from pushctl.errors import PushctlError

PATIENCE = 20.0  # seconds for a server to answer
_PR_SET_PDEATHSIG = 1


def run(folder: Path, *words: str, show: bool = True) -> None:
    """
    Run ``pushctl`` with *words* in *folder*, its output on this terminal.

    *show* prints the command first, as one would type it. PushctlError when it fails.
    """
    if show:
        output.say(f"  $ pushctl {' '.join(map(_quote, words))}", "bold")
    done = subprocess.run(_make_command("pushctl", words), cwd=folder, env=_make_environment())
    if done.returncode:
        raise _make_error(folder, words, done.returncode)


def read_output(folder: Path, *words: str) -> str:
    """Return the standard output of ``pushctl`` with *words*; PushctlError when it fails."""
    command = _make_command("pushctl", words)
    done = subprocess.run(
        command, cwd=folder, env=_make_environment(), capture_output=True, text=True
    )
    if done.returncode:
        raise _make_error(folder, words, done.returncode, done.stderr)
    return done.stdout


def serve(folder: Path, log: Path, module: str, *words: str) -> "subprocess.Popen[bytes]":
    """Start a Python *module* with *words* as a server that ends with this process."""
    with log.open("wb") as file:
        return subprocess.Popen(
            _make_command(module, words),
            cwd=folder,
            env=_make_environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
            start_new_session=True,
        )


def wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Return once *process* listens on *port*; PushctlError when it doesn't."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    raise PushctlError(f"the server on port {port} did not start; it said:\n{tail}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server with SIGTERM, after ten seconds with SIGKILL."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _make_command(module: str, words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", module, *words]


def _make_error(folder: Path, words: Sequence[str], code: int, said: str = "") -> PushctlError:
    return PushctlError(
        f"`pushctl {' '.join(words)}` ended with {code}; its folder is {folder}. {said}".strip()
    )


def _make_environment() -> dict[str, str]:
    # Variables of this shell belong to another project.
    return {
        name: value for name, value in os.environ.items() if not name.startswith("PUSHCTL_")
    }


def _die_with_parent() -> None:
    # A server must not outlive a demo that was killed (prctl(2)).
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _quote(word: str) -> str:
    return f'"{word}"' if " " in word else word

"""A forked process under way, with what tests use of ``subprocess.Popen``."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from tests.support import forked

PIPE = subprocess.PIPE


class Running:
    """
    A command under way, started by forking (``forked``).

    Its streams are /dev/null, open files, or (stdout, stderr) PIPE. What it says has to fit
    into a pipe (64 KB) unless somebody reads.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path | None = None,
        stdout: IO[Any] | int | None = None,
        stderr: IO[Any] | int | None = None,
        text: bool = False,
        entry: str = forked.PUSHCTL,
    ) -> None:
        self.args = [entry, *arguments]
        self.returncode: int | None = None
        with ExitStack() as stack:
            nothing = stack.enter_context(open(os.devnull, "r+b"))
            mode: dict[str, Any] = {"encoding": "utf-8"} if text else {"mode": "rb"}
            streams, ours = [nothing.fileno()], []
            for wish in (stdout, stderr):
                if wish == PIPE:
                    reader, writer = os.pipe()
                    stack.callback(os.close, writer)
                    ours.append(os.fdopen(reader, **mode))
                    streams.append(writer)
                else:
                    ours.append(None)
                    handle = nothing if wish is None else wish
                    streams.append(handle if isinstance(handle, int) else handle.fileno())
            self.stdout, self.stderr = ours
            self._process = forked.start(
                arguments, streams, cwd=cwd, environment=environment, entry=entry
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return (
            self.returncode if self.returncode is not None or not self._over(0) else self.wait()
        )

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; TimeoutExpired, and it runs on, after *timeout* seconds."""
        if self.returncode is None:
            if not self._over(timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._process.wait(0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Return what it says on the pipes until both are closed, and wait for its end."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pieces: dict[Any, list[bytes]] = {it: [] for it in (self.stdout, self.stderr) if it}
        reading = list(pieces)
        while reading:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select(reading, [], [], left)[0]
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            for stream in ready:
                piece = os.read(stream.fileno(), 65536)
                pieces[stream].append(piece)
                if not piece:
                    reading.remove(stream)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return self._join(self.stdout, pieces), self._join(self.stderr, pieces)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended this moment, as in subprocess
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Kill it and wait for its end."""
        self.kill()
        self.wait(15)

    def _over(self, timeout: float | None) -> bool:
        return bool(select.select([self._process.ended], [], [], timeout)[0])

    @staticmethod
    def _join(stream: Any, pieces: Mapping[Any, list[bytes]]) -> Any:
        if stream is None:
            return None
        stream.close()
        said = b"".join(pieces[stream])
        return said.decode().replace("\r\n", "\n") if hasattr(stream, "encoding") else said

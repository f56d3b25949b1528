"""Ctrl-C and SIGTERM: the first asks a run to end in good order, the second at once."""

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self


class Stop:
    """
    Handles SIGINT, SIGTERM and SIGHUP while it is open; a context manager.

    The first sets *asked* and makes *file*, where there is one, which stops the workers. The
    second sets *hurry* and raises KeyboardInterrupt wherever the run is. *left*: the terminal
    was closed, which is no wish to stop.
    """

    def __init__(self) -> None:
        self.asked = False
        self.hurry = False
        self.left = False
        self.file: Path | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread gets signals; tests run elsewhere, too.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # nohup and background shells ignore some: these stay ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.withdraw()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            # Shell and kernel both send it, so a second one means nothing new.
            self.left = self.left or not self.asked
            self.ask()
        elif self.asked and not self.left:
            self.hurry = True
            raise KeyboardInterrupt
        else:
            self.ask()

    def ask(self) -> None:
        self.asked = True
        self.halt()

    def halt(self) -> None:
        """Have the workers start nothing more."""
        if self.file is not None:
            # On a full disk they send what they have.
            with suppress(OSError):
                self.file.touch(mode=0o600)

    def withdraw(self) -> None:
        """Let workers start letters again."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes, at most *seconds*."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

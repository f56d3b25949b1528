"""Ctrl-C and SIGTERM: the first asks a run to end in good order, the second at once."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Self


class Stop:
    """
    Listens for SIGINT and SIGTERM while it is open; a context manager.

    *asked* after the first signal; the second sets *hurry* and raises KeyboardInterrupt
    wherever the run is. *file*, when set, is made on the first: the workers look for it.
    """

    def __init__(self) -> None:
        self.asked = False
        self.hurry = False
        self.file: Path | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread gets signals; elsewhere (tests) nothing is listened for.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.withdraw()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self.hurry = True
            raise KeyboardInterrupt
        self.ask()

    def ask(self) -> None:
        self.asked = True
        self.halt()

    def halt(self) -> None:
        """Make the workers start nothing more."""
        if self.file is not None:
            self.file.touch(mode=0o600)

    def withdraw(self) -> None:
        """Let workers start letters again."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def wait(self, seconds: float) -> None:
        """Sleep, but not past a signal."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

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
    Listens for SIGINT, SIGTERM and SIGHUP while it is open; a context manager.

    *asked* after the first signal; the second sets *hurry* and raises KeyboardInterrupt
    wherever the run is. *file*, when set, is made on the first: the workers look for it.
    *left* tells that the terminal went away, which no person meant as a wish.
    """

    def __init__(self) -> None:
        self.asked = False
        self.hurry = False
        self.left = False
        self.file: Path | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread gets signals; elsewhere (tests) nothing is listened for.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # nohup and shells in the background have some ignored: that stays so.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.withdraw()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            # Sent by shell and kernel both, so a second one says nothing new.
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
        """Make the workers start nothing more."""
        if self.file is not None:
            # On a full disk they end with what they have.
            with suppress(OSError):
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

"""
A clock that a test sets for the processes it starts, so that a day passes in minutes.

The file has the seconds by which theirs is ahead of the machine's; it runs on by itself.
Forked processes (``program.pushctl``, ``forked.start``) take it with the environment
variable ``TEST_CLOCK``, others by ``python -m tests.support.clocked FILE receive ...``. What
measures durations (``time.monotonic``) stays as it is.
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path

from pushctl.model import Millis

VARIABLE = "TEST_CLOCK"
_AHEAD = struct.Struct("<d")
_real = time.time


class Clock:
    def __init__(self, file: Path, at: Millis) -> None:
        self.file, self._ahead = file, 0.0
        file.write_bytes(_AHEAD.pack(0.0))
        self._handle = os.open(file, os.O_WRONLY)
        self.set(at)

    def set(self, at: Millis) -> None:
        self._ahead = at / 1000 - _real()
        os.pwrite(self._handle, _AHEAD.pack(self._ahead), 0)

    def now(self) -> float:
        """Return seconds since 1970, as the processes see them."""
        return _real() + self._ahead

    def at(self, steady: float) -> float:
        """Return when it was *steady* by ``time.monotonic``, the clock not being set since."""
        return self.now() - (time.monotonic() - steady)


def use(file: str) -> None:
    """Let this process go by the clock in *file*."""
    handle = os.open(file, os.O_RDONLY)
    shared = mmap.mmap(handle, _AHEAD.size, prot=mmap.PROT_READ)
    os.close(handle)

    def read() -> float:
        return _real() + float(_AHEAD.unpack(shared[:])[0])

    time.time = read
    time.time_ns = lambda: int(read() * 1e9)


if __name__ == "__main__":
    use(sys.argv.pop(1))
    from pushctl.quick import main

    main()

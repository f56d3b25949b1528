"""
The rate that a person sets for each push service holds for all that a project sends.

Two campaigns at once, or a sweep beside one, are processes of their own: what a service
may still get stands in one small file that each of them locks for the moment in which it
takes its share.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from pushctl.model import Millis
from pushctl.rules.policy import SECOND, Bucket

# The clocks of two processes differ by less; a later time is of a clock that was set back.
_APART: Millis = SECOND
_FULL: Millis = 60 * SECOND  # longer than any bucket takes to fill


@contextlib.contextmanager
def buckets(
    file: Path, rate: float, own: MutableMapping[str, Bucket], now: Millis
) -> Iterator[None]:
    """
    Have *own* hold, by origin, what all processes together may still send at *rate*.

    On a disk that takes nothing the limit holds for this process alone: better than
    sending nothing.
    """
    with contextlib.ExitStack() as stack:
        handle = None
        with contextlib.suppress(OSError):
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
            own.update(_read(handle, rate, now))
        yield
        if handle is not None:
            with contextlib.suppress(OSError):
                _write(handle, own)


def _read(handle: int, rate: float, now: Millis) -> dict[str, Bucket]:
    try:
        told = json.loads(os.pread(handle, 1 << 20, 0))
        return {
            origin: Bucket(rate, float(tokens), int(at))
            for origin, (tokens, at) in told.items()
            if now - _FULL < at <= now + _APART
        }
    except (ValueError, TypeError, AttributeError):
        return {}  # new, or torn by a full disk: as good as none


def _write(handle: int, known: MutableMapping[str, Bucket]) -> None:
    told = {origin: (round(one.tokens, 3), one.at) for origin, one in known.items()}
    text = json.dumps(told).encode()
    os.ftruncate(handle, os.pwrite(handle, text, 0))

"""
push.rate, shared by all processes of a project that send at once.

One small file has the tokens left for each push service; a process locks it while it takes
its share. Times in it are milliseconds since boot, as runs may begin with a given time.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pushctl.model import Millis
from pushctl.rules.delivery.bucket import Bucket
from pushctl.rules.units import SECOND
from pushctl.store import clocks

# A time later than now is from before a restart, with which the clock began anew.
_APART: Millis = SECOND
_FULL: Millis = 60 * SECOND  # longer than any bucket takes to fill
_PRESENT: Millis = 2 * SECOND  # a run that asked within this still sends


@dataclass
class _State:
    """The content of the file."""

    # by origin: tokens, at which time, and the run that took some last
    left: dict[str, tuple[float, Millis, str]] = field(default_factory=dict)
    asked: dict[str, Millis] = field(default_factory=dict)  # by run: its last time


class Shared:
    """One run's part of a rate: *rate* messages a second to each origin, for all runs."""

    def __init__(self, file: Path, rate: float) -> None:
        self._file, self._rate = file, rate
        self._me = secrets.token_hex(4)

    @contextlib.contextmanager
    def buckets(self, own: MutableMapping[str, Bucket], now: Millis) -> Iterator[set[str]]:
        """
        Fill *own*, by origin, with what this run may take; yield a set for those it took from.

        The run that took last leaves a handful to others that ask. Where the file can't be
        written, the limit holds for this run alone.
        """
        with contextlib.ExitStack() as stack:
            handle = None
            with contextlib.suppress(OSError):
                handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            state = _State() if handle is None else _read(handle)
            ahead = now - _read_clock()
            others = bool(state.asked.keys() - {self._me})
            spared: dict[str, float] = {}  # for those others
            for origin, (tokens, at, last) in state.left.items():
                bucket = Bucket(self._rate, tokens, at + ahead)
                spared[origin] = bucket.handful if others and last == self._me else 0.0
                own[origin] = replace(bucket, tokens=tokens - spared[origin])
            took: set[str] = set()
            yield took
            if handle is not None:
                state.asked[self._me] = now - ahead
                for origin, one in own.items():
                    _, _, last = state.left.get(origin, (0.0, 0, ""))
                    state.left[origin] = (
                        round(one.tokens + spared.get(origin, 0.0), 3),
                        one.at - ahead,
                        self._me if origin in took else last,
                    )
                with contextlib.suppress(OSError):
                    text = json.dumps({"origins": state.left, "asked": state.asked}).encode()
                    os.ftruncate(handle, os.pwrite(handle, text, 0))


def _read_clock() -> Millis:
    return int(clocks.read_seconds() * 1000)


def _read(handle: int) -> _State:
    """Return the content without entries that are too old."""
    first, last = _read_clock() - _FULL, _read_clock() + _APART
    try:
        content = json.loads(os.pread(handle, 1 << 20, 0))
        left = {
            str(origin): (float(tokens), int(at), str(run))
            for origin, (tokens, at, run) in content["origins"].items()
            if first < at <= last
        }
        asked = {
            str(run): int(at)
            for run, at in content["asked"].items()
            if last - _APART - _PRESENT < at <= last
        }
    except (ValueError, TypeError, AttributeError, KeyError):
        return _State()  # new, or torn by a full disk
    return _State(left, asked)

"""
The rate that a person sets for each push service holds for all that a project sends.

Two campaigns at once, or a sweep beside one, are processes of their own: what a service
may still get stands in one small file that each of them locks for the moment in which it
takes its share. Its times are the machine's own: a run's begin with its command.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pushctl.jobs.delivery import clock
from pushctl.model import Millis
from pushctl.rules.delivery.bucket import Bucket
from pushctl.rules.units import SECOND

# A later time than now is of another life of the machine, whose clock began anew.
_APART: Millis = SECOND
_FULL: Millis = 60 * SECOND  # longer than any bucket takes to fill
_PRESENT: Millis = 2 * SECOND  # who asked within this wants more


@dataclass
class _Told:
    """What the file tells, in the machine's time."""

    # by origin: tokens, at which time, and who took some last
    left: dict[str, tuple[float, Millis, str]] = field(default_factory=dict)
    asked: dict[str, Millis] = field(default_factory=dict)  # when, by who


class Shared:
    """One run's part of a rate: *rate* messages a second to each origin, for all runs."""

    def __init__(self, file: Path, rate: float) -> None:
        self._file, self._rate = file, rate
        self._me = secrets.token_hex(4)

    @contextlib.contextmanager
    def buckets(self, own: MutableMapping[str, Bucket], now: Millis) -> Iterator[set[str]]:
        """
        Have *own* hold, by origin, what this run may take now; take in whom it took from.

        Who took last leaves a handful to the others that ask. On a disk that takes nothing
        the limit holds for this run alone: better than sending nothing.
        """
        with contextlib.ExitStack() as stack:
            handle = None
            with contextlib.suppress(OSError):
                handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            told = _Told() if handle is None else _read(handle)
            ahead = now - _machine()
            others = bool(told.asked.keys() - {self._me})
            spared: dict[str, float] = {}  # for those others
            for origin, (tokens, at, last) in told.left.items():
                bucket = Bucket(self._rate, tokens, at + ahead)
                spared[origin] = bucket.handful if others and last == self._me else 0.0
                own[origin] = replace(bucket, tokens=tokens - spared[origin])
            took: set[str] = set()
            yield took
            if handle is not None:
                told.asked[self._me] = now - ahead
                for origin, one in own.items():
                    _, _, last = told.left.get(origin, (0.0, 0, ""))
                    told.left[origin] = (
                        round(one.tokens + spared.get(origin, 0.0), 3),
                        one.at - ahead,
                        self._me if origin in took else last,
                    )
                with contextlib.suppress(OSError):
                    _write(handle, told)


def _machine() -> Millis:
    return int(clock.steady() * 1000)


def _read(handle: int) -> _Told:
    """Return what is known and not too old."""
    first, last = _machine() - _FULL, _machine() + _APART
    try:
        told = json.loads(os.pread(handle, 1 << 20, 0))
        left = {
            str(origin): (float(tokens), int(at), str(who))
            for origin, (tokens, at, who) in told["origins"].items()
            if first < at <= last
        }
        asked = {
            str(who): int(at)
            for who, at in told["asked"].items()
            if last - _APART - _PRESENT < at <= last
        }
    except (ValueError, TypeError, AttributeError, KeyError):
        return _Told()  # new, or torn by a full disk: as good as none
    return _Told(left, asked)


def _write(handle: int, told: _Told) -> None:
    text = json.dumps({"origins": told.left, "asked": told.asked}).encode()
    os.ftruncate(handle, os.pwrite(handle, text, 0))

"""
Faults by script: what to do instead of, or before, a proper answer. Pure but for chance.

A script is a list of objects, tried in order for every request. Lines that pass only add
their delay; the first other one that fits, by its share of chance, decides. As JSON::

    [{"delay": [0.002, 0.03]},
     {"host": "fcm.googleapis.com", "share": 0.05, "do": "reset_after"},
     {"path": "/wp/", "first": 3, "do": "answer", "status": 503,
      "headers": {"retry-after": "120"}}]
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pushctl.demo.pushservice.exchange import Answer

ACTS = frozenset(
    {
        "pass",  # the rules answer (after the delay)
        "answer",  # status, headers and body of the script; nothing is delivered
        "reset_before",  # the connection or stream is reset before the body was read
        "reset_after",  # ... after the whole body was read
        "early_close",  # an announced length, half of it, then the end
        "silence",  # the body is read, no answer ever comes
        "drip",  # one byte of the answer each `interval` seconds, for `size` bytes
        "huge",  # `size` bytes of answer
        "gzip",  # the same as a compressed bomb, Content-Encoding: gzip
        "informational",  # `size` answers of 1xx, then the proper one
        "headers",  # the proper answer with `size` headers more
        "wrong_tls",  # to `host`: a certificate for another name
        "bad_framing",  # broken chunks (HTTP/1.1) or a broken frame (HTTP/2)
    }
)
WHOLE_CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of a script. *first* and *after* count the requests that fit the line."""

    do: str = "pass"
    host: str = "*"
    path: str = ""  # anywhere in the path
    share: float = 1.0
    first: int | None = None  # only the first so many
    after: int = 0  # not the first so many
    delay: tuple[float, float] = (0.0, 0.0)  # seconds, evenly spread
    deliver: bool = False  # judge and deliver although the answer gets lost
    status: int = 201
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    size: int = 1000
    interval: float = 1.0  # seconds
    scope: str = "stream"  # or "connection": what a reset closes

    @property
    def answer(self) -> Answer:
        pairs = tuple((name.lower(), value) for name, value in self.headers.items())
        return Answer(self.status, pairs, self.body.encode())


PASS = Fault()


def read(script: Sequence[Mapping[str, Any]]) -> tuple[Fault, ...]:
    """Return *script* as faults; ValueError names the line and its fault."""
    return tuple(_read_line(number, line) for number, line in enumerate(script, 1))


def _read_line(number: int, line: Mapping[str, Any]) -> Fault:
    unknown = line.keys() - {known.name for known in fields(Fault)}
    if unknown:
        raise ValueError(f"line {number}: unknown {', '.join(sorted(unknown))}")
    fault = Fault(**{**line, "delay": tuple(line.get("delay", (0.0, 0.0)))})
    if fault.do not in ACTS:
        raise ValueError(f"line {number}: do is none of {', '.join(sorted(ACTS))}")
    return fault


class FaultPicker:
    """Picks the faults of a script; the same *seed* picks the same ones."""

    def __init__(self, script: Sequence[Fault] = (), seed: int = 0) -> None:
        self._script = tuple(script)
        self._random = random.Random(seed)
        self._met = [0] * len(self._script)

    def pick(self, host: str, path: str) -> tuple[Fault, float]:
        """Return the fault for one request and its delay in seconds."""
        delay = 0.0
        for index, fault in enumerate(self._script):
            if not self._applies(index, fault, host, path):
                continue
            if fault.delay[1]:
                delay += self._random.uniform(*fault.delay)
            if fault.do != "pass":
                return fault, delay
        return PASS, delay

    def wrong_tls(self, host: str | None) -> bool:
        """Return whether a handshake for *host* gets the certificate of another name."""
        return any(f.do == "wrong_tls" and f.host in ("*", host) for f in self._script)

    def _applies(self, index: int, fault: Fault, host: str, path: str) -> bool:
        if fault.host not in ("*", host) or fault.path not in path:
            return False
        if fault.do == "wrong_tls":
            return False
        self._met[index] += 1
        met = self._met[index] - fault.after
        if met <= 0 or (fault.first is not None and met > fault.first):
            return False
        return fault.share >= 1 or self._random.random() < fault.share

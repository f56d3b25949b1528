"""
The log of all complete bodies, in order: a list in memory, and a file if one is named.

A line of the file: seconds of the monotonic clock, host, path, Topic or "-", what the
script did ("pass", "silence", ..., or the status that it answered), separated by tabs.
It holds whole endpoints: use it with throw-away subscriptions only.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pushctl.demo.pushservice.exchange import Request


@dataclass(frozen=True, slots=True)
class Receipt:
    """One complete body: an endpoint and Topic met twice are a duplicate."""

    at: float  # time.monotonic()
    host: str
    path: str
    topic: str | None
    fate: str = "pass"  # the fault by the script; a number is the answered status
    size: int = 0  # bytes of the body

    @property
    def endpoint(self) -> str:
        return f"https://{self.host}{self.path}"


class Sink:
    def __init__(self, file: Path | None = None, *, keep: bool = True) -> None:
        self._receipts: list[Receipt] = []
        self._keep = keep
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(file, flags, 0o600) if file else None

    def read(self, request: Request, fate: str = "pass") -> None:
        topic = request.headers.get("topic")
        size = len(request.body)
        receipt = Receipt(time.monotonic(), request.host, request.path, topic, fate, size)
        if self._keep:
            with self._lock:
                self._receipts.append(receipt)
        if self._file is not None:
            line = f"{receipt.at:.6f}\t{receipt.host}\t{receipt.path}\t{topic or '-'}\t{fate}\n"
            os.write(self._file, line.encode())

    def receipts(self, after: int = 0) -> Sequence[Receipt]:
        """Return the receipts without the first *after*; any thread may call it."""
        with self._lock:
            return self._receipts[after:]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

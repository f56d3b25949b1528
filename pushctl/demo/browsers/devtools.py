"""
A client for Chromium's DevTools protocol over a pair of pipes.

Messages are JSON ended by a zero byte; ``--remote-debugging-pipe`` reads them from
descriptor 3 and writes to 4, so that no port is open to anybody else.
"""

import fcntl
import json
import os
import select
import time
from typing import Any

from pushctl.demo.browsers.processes import BrowserError

_CLOEXEC_FROM = fcntl.F_DUPFD_CLOEXEC


class DevTools:
    """Our ends of the pipes; not for several threads at once."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._number = 0
        self._unread = b""
        their_read, self._write = os.pipe()
        self._read, their_write = os.pipe()
        # Away from 3 and 4, or the child's dup2() could overwrite one with the other.
        self.theirs = {
            3: fcntl.fcntl(their_read, _CLOEXEC_FROM, 10),
            4: fcntl.fcntl(their_write, _CLOEXEC_FROM, 10),
        }
        os.close(their_read)
        os.close(their_write)

    def started(self) -> None:
        """Let go of the browser's ends, so that its death is seen."""
        for descriptor in self.theirs.values():
            os.close(descriptor)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command and return its result; BrowserError when it fails."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            said["sessionId"] = session
        deadline = time.monotonic() + self._patience
        self._send(json.dumps(said).encode() + b"\0", method)
        while True:
            answer = self._receive(deadline, method)
            if answer.get("id") != self._number:
                continue  # an event, or the answer to a call given up
            if "error" in answer:
                raise BrowserError(f"Chromium refuses {method}: {answer['error']['message']}")
            return answer["result"]

    def _send(self, data: bytes, method: str) -> None:
        try:
            while data:
                data = data[os.write(self._write, data) :]
        except OSError as gone:
            raise BrowserError(f"Chromium does not listen to {method}: {gone}") from gone

    def _receive(self, deadline: float, method: str) -> Any:
        while b"\0" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise BrowserError(f"Chromium does not answer to {method}")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise BrowserError(f"Chromium ended during {method}")
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

"""
A client for Marionette, Firefox's own remote control, in a few commands.

A message is ``<length>:<json>``; a command ``[0, id, name, parameters]``, its answer
``[1, id, error, result]``. Level 3 of the protocol, unchanged for years.
"""

import json
import socket
from typing import Any, Self

from pushctl.demo.browsers.processes import BrowserError

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # fixed by the WebDriver standard


class Marionette:
    """One session; not for several threads at once."""

    def __init__(self, port: int, patience: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self._unread = b""
        self._number = 0
        self._receive()  # its name and the version of its protocol

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(self, name: str, **parameters: Any) -> Any:
        """Send a command and return its result; BrowserError when it fails."""
        self._number += 1
        said = json.dumps([0, self._number, name, parameters]).encode()
        try:
            self._socket.sendall(b"%d:%s" % (len(said), said))
            _, _, error, result = self._receive()
        except OSError as gone:
            raise BrowserError(f"Firefox does not answer to {name}: {gone}") from gone
        if error:
            raise BrowserError(f"Firefox refuses {name}: {error['error']}: {error['message']}")
        # Results that are one value come wrapped.
        return result.get("value", result) if isinstance(result, dict) else result

    def element(self, expression: str) -> str | None:
        """Return the id of the element that a JavaScript expression gives, if it does."""
        found = self.call("WebDriver:ExecuteScript", script=f"return {expression}", args=[])
        element: str | None = found[_ELEMENT] if found else None
        return element

    def _receive(self) -> Any:
        while b":" not in self._unread:
            self._more()
        size, _, self._unread = self._unread.partition(b":")
        length = int(size)
        while len(self._unread) < length:
            self._more()
        message, self._unread = self._unread[:length], self._unread[length:]
        return json.loads(message)

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the connection ended")
        self._unread += data

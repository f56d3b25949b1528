"""The simulated browsers: their messages go to queues that any thread may read."""

import queue
import threading

from pushctl.demo.pushservice.exchange import Message

PREFIX = "simulated-"  # of their device names


class Simulated:
    """All simulated browsers; their messages are dropped while nothing listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[queue.SimpleQueue[Message]] = []
        self._record: list[Message] | None = None

    def deliver(self, message: Message) -> None:
        for waiting in self._queues:
            waiting.put(message)
        if self._record is not None:
            with self._lock:
                self._record.append(message)

    def listen(self) -> "queue.SimpleQueue[Message]":
        """Return a queue of everything that arrives from now on."""
        listener: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._queues.append(listener)
        return listener

    def recorded(self, after: int = 0) -> list[Message]:
        """Return the messages since the first call, without the first *after*."""
        with self._lock:
            if self._record is None:
                self._record = []
            return self._record[after:]

"""Parts of every chapter: its title, waiting with a limit, visitors who answer."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

from pushctl import output
from pushctl.demo.crowd import Crowd
from pushctl.demo.setup import Setup
from pushctl.errors import PushctlError

PATIENCE = 60.0  # seconds for all messages to arrive

_CHAPTERS = count(1)


def print_chapter(title: str, line: str) -> None:
    output.say("")
    output.say(f"{next(_CHAPTERS)}  {title}", "bold")
    output.say(f"   {line}", "dim")


@contextmanager
def answer_messages(setup: Setup, crowd: Crowd) -> Iterator["Count"]:
    """Let visitors decrypt and answer messages within the block; yield the count so far."""
    deliveries: queue.SimpleQueue[Any] = setup.service.deliveries()  # None ends a listener
    answered = Count()

    def receive() -> None:
        # Without a timeout: where several wait with one, get() may wait for ever. It goes on
        # with the time that is left, and takes less than nothing for no bound (CPython 3.11).
        while message := deliveries.get():
            crowd.receive(message.endpoint, message.body)
            answered.add()

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(receive) for _ in range(4)]
        try:
            yield answered
        finally:
            for _ in working:
                deliveries.put(None)
            for one in working:
                one.result()


class Count:
    """A thread-safe count; call it to read it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        with self._lock:
            self._count += 1

    def __call__(self) -> int:
        return self._count


def wait_until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise PushctlError(f"waited {PATIENCE:.0f} s for {what}; the demo gives up.")
        time.sleep(0.05)

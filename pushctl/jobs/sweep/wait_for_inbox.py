"""Waits until something comes into the inbox: by inotify, else by looking again and again."""

import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

# Where the machine has no inotify to give, so often does the watch look by itself.
POLL = 0.2


class Wake:
    """Watches a folder; *trouble* says why it is looked at again and again instead."""

    def __init__(self, folder: Path) -> None:
        from inotify_simple import INotify, flags

        self.trouble: str | None = None
        self._notify: INotify | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._notify = INotify(nonblocking=True)
            # A new segment is renamed to its name once it is locked.
            self._notify.add_watch(folder, flags.MODIFY | flags.MOVED_TO)
        except OSError as error:
            self.trouble = f"{error.strerror}; the inbox is looked at five times a second"
            self.close()

    def wait(self, seconds: float, links: Sequence[Connection]) -> bool:
        """
        Wait for something in the folder or one of *links*, at most *seconds*.

        Return whether something came into the folder, or may have.
        """
        if self._notify is None:
            wait(links, min(seconds, POLL))
            return True
        ready = wait([*links, self._notify], seconds)
        if self._notify not in ready:
            return False
        list(self._notify.read(timeout=0))
        return True

    def close(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None


def pause(until: float) -> None:
    """Sleep until the monotonic time *until*: what comes meanwhile is taken together."""
    time.sleep(max(0.0, until - time.monotonic()))

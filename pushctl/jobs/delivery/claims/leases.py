"""The leases of one run's chunks, as rows: nothing goes out before they are committed."""

from collections.abc import Callable

from pushctl.model import Campaign, Millis
from pushctl.rules.units import SECOND
from pushctl.store import Store
from pushctl.store.clocks import read_seconds


class Leases:
    """
    Commits leases of *seconds*; *tell* gets the time up to which they last then.

    By ``read_seconds``, and from before the commit: workers' leases end before their rows'.
    """

    def __init__(
        self,
        store: Store,
        campaign: Campaign,
        read_now: Callable[[], Millis],
        seconds: float,
    ) -> None:
        self._store, self._campaign, self._read_now = store, campaign, read_now
        self.seconds = seconds
        self.tell: Callable[[float], None] = lambda until: None
        self._tokens: set[str] = set()
        self._ended: set[str] = set()
        self._renewed = 0.0
        store.leases.forget_ended(read_now())

    def begin(self, token: str, letters: int) -> None:
        """Commit the lease of a chunk, and renew the others."""
        self._commit(token, letters)

    def renew(self) -> None:
        """Renew all leases, if it is time to."""
        if self._tokens and read_seconds() - self._renewed > self.seconds / 6:
            self._commit()

    def end(self, token: str) -> None:
        """Have a lease end with the next commit."""
        self._ended.add(token)

    def close(self) -> None:
        """Delete all leases: no worker has anything of this run any more."""
        if self._tokens:
            self._store.leases.end(self._tokens)
            self._tokens.clear()

    def _commit(self, token: str | None = None, letters: int = 0) -> None:
        before, now = read_seconds(), self._read_now()
        ends_at = now + int(self.seconds * SECOND)
        ended, self._ended = self._ended, set()
        self._tokens -= ended
        with self._store.write():
            if ended:
                self._store.leases.end(ended)
            self._store.leases.renew(self._tokens, ends_at)
            if token is not None:
                self._store.leases.begin(self._campaign.id, token, letters, now, ends_at)
                self._tokens.add(token)
        self._renewed = before
        self.tell(before + self.seconds)

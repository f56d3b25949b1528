"""
Rate limits of one address and of one site: token buckets.

Their number is bounded: the least recently used bucket is dropped first, when it is full
or nearly so.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from pushctl.receiver.addresses import Proxies, make_rate_key
from pushctl.receiver.answers import Refusal, retry_later

BURST_SECONDS = 10
MOST_BUCKETS = 100_000  # about 25 MB


class Buckets:
    """Token buckets by name: *rate* a second, bursts of *burst_seconds*' worth; 0: no limit."""

    def __init__(
        self,
        rate: float,
        *,
        most: int = MOST_BUCKETS,
        burst_seconds: float = BURST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * burst_seconds)
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str | bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str | bytes, cost: int = 1) -> float:
        """Take *cost* tokens and return 0; return the seconds until they are there if not."""
        if not self._rate:
            return 0.0
        now = self._clock()
        left, since = self._buckets.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        due = min(cost, self._burst)
        wait = 0.0 if left >= due else (due - left) / self._rate
        self._buckets[name] = (left if wait else left - due, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait


class RateLimits:
    """The rate limits of one receiver; ``check`` raises the 429."""

    def __init__(self, per_address: float, per_site: float, trusted: Sequence[str]) -> None:
        self.proxies = Proxies(trusted)
        self.addresses = Buckets(per_address)
        self.sites = Buckets(per_site)

    def check(
        self,
        peer: str,
        headers: Iterable[tuple[bytes, bytes]],
        site: str | None,
        cost: int = 1,
    ) -> str:
        """
        Return the client's address; raise Refusal (429) above its rate or its site's.

        A trusted proxy that names no client stands for all clients: it has no limit.
        """
        address = self.proxies.find_client(peer, headers)
        wait = 0.0
        if not self.proxies.trusts(address):
            wait = self.addresses.take(make_rate_key(address), cost)
        if wait:
            raise _refuse_rate("rate", wait)
        if site is not None and (wait := self.sites.take(site)):
            raise _refuse_rate("site rate", wait)
        return address


def _refuse_rate(word: str, wait: float) -> Refusal:
    return retry_later(word, "Too many requests.", int(wait) + 1, 429)

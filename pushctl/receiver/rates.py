"""
How much one address and one site may ask for: token buckets, and whose address it is.

An address is a whole IPv4 address or the first 64 bits of an IPv6 one, which is what one
customer of a provider has. Buckets are few and small however many addresses come: the
one that was used longest ago goes first, and a bucket that is gone was a full one, or
nearly.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from pushctl.receiver.answers import Refusal

BURST_SECONDS = 10
MOST_BUCKETS = 100_000  # about 25 MB

_FORWARDED = b"x-forwarded-for"
_MOST_HOPS = 32


class Buckets:
    """Token buckets by name: *rate* a second, ten seconds' worth at once; 0: no limit."""

    def __init__(
        self,
        rate: float,
        *,
        most: int = MOST_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS)
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str | bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str | bytes, cost: int = 1) -> float:
        """Take *cost* tokens; return 0, or after how many seconds there will be as many."""
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


class Proxies:
    """Whose word about a client's address counts."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(each) for each in networks]
        self.holds = lru_cache(maxsize=4096)(self._holds)

    def _holds(self, address: str) -> bool:
        """Say whether *address* is a trusted proxy's."""
        try:
            parsed = _plain(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """
        Return the address a request comes from: the nearest hop that is no proxy of ours.

        What stands further left in X-Forwarded-For was written by whoever that is, and
        may be anything.
        """
        # An IPv4 client of a socket for both (RFC 4291, section 2.5.5.2).
        peer = peer.removeprefix("::ffff:") if "." in peer else peer
        if not self.holds(peer):
            return peer
        told = b",".join(value for name, value in headers if name == _FORWARDED)
        if not told:
            return peer
        for hop in reversed(told.decode("latin-1").split(",")[-_MOST_HOPS:]):
            address = _without_port(hop.strip())
            try:
                parsed = _plain(address)
            except ValueError:
                return peer
            address = str(parsed)  # without an interface's name: that may be anything
            if not self.holds(address):
                return address
            peer = address
        return peer


def _without_port(hop: str) -> str:
    """Return the address of "1.2.3.4:5678" or "[2001:db8::1]:5678", as some proxies do."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped if mapped is not None else parsed


@lru_cache(maxsize=4096)
def bucket(address: str) -> str | bytes:
    """Return what an address is counted under: itself, or its /64."""
    try:
        parsed = _plain(address)
    except ValueError:
        return address
    return parsed.packed[:8] if parsed.version == 6 else parsed.packed


class Gate:
    """The limits of one receiver; ``check`` raises the 429."""

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
        Return the client's address; raise Refusal (429) when it or its site asks too much.

        A proxy that doesn't say for whom it asks stands for everybody: no limit is its.
        """
        address = self.proxies.client(peer, headers)
        wait = 0.0
        if not self.proxies.holds(address):
            wait = self.addresses.take(bucket(address), cost)
        if wait:
            raise _too_many("rate", wait)
        if site is not None:
            wait = self.sites.take(site)
            if wait:
                raise _too_many("site rate", wait)
        return address


def _too_many(word: str, wait: float) -> Refusal:
    seconds = int(wait) + 1
    return Refusal(
        429,
        word,
        "Too many requests.",
        f"Nothing was kept. Send it again in {seconds} seconds.",
        headers={"retry-after": str(seconds)},
    )

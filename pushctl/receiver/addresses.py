"""
Whose address a request comes from, and what an address is counted under.

An address is a whole IPv4 address or the first 64 bits of an IPv6 one, which is what one
customer of a provider has.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

_FORWARDED = b"x-forwarded-for"
_MOST_HOPS = 32


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

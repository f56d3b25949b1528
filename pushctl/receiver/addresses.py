"""
The client's address of a request, and the key that its rate is counted under.

The key is a whole IPv4 address or the first 64 bits of an IPv6 one: a provider gives each
customer that much.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

_FORWARDED = b"x-forwarded-for"
_MOST_HOPS = 32
# Networks that no address of the internet comes from: a peer there is a proxy, a gateway
# of containers or a machine of the shop's own (RFC 1918, 3927, 4193, 4291, 6598).
_PRIVATE = [
    ipaddress.ip_network(each)
    for each in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
        *("127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128"),
    )
]


class Proxies:
    """The trusted proxies, whose X-Forwarded-For is believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(each) for each in networks]
        self.trusts = lru_cache(maxsize=4096)(self._trusts)

    def _trusts(self, address: str) -> bool:
        """Return whether *address* is a trusted proxy's."""
        try:
            parsed = _parse(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def find_client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """
        Return the address a request comes from: the nearest hop that is no proxy of ours.

        That client wrote all that stands further left in X-Forwarded-For.
        """
        # An IPv4 client of a socket for both (RFC 4291, section 2.5.5.2).
        peer = peer.removeprefix("::ffff:") if "." in peer else peer
        if not self.trusts(peer):
            return peer
        hops = b",".join(value for name, value in headers if name == _FORWARDED)
        if not hops:
            return peer
        for hop in reversed(hops.decode("latin-1").split(",")[-_MOST_HOPS:]):
            address = _strip_port(hop.strip())
            try:
                parsed = _parse(address)
            except ValueError:
                return peer
            address = str(parsed)  # without an interface's name, which may be anything
            if not self.trusts(address):
                return address
            peer = address
        return peer

    def names_another(self, address: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return whether *headers* name another first hop: *address* may be a proxy's."""
        for name, value in headers:
            if name == _FORWARDED:
                first = value.decode("latin-1").partition(",")[0].strip()
                return _strip_port(first) != address
        return False


def is_loopback(address: str) -> bool:
    """Return whether *address* is this machine's own."""
    try:
        return _parse(address).is_loopback
    except ValueError:
        return False


def _strip_port(hop: str) -> str:
    """Return the address of "1.2.3.4:5678" or "[2001:db8::1]:5678", as some proxies do."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped if mapped is not None else parsed


@lru_cache(maxsize=4096)
def make_rate_key(address: str) -> str | bytes:
    """Return the key that an address is counted under: itself, or its /64."""
    try:
        parsed = _parse(address)
    except ValueError:
        return address
    return parsed.packed[:8] if parsed.version == 6 else parsed.packed


@lru_cache(maxsize=4096)
def stands_for_many(address: str) -> bool:
    """
    Return whether all visitors may come from *address*: it is private, or none at all.

    A proxy that pushctl.toml does not name must not lock a whole shop out.
    """
    try:
        parsed = _parse(address)
    except ValueError:
        return True
    return any(parsed in network for network in _PRIVATE)

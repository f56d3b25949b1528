"""
Loopback targets in place of push services.

Addresses are checked when libcurl connects (``transport``): the DNS of an allowed host could
name this machine or its neighbours, and a second look-up could differ from the first.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from pushctl.errors import ConfigError


@dataclass(frozen=True)
class Target:
    """Where a loopback host is dialled instead: ("127.0.0.1", 8443)."""

    address: str
    port: int

    @property
    def text(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"


def parse_targets(loopback: Mapping[str, str]) -> dict[str, Target]:
    """
    Return the targets of push.loopback.hosts by "name" or "name:port".

    Raises ConfigError for a target that is not on this machine's loopback interface.
    """
    return {name: _parse_target(name, text) for name, text in loopback.items()}


def _parse_target(name: str, text: str) -> Target:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        valid = address.is_loopback and port.isascii() and 0 < int(port) < 65536
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(
            f"push.loopback.hosts: {name} leads to {text!r}, which is no loopback address "
            'with a port. Write for example "127.0.0.1:8443".'
        )
    return Target(str(address), int(port))

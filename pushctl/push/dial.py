"""
Which addresses may be dialled, looked at when libcurl is about to dial them.

The name of an allowed host says nothing about where it leads: whoever answers for it
in the DNS could name this machine or its neighbours. So the very address that the
socket will connect to is vetted, and there is no second look-up to differ.
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
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else (f"{self.address}:{self.port}")
        )


def targets(loopback: Mapping[str, str]) -> dict[str, Target]:
    """
    Return the targets of push.loopback.hosts by "name" or "name:port".

    Raises ConfigError for a target that is not on this machine's loopback interface.
    """
    return {name: _target(name, text) for name, text in loopback.items()}


def _target(name: str, text: str) -> Target:
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

"""The address of a cluster's scheduler, and what may go there without encryption: nothing."""

import ipaddress
import re
from typing import NamedTuple

from pushctl.rules.config.checks import Verdict

PORT = 8786  # Dask's own

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


_MEMBER = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})", re.ASCII)


class Address(NamedTuple):
    host: str
    port: int
    encrypted: bool

    @property
    def text(self) -> str:
        """The address as Dask writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.encrypted else 'tcp'}://{host}:{self.port}"


def parse(text: str) -> Address | Verdict:
    """Return a scheduler's address, or why it is none that letters may go to."""
    match = _ADDRESS.fullmatch(text)
    if match is None or match["scheme"] not in ("tls", "tcp"):
        return f"is {text!r}, not a scheduler's address", "Write it like 'tls://10.0.0.5:8786'."
    port = int(match["port"] or PORT)
    if not 0 < port < 65536:
        return f"is {text!r}, and {port} is no port", f"Dask's own is {PORT}."
    host = match["host"].strip("[]")
    if match["scheme"] == "tcp" and not is_loopback(host):
        return (
            f"is {text!r}: without TLS endpoints and keys would travel in the clear",
            "Write tls://, and give scheduler and workers certificates (docs/cluster.md). "
            "tcp:// is for this machine alone.",
        )
    return Address(host, port, match["scheme"] == "tls")


def scheduler(text: str) -> Verdict:
    """Check cluster.scheduler."""
    parsed = parse(text)
    return None if isinstance(parsed, Address) else parsed


def member(text: str) -> Verdict:
    """Check cluster.address."""
    match = _MEMBER.fullmatch(text)
    if match is not None and 0 < int(match["port"]) < 65536:
        return None
    return f"is {text!r}, not an address with a port", "Write it like 'sender.example:8787'."


def split(text: str) -> tuple[str, int]:
    """Return host and port of an address that ``member`` takes."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Return whether *host* can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

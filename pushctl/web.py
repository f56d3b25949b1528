"""
Requests to addresses that the shop's owner names in pushctl.toml.

The caller gives a ``Policy``: nothing is allowed by default. A request has one time limit as
a whole: a server that sends a byte every few seconds must not hold a sweep for hours.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from pushctl.errors import PushctlError

_FOLLOWS_REDIRECTS = ("GET", "HEAD")


class WebError(PushctlError):
    """A request failed, or its policy forbids it."""


class Addresses(Enum):
    """Which network addresses a host may lead to."""

    ANY = "any"  # the owner's own networks too
    PUBLIC = "public"  # of the internet alone: the host may come from a stranger


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one request and its redirects may do."""

    method: str
    hosts: Collection[str] | None  # the only ones that may be asked; None: any
    redirects: int  # how many are followed, by GET and HEAD alone
    addresses: Addresses
    most_bytes: int | None  # of the answer's body; None: it is thrown away
    seconds: float  # for everything together, redirects too


def request(
    url: str, policy: Policy, *, body: bytes | None = None, headers: Sequence[str] = ()
) -> bytes:
    """
    Return the body of the response of *url*: empty where *most_bytes* is None.

    *headers* are lines like "Accept: text/xml"; they and *body* go to the first host only.
    Raises WebError when there is no answer below 400 in time, or none that *policy* allows.
    """
    end = time.monotonic() + policy.seconds
    for _ in range(policy.redirects + 1):
        answer, target = _ask(url, policy, end, body, headers)
        if target is None or policy.method not in _FOLLOWS_REDIRECTS:
            return answer
        url, headers, body = target, (), None
    raise WebError(f"{name_host(url)} can't be asked: more than {policy.redirects} redirects")


def name_host(url: str) -> str:
    """Return *url* for warnings, which cron mails: without a password, path and query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "that address"
    if not (parts.scheme and host):
        return "that address"
    return f"{parts.scheme}://{host}" + ("/…" if parts.path.strip("/") or parts.query else "")


def _ask(
    url: str, policy: Policy, end: float, body: bytes | None, headers: Sequence[str]
) -> tuple[bytes, str | None]:
    """Return the answer's body, and where it redirects to."""
    import pycurl

    _check_host(url, policy)
    answer = bytearray()
    most = policy.most_bytes

    def take(part: bytes) -> int:
        if most is not None:
            answer.extend(part)
        return len(part) if most is None or len(answer) <= most else 0

    handle = pycurl.Curl()
    try:
        _prepare(handle, url, policy, end - time.monotonic())
        if body is not None:
            handle.setopt(pycurl.POSTFIELDS, body)
        handle.setopt(pycurl.CUSTOMREQUEST, policy.method)
        handle.setopt(pycurl.HTTPHEADER, list(headers))
        handle.setopt(pycurl.WRITEFUNCTION, take)
        handle.perform()
        return bytes(answer), handle.getinfo(pycurl.REDIRECT_URL)
    except (pycurl.error, UnicodeError) as error:
        if most is not None and len(answer) > most:
            raise WebError(f"{name_host(url)} answers more than {most:,} bytes") from None
        raise WebError(f"{name_host(url)} can't be asked: {error.args[-1]}") from None
    finally:
        handle.close()


def _check_host(url: str, policy: Policy) -> None:
    try:
        host = urlsplit(url).hostname
    except ValueError as error:
        raise WebError(f"{name_host(url)} can't be asked: {error}") from None
    if policy.hosts is not None and host not in policy.hosts:
        raise WebError(
            f"{name_host(url)} can't be asked: {host} is none of the hosts allowed here"
        )


def _prepare(handle: Any, url: str, policy: Policy, seconds: float) -> None:
    import pycurl

    from pushctl import authorities

    options = {
        pycurl.URL: url,
        pycurl.USERAGENT: "pushctl",
        pycurl.TIMEOUT_MS: max(1, int(seconds * 1000)),
        pycurl.NOSIGNAL: 1,
        pycurl.FAILONERROR: 1,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.NOBODY: int(policy.method == "HEAD"),
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    }
    if urlsplit(url).scheme == "https" and (file := authorities.find_file()):
        options[pycurl.CAINFO] = file
    if policy.addresses is Addresses.PUBLIC:
        options[pycurl.OPENSOCKETFUNCTION] = _open_public
        options[pycurl.PROXY] = ""  # else the proxy's address would be checked
    for option, value in options.items():
        handle.setopt(option, value)


def _open_public(purpose: int, address: Any) -> Any:
    """Open a socket to *address* if it is one of the internet's (libcurl's callback)."""
    import socket

    import pycurl

    from pushctl.rules.web import addresses

    if not addresses.is_public(str(address.addr[0])):
        return pycurl.SOCKET_BAD
    try:
        return socket.socket(address.family, address.socktype, address.protocol)
    except OSError:  # no handle is left: as good as unreachable
        return pycurl.SOCKET_BAD

"""
Requests to addresses that the shop's owner names in pushctl.toml.

The caller gives a ``Policy``: nothing is allowed by default. A request has one time limit as
a whole: a server that sends a byte every few seconds must not hold a sweep for hours.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pushctl.errors import PushctlError

_FOLLOWS_REDIRECTS = ("GET", "HEAD")


class WebError(PushctlError):
    """A request failed, or its policy forbids it; *begun*: some of it may have arrived."""

    def __init__(self, message: str, *, begun: bool = False) -> None:
        super().__init__(message)
        self.begun = begun


class CertificateError(WebError):
    """The server's certificate was refused: nothing was asked."""


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
    secure: bool = False  # https alone
    # "name[:port]" -> "127.0.0.1:port" that is asked instead, whatever *addresses* says, and
    # the PEM of its authority: for the demo and for tests
    loopback: Mapping[str, str] = field(default_factory=dict)
    loopback_ca: Path | None = None


def probe(
    seconds: float,
    loopback: Mapping[str, str] | None = None,
    loopback_ca: Path | None = None,
) -> Policy:
    """Return the Policy of who asks whether an address of the owner's answers, by GET."""
    return Policy(
        method="GET",
        hosts=None,
        redirects=5,
        addresses=Addresses.ANY,
        most_bytes=None,
        seconds=seconds,
        loopback=loopback or {},
        loopback_ca=loopback_ca,
    )


class Answer(NamedTuple):
    """What came back: any status; the body as far as *most_bytes* allow."""

    status: int
    body: bytes
    retry_after: float | None  # seconds


class Seen(NamedTuple):
    """An answer with its head, as it came: a redirect is one, too."""

    status: int
    headers: tuple[tuple[str, str], ...]  # names in lower case
    body: bytes
    cut: bool  # there was more than *most_bytes*
    location: str | None  # where it redirects to
    address: str  # the IP address that was asked
    chain: tuple[str, ...]  # the server's certificates as PEM, its own first

    def list_values(self, name: str) -> list[str]:
        """Return the values of the header *name*, one for each line."""
        return [value for known, value in self.headers if known == name]

    def find(self, name: str) -> str:
        """Return the last value of the header *name*; empty where it is absent."""
        return (self.list_values(name) or [""])[-1]


def look(url: str, policy: Policy, headers: Sequence[str] = ()) -> Seen:
    """
    Return the answer of *url*, whatever its status; no redirect is followed.

    Raises CertificateError where TLS trusts no certificate of the server, WebError when
    there is no answer in time, or *policy* forbids the request.
    """
    import pycurl

    _check_host(url, policy)
    body, lines = bytearray(), list[bytes]()
    handle, most = pycurl.Curl(), policy.most_bytes or 0
    try:
        _prepare(handle, url, policy, policy.seconds)
        _fill(handle, policy, None, headers, body)
        handle.setopt(pycurl.HEADERFUNCTION, lines.append)
        handle.setopt(pycurl.OPT_CERTINFO, 1)
        try:
            handle.perform()
        except pycurl.error:
            if len(body) <= most:
                raise
        return Seen(
            handle.getinfo(pycurl.RESPONSE_CODE),
            tuple(_list_headers(lines)),
            bytes(body[:most]),
            len(body) > most,
            handle.getinfo(pycurl.REDIRECT_URL),
            handle.getinfo(pycurl.PRIMARY_IP),
            _read_chain(handle),
        )
    except pycurl.error as error:
        refused = error.args[0] == pycurl.E_PEER_FAILED_VERIFICATION
        kind = CertificateError if refused else WebError
        raise kind(f"{name_host(url)} can't be asked: {error.args[-1]}") from None
    except UnicodeError as error:
        raise WebError(f"{name_host(url)} can't be asked: {error.args[-1]}") from None
    finally:
        handle.close()


def read_chain(url: str, policy: Policy) -> tuple[str, ...]:
    """
    Return the certificates (PEM, its own first) that the server of *url* shows.

    Nobody trusts them and nothing is asked: it is for saying why ``look`` refused them.
    Empty where there is no connection.
    """
    import pycurl

    _check_host(url, policy)
    handle = pycurl.Curl()
    try:
        _prepare(handle, url, policy, policy.seconds)
        handle.setopt(pycurl.CONNECT_ONLY, 1)
        handle.setopt(pycurl.OPT_CERTINFO, 1)
        handle.setopt(pycurl.SSL_VERIFYPEER, 0)
        handle.setopt(pycurl.SSL_VERIFYHOST, 0)
        handle.perform()
        return _read_chain(handle)
    except (pycurl.error, UnicodeError):
        return ()
    finally:
        handle.close()


def _read_chain(handle: Any) -> tuple[str, ...]:
    import pycurl

    shown = handle.getinfo(pycurl.INFO_CERTINFO) or ()
    return tuple(value for one in shown for name, value in one if name == "Cert")


def _list_headers(lines: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the headers of the last answer in *lines*; earlier ones are informational."""
    starts = [number for number, line in enumerate(lines) if line.startswith(b"HTTP/")]
    for line in lines[starts[-1] + 1 if starts else 0 :]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


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
    answer, most = bytearray(), policy.most_bytes
    handle = pycurl.Curl()
    try:
        _prepare(handle, url, policy, end - time.monotonic())
        handle.setopt(pycurl.FAILONERROR, 1)
        _fill(handle, policy, body, headers, answer)
        handle.perform()
        return bytes(answer), handle.getinfo(pycurl.REDIRECT_URL)
    except (pycurl.error, UnicodeError) as error:
        if most is not None and len(answer) > most:
            raise WebError(f"{name_host(url)} answers more than {most:,} bytes") from None
        raise WebError(f"{name_host(url)} can't be asked: {error.args[-1]}") from None
    finally:
        handle.close()


class Client:
    """
    Makes requests one after the other, over connections that are kept; for one thread.

    Redirects are answers like any other: none is followed.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def call(
        self, url: str, policy: Policy, *, body: bytes | None, headers: Sequence[str] = ()
    ) -> Answer:
        """
        Return the answer of *url*, whatever its status.

        What is beyond *most_bytes* is not read, and the status counts all the same. Raises
        WebError when there is no answer in time, or *policy* forbids the request.
        """
        import pycurl

        _check_host(url, policy)
        answer, most = bytearray(), policy.most_bytes
        self._handle = handle = self._handle or pycurl.Curl()
        try:
            handle.reset()  # its connections stay
            _prepare(handle, url, policy, policy.seconds)
            _fill(handle, policy, body, ["Expect:", *headers], answer)
            wait: list[float] = []
            handle.setopt(pycurl.HEADERFUNCTION, lambda line: _note_wait(line, wait))
            try:
                handle.perform()
            except pycurl.error:
                if most is None or len(answer) <= most:
                    raise
            status = handle.getinfo(pycurl.RESPONSE_CODE)
            return Answer(status, bytes(answer[:most]), wait[-1] if wait else None)
        except (pycurl.error, UnicodeError) as error:
            begun = handle.getinfo(pycurl.REQUEST_SIZE) > 0
            self.close()
            why = f"{name_host(url)} can't be asked: {error.args[-1]}"
            raise WebError(why, begun=begun) from None

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _note_wait(line: bytes, wait: list[float]) -> None:
    name, _, value = line.partition(b":")
    if name.strip().lower() == b"retry-after" and value.strip().isdigit():
        wait.append(float(value))


def _check_host(url: str, policy: Policy) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a redirect's port may be anything
    except ValueError as error:
        raise WebError(f"{name_host(url)} can't be asked: {error}") from None
    if policy.secure and parts.scheme != "https":
        raise WebError(f"{name_host(url)} can't be asked: it is not https")
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
        pycurl.FOLLOWLOCATION: 0,
        pycurl.NOBODY: int(policy.method == "HEAD"),
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    }
    if urlsplit(url).scheme == "https" and (file := authorities.find_file()):
        options[pycurl.CAINFO] = file
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = policy.loopback.get(f"{parts.hostname}:{port}") or policy.loopback.get(
        parts.hostname or ""
    )
    if target is not None:
        options[pycurl.CONNECT_TO] = [f"{parts.hostname}:{port}:{target}"]
        options[pycurl.PROXY] = ""
        if policy.loopback_ca is not None:
            options[pycurl.CAINFO] = str(policy.loopback_ca)
    elif policy.addresses is Addresses.PUBLIC:
        options[pycurl.OPENSOCKETFUNCTION] = _open_public
        options[pycurl.PROXY] = ""  # else the proxy's address would be checked
    for option, value in options.items():
        handle.setopt(option, value)


def _fill(
    handle: Any, policy: Policy, body: bytes | None, headers: Sequence[str], answer: bytearray
) -> None:
    """Give *handle* what it sends, and *answer* for what comes back."""
    import pycurl

    most = policy.most_bytes

    def take(part: bytes) -> int:
        if most is not None:
            answer.extend(part)
        return len(part) if most is None or len(answer) <= most else 0

    if body is not None:
        handle.setopt(pycurl.POSTFIELDS, body)
    handle.setopt(pycurl.CUSTOMREQUEST, policy.method)
    handle.setopt(pycurl.HTTPHEADER, list(headers))
    handle.setopt(pycurl.WRITEFUNCTION, take)


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

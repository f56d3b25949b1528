"""The options for libcurl and the header lines of requests to push services."""

from typing import Any

import pycurl

from pushctl import __version__
from pushctl.model import Letter

_MIN_BUFFER = 16_384  # bytes, of libcurl
_FIRST_WINDOW = 65_536  # bytes, of an HTTP/2 stream in libcurl
_CONNECT_SECONDS = 10.0


def make_options(timeout: float, proxy: str | None, ca: str | None) -> list[tuple[int, Any]]:
    """
    Return the options of all requests as (option, value).

    *timeout* in seconds for a whole request; *ca* a file, None for libcurl's own.
    """
    made: list[tuple[int, Any]] = [
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTPS),
        (pycurl.POST, 1),
        (pycurl.PATH_AS_IS, 1),
        # Of each handle; no body is larger than a quarter of it.
        (pycurl.UPLOAD_BUFFERSIZE, _MIN_BUFFER),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
        # No answer is longer than a stream's first window; without a limit libcurl would
        # widen it for each, in a packet of its own.
        (pycurl.MAX_RECV_SPEED_LARGE, _FIRST_WINDOW),
        (pycurl.PIPEWAIT, 1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
        (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        (pycurl.NOSIGNAL, 1),
        (pycurl.USERAGENT, f"pushctl/{__version__}"),
        (pycurl.TIMEOUT_MS, max(1, int(timeout * 1000))),
        (pycurl.CONNECTTIMEOUT_MS, max(1, int(min(timeout, _CONNECT_SECONDS) * 1000))),
        # An empty proxy also keeps libcurl from looking into the environment.
        (pycurl.PROXY, proxy or ""),
    ]
    if ca is not None:
        made.append((pycurl.CAINFO, ca))
    return made


def make_headers(authorization: str, letter: Letter, host: str) -> list[str]:
    """Return a request's header lines, which depend on the arguments alone."""
    lines = [
        f"Authorization: {authorization}",
        f"TTL: {letter.ttl}",
        f"Urgency: {letter.urgency}",
        "Content-Encoding: aes128gcm",
        "Content-Type: application/octet-stream",
        "Accept-Encoding: identity",
        # libcurl would wait a second for a 100 before a larger body.
        "Expect:",
    ]
    if letter.topic is not None:
        lines.append(f"Topic: {letter.topic}")
    if host.endswith(".notify.windows.com"):
        # WNS refuses with 400 a policy that doesn't fit the TTL.
        lines.append(f"X-WNS-Cache-Policy: {'cache' if letter.ttl > 0 else 'no-cache'}")
    return lines

"""What every request to a push service carries: libcurl's options and its header lines."""

from typing import Any

import pycurl

from pushctl import __version__
from pushctl.model import Letter

_LEAST_BUFFER = 16_384  # bytes; the least that libcurl takes
_FIRST_WINDOW = 65_536  # bytes; what libcurl begins an HTTP/2 stream with
_CONNECT_SECONDS = 10.0


def options(timeout: float, proxy: str | None, ca: str | None) -> list[tuple[int, Any]]:
    """
    Return what is the same for all requests, as (option, value).

    *timeout* in seconds, for a request as a whole; *ca* a file, None for libcurl's own.
    """
    made: list[tuple[int, Any]] = [
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTPS),
        (pycurl.POST, 1),
        (pycurl.PATH_AS_IS, 1),
        # Each handle keeps one, and no body is larger than a quarter of this.
        (pycurl.UPLOAD_BUFFERSIZE, _LEAST_BUFFER),
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


def headers(authorization: str, letter: Letter, host: str) -> list[str]:
    """Return a request's header lines; they depend on nothing but what is named here."""
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
        # Refused with 400 when it doesn't fit the TTL.
        lines.append(f"X-WNS-Cache-Policy: {'cache' if letter.ttl > 0 else 'no-cache'}")
    return lines

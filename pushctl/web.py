"""
Addresses that the shop's owner names in pushctl.toml: a feed, a dead man's switch.

Bounded as a whole, whatever the other side does: a server that answers a byte every few
seconds would hold a sweep for hours by timeouts that begin anew with each byte.
"""

from typing import Any
from urllib.parse import urlsplit

from pushctl.errors import PushctlError

_REDIRECTS = 5


class WebError(PushctlError):
    """An address gave no answer that is of use."""


def get(url: str, *, seconds: float, most: int | None = None) -> bytes:
    """
    Return what *url* answers, at most *most* bytes; None: whatever it says is let go.

    Raises WebError where it isn't there within *seconds*, all in all.
    """
    import pycurl

    body = bytearray()

    def take(part: bytes) -> int:
        if most is not None:
            body.extend(part)
        return len(part) if most is None or len(body) <= most else 0

    handle = pycurl.Curl()
    try:
        _prepare(handle, url, seconds)
        handle.setopt(pycurl.WRITEFUNCTION, take)
        handle.perform()
    except (pycurl.error, UnicodeError) as error:
        if most is not None and len(body) > most:
            raise WebError(f"{url} answers more than {most:,} bytes") from None
        raise WebError(f"{url} can't be asked: {error.args[-1]}") from None
    finally:
        handle.close()
    return bytes(body)


def _prepare(handle: Any, url: str, seconds: float) -> None:
    import pycurl

    from pushctl import authorities

    web = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS
    options = {
        pycurl.URL: url,
        pycurl.USERAGENT: "pushctl",
        pycurl.TIMEOUT_MS: int(seconds * 1000),
        pycurl.NOSIGNAL: 1,
        pycurl.FAILONERROR: 1,
        pycurl.FOLLOWLOCATION: 1,
        pycurl.MAXREDIRS: _REDIRECTS,
        pycurl.PROTOCOLS: web,
        pycurl.REDIR_PROTOCOLS: web,
    }
    if urlsplit(url).scheme == "https" and (file := authorities.file()):
        options[pycurl.CAINFO] = file
    for option, value in options.items():
        handle.setopt(option, value)

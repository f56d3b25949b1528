"""
The dead man's switch: a request after every sweep, /fail after a bad one, and /start before
it where that is wanted; the service behind the address reports missing and hanging ones (as
https://healthchecks.io does). The address is a secret: only its host is ever named.
"""

import threading
from urllib.parse import urlsplit

SECONDS = 5.0


class Start:
    """A request for /start, on its way beside the sweep, which it neither delays nor fails."""

    def __init__(self, url: str) -> None:
        self._thread: threading.Thread | None = None
        if _has_form(url):
            thread = threading.Thread(target=_request, args=(name(url, "start"),), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the machine has no more of them
                return
            self._thread = thread

    def wait(self) -> None:
        """Return when it is answered or given up: the end must not overtake the start."""
        if self._thread is not None:
            self._thread.join(2 * SECONDS)


def send(url: str, *, good: bool) -> str | None:
    """Request *url*; return the error, or None. Never raises: the sweep is done by then."""
    if not _has_form(url):
        return "the address to ping is no web address"
    return _request(url if good else name(url, "fail"))


def name(url: str, word: str) -> str:
    """Return the address for "start" or "fail", which stands before the query."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{word}").geturl()


def _has_form(url: str) -> bool:
    if not url.startswith(("https://", "http://")):
        return False
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _request(url: str) -> str | None:
    from pushctl import log, web

    try:
        web.request(url, web.probe(SECONDS))
    except web.WebError as error:
        return log.hide_secrets(str(error))
    except ValueError:
        return "the address to ping can't be read"
    return None

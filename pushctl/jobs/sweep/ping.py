"""
The dead man's switch: an address that is asked after every sweep, so that its owner is
told when no sweep came (https://healthchecks.io's way: /fail after a bad one).
"""

from urllib.parse import urlsplit

SECONDS = 5.0


def send(url: str, *, good: bool) -> str | None:
    """Ask *url*; return what went wrong, or None. Never raises: a sweep is done by then."""
    from pushctl import web

    try:
        if not url.startswith(("https://", "http://")):
            return f"{url} is no web address"
        policy = web.Policy(
            method="GET",
            hosts=None,
            redirects=5,
            addresses=web.Addresses.ANY,
            most_bytes=None,
            seconds=SECONDS,
        )
        web.request(url if good else failed(url), policy)
    except (web.WebError, ValueError) as error:
        return str(error)
    return None


def failed(url: str) -> str:
    """Return the address that hears of bad sweeps: /fail before what is asked of it."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/fail").geturl()

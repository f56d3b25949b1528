"""
The dead man's switch: an address that is asked after every sweep, so that its owner is
told when no sweep came (https://healthchecks.io's way: /fail after a bad one).
"""

SECONDS = 5.0


def send(url: str, *, good: bool) -> str | None:
    """Ask *url*; return what went wrong, or None. Never raises: a sweep is done by then."""
    from urllib.request import Request, urlopen

    if not url.startswith(("https://", "http://")):
        return f"{url} is no web address"
    target = url if good else url.rstrip("/") + "/fail"
    try:
        request = Request(target, headers={"User-Agent": "pushctl"})  # noqa: S310
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            answer.read(1024)
    except (OSError, ValueError) as error:
        return f"{url} can't be asked: {error}"
    return None

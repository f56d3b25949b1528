"""
Asks the addresses of pushctl.toml, and no others, with bounds of time and bytes.

Only GET, HEAD and OPTIONS go out: nothing is sent to anybody, and nothing is changed.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urljoin, urlsplit

from pushctl import web
from pushctl.config import Config
from pushctl.jobs.project.check_notes import Finding, Level
from pushctl.rules.limits import (
    CHECK_SECONDS,
    MAX_CHECKED_PAGE_BYTES,
    MAX_QUOTED_ANSWER_CHARACTERS,
)
from pushctl.rules.web import addresses
from pushctl.rules.wording import clean

_REDIRECTS = 3
# A proxy's compression would hide what is served.
_PLAIN = "Accept-Encoding: identity"


class Asker:
    """Asks the receiver and the sites' origins of *config*."""

    def __init__(self, config: Config, seconds: float = CHECK_SECONDS) -> None:
        self.receiver = find_receiver(config)
        self._seconds = seconds
        self._loopback = config.push.loopback
        self.origins = {
            origin for site in config.sites.values() for origin in (site.origin, *site.origins)
        } | ({cut_origin(self.receiver)} if self.receiver else set())

    def look(self, url: str, *, method: str = "GET", headers: Sequence[str] = ()) -> web.Seen:
        """Return the answer of *url*; raises WebError, for an origin not configured too."""
        return web.look(url, self._make_policy(url, method), [_PLAIN, *headers])

    def follow(self, url: str) -> tuple[str, web.Seen]:
        """Return the answer of *url*, or where it redirects to within configured origins."""
        for _ in range(_REDIRECTS):
            seen = self.look(url)
            if seen.location is None or not self.is_configured(seen.location):
                return url, seen
            url = seen.location
        return url, self.look(url)

    def is_configured(self, url: str) -> bool:
        return cut_origin(url) in self.origins

    def read_chain(self, url: str) -> tuple[str, ...]:
        """Return the certificates that the server of *url* shows, trusted or not."""
        return web.read_chain(url, self._make_policy(url, "GET"))

    def find_private(
        self, area: str, place: str, url: str, seen: web.Seen
    ) -> Iterator[Finding]:
        """Yield a note where *url* leads to an address that nobody outside can reach."""
        host = urlsplit(url).hostname or ""
        redirected = any(name.partition(":")[0] == host for name in self._loopback.hosts)
        if url.startswith("http:") or redirected or addresses.is_public(seen.address):
            return
        text = f"was asked at {seen.address} here, which others can't reach"
        remedy = "Others may see something else: run the curl line below on another machine."
        yield Finding(area, Level.NOTE, place, text, remedy)

    def _make_policy(self, url: str, method: str) -> web.Policy:
        if not self.is_configured(url):
            raise web.WebError(f"{web.name_host(url)} can't be asked: it is not configured")
        return web.Policy(
            method=method,
            hosts={urlsplit(url).hostname or ""},
            redirects=0,
            addresses=web.Addresses.ANY,
            most_bytes=MAX_CHECKED_PAGE_BYTES,
            seconds=self._seconds,
            loopback=self._loopback.hosts,
            loopback_ca=self._loopback.ca,
        )


def find_receiver(config: Config) -> str | None:
    """Return the receiver's address for browsers; None where only they know it."""
    if config.receiver.url:
        return config.receiver.url
    if all(site.origin.startswith("http:") for site in config.sites.values()):
        return f"http://{config.receiver.listen}"
    return None


def cut_origin(url: str) -> str:
    """Return scheme, host and port of *url* as browsers write an origin; empty for none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


def resolve(base: str, address: str) -> str:
    """Return *address*, as a page at *base* writes it, as a whole URL; empty for none."""
    try:
        return urljoin(base, address)
    except ValueError:
        return ""


def quote(text: str) -> str:
    """Return a stranger's *text*, short and harmless, for a finding."""
    shown = clean(" ".join(text.split()))
    if len(shown) > MAX_QUOTED_ANSWER_CHARACTERS:
        shown = f"{shown[:MAX_QUOTED_ANSWER_CHARACTERS]}…"
    return repr(shown)


def name_target(url: str | None) -> str:
    """Return where a redirect leads to, without its path."""
    return clean(web.name_host(url or ""))[:MAX_QUOTED_ANSWER_CHARACTERS]


def explain(error: web.WebError) -> str:
    """Return why there is no answer, without the address that the finding names anyway."""
    return str(error).partition("can't be asked: ")[2] or str(error)

"""Links of a message: absolute, with the parameters of their site."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from pushctl.model import Json
from pushctl.rules.messages import packs, payload
from pushctl.rules.messages.packs import Landing


class Added(NamedTuple):
    """What links to *origins* get; it is the same for all readers of a text on a site."""

    parameters: tuple[tuple[str, str], ...]
    origins: frozenset[str]

    def extend(self, url: str) -> str:
        return packs.extend_link(url, self.parameters, self.origins)


class Links:
    """Finds the parameters of one text's links; *own* are the template's, False for none."""

    def __init__(
        self, template: str, own: Mapping[str, str] | bool, language: str, variant: str
    ) -> None:
        self._own = own
        self._about = {"template": template, "language": language, "variant": variant}
        self._found: dict[Landing, Added | None] = {}

    def find(self, site: Mapping[str, Json]) -> Added | None:
        """Return what links get on *site*; None where neither site nor template adds any."""
        landing = site.get("landing")
        if landing is None or not (landing.parameters or self._own):
            return None
        if landing not in self._found:
            self._found[landing] = self._fill(landing)
        return self._found[landing]

    def _fill(self, landing: Landing) -> Added | None:
        if self._own is False:
            return None
        own = self._own if isinstance(self._own, Mapping) else {}
        parameters = packs.fill_parameters(landing, own, **self._about)
        return Added(parameters, landing.origins) if parameters else None


def make_absolute(link: str, origin: str) -> str:
    """Return *link* as an absolute http(s) URL; ValueError when it is none."""
    if link[0] == "/" and link[1:2] not in ("/", "\\"):
        link = origin + link
    if not link.isascii() or " " in link:
        parts = urlsplit(link)
        host = parts.netloc.encode("idna").decode("ascii") if parts.netloc else ""
        rest = quote(
            link.partition(parts.netloc)[2] if host else link, safe="%/:?#[]@!$&'()*+,;=~"
        )
        link = f"{parts.scheme}://{host}{rest}"
    if not payload.is_link(link):
        raise ValueError(
            f"{link[:200]!r} is no http or https URL, nor a path that starts with /"
        )
    return link

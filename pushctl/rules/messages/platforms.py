"""
Where a platform cuts a notification, and what it shows of one: platforms.toml, read.

The lengths are measurements that disagree, in grapheme clusters. So a text *may be* cut
from the shortest that a source names, and is shown here up to the longest.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data
from typing import Any, Final

from pushctl.model import Message
from pushctl.rules.messages import clusters

COLLAPSED: Final = "collapsed"
EXPANDED: Final = "expanded"
LOCK_SCREEN: Final = "lock screen"
VIEWS: Final = (COLLAPSED, EXPANDED, LOCK_SCREEN)
PARTS: Final = ("title", "body", "button")


@dataclass(frozen=True, slots=True)
class Source:
    """Who says so, and when."""

    name: str
    year: int
    dated: bool  # whether *year* is that of the source; else that of our reading

    @property
    def when(self) -> str:
        return str(self.year) if self.dated else f"read {self.year}"

    def __str__(self) -> str:
        return f"{self.name} ({self.when})"


@dataclass(frozen=True, slots=True)
class Bound:
    """How many clusters of a part a view has room for: *low* to *high*, by *sources*."""

    part: str
    view: str
    low: int
    high: int
    lines: int | None
    sources: tuple[Source, ...]

    def fit(self, text: str, limit: int) -> str:
        """
        Return what there is room for of *text*, where *limit* clusters have.

        A line of the text's own takes a whole one, however short it is. A view of one line
        draws the end of a line as a space.
        """
        if self.lines is None or "\n" not in text:
            return clusters.cut(text, limit, "")
        if self.lines == 1:
            return clusters.cut(text.replace("\n", " "), limit, "")
        kept, room, width = [], self.lines, max(limit // self.lines, 1)
        for line in text.split("\n"):
            kept.append(clusters.cut(line, room * width, ""))
            room -= max(-(-clusters.count_clusters(line) // width), 1)
            if room <= 0:
                break
        return clusters.cut("\n".join(kept), limit, "")


@dataclass(frozen=True, slots=True)
class Platform:
    """A browser on a system: what it shows, and how much of it."""

    id: str  # "windows-chrome"
    name: str  # "Chrome, Windows 11"
    buttons: int
    where: str  # "below", "expanded", "options" or "nowhere"
    picture: bool
    icon: bool
    badge: bool
    source: Source
    bounds: tuple[Bound, ...]

    @property
    def system(self) -> str:
        """What draws it: "windows", "macos", "android", "ios" or "linux"."""
        return self.id.partition("-")[0].removesuffix("10")

    @property
    def opens(self) -> bool:
        """Whether a message can be opened there, to show more of itself."""
        return self.system not in ("windows", "linux")

    @property
    def browser(self) -> str:
        return self.name.partition(",")[0]

    def find_bound(self, part: str, view: str = COLLAPSED) -> Bound | None:
        """
        Return the bound of *part* in *view*; None: nobody has measured it.

        An expanded title or button has the collapsed one's where there is no other.
        """
        found = {(bound.part, bound.view): bound for bound in self.bounds}
        if view == EXPANDED and part != "body":
            return found.get((part, view)) or found.get((part, COLLAPSED))
        return found.get((part, view))

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that this platform's row is made of, each once."""
        cuts = (source for bound in self.bounds for source in bound.sources)
        return tuple(dict.fromkeys((self.source, *cuts)))

    @property
    def credits(self) -> str:
        """Its sources on one line, together where they have one year."""
        years: dict[str, list[str]] = {}
        for source in self.sources:
            years.setdefault(source.when, []).append(source.name)
        return "; ".join(f"{', '.join(names)} ({when})" for when, names in years.items())


@dataclass(frozen=True, slots=True)
class LikelyCut:
    """A text that may be cut; *kept* is what certainly stays, without an ellipsis."""

    platform: Platform
    part: str
    view: str
    text: str
    length: int  # clusters
    bound: Bound
    kept: str
    opens: bool  # whether the rest appears once it is expanded, as far as that was measured


@cache
def load() -> Mapping[str, Platform]:
    """Return all platforms by id, in the table's order."""
    table = tomllib.loads((get_data(__package__, "platforms.toml") or b"").decode())
    return {name: _read_platform(name, row) for name, row in table.items()}


def likely_cuts(
    message: Message,
    views: Collection[str] = (COLLAPSED,),
    platforms: Collection[Platform] | None = None,
) -> list[LikelyCut]:
    """
    Return each text of *message* that is longer than a platform's shortest known limit, or
    that has more lines of its own than the platform shows.

    By platform, then view, then title, body and buttons. A button beyond those that a
    platform shows is no cut.
    """
    found = []
    for platform in load().values() if platforms is None else platforms:
        texts = [("title", message.title), ("body", message.body)]
        texts += [("button", action.title) for action in message.actions[: platform.buttons]]
        for view in views:
            for part, text in texts:
                if cut := _find_cut(platform, part, view, text):
                    found.append(cut)
    return found


def _find_cut(platform: Platform, part: str, view: str, text: str) -> LikelyCut | None:
    bound = platform.find_bound(part, view)
    if bound is None:
        return None
    length = clusters.count_clusters(text)
    kept = bound.fit(text, bound.low)
    if len(kept) == len(text):
        return None
    wide = platform.find_bound(part, EXPANDED)
    opens = view != EXPANDED and wide is not None and wide is not bound and length <= wide.low
    return LikelyCut(platform, part, view, text, length, bound, kept, opens)


def _read_platform(name: str, row: Mapping[str, Any]) -> Platform:
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cut in row["cuts"]:
        rows.setdefault((cut["part"], cut.get("view", COLLAPSED)), []).append(cut)
    shown = {key: row[key] for key in ("buttons", "where", "picture", "icon", "badge")}
    bounds = tuple(_join(*key, cuts) for key, cuts in rows.items())
    return Platform(name, row["name"], source=_read_source(row), bounds=bounds, **shown)


def _join(part: str, view: str, cuts: list[Mapping[str, Any]]) -> Bound:
    """Return what all sources together say of one part in one view."""
    return Bound(
        part,
        view,
        min(cut["low"] for cut in cuts),
        max(cut["high"] for cut in cuts),
        min((cut["lines"] for cut in cuts if "lines" in cut), default=None),
        tuple(dict.fromkeys(map(_read_source, cuts))),
    )


def _read_source(row: Mapping[str, Any]) -> Source:
    dated = "year" in row
    return Source(row["source"], row["year" if dated else "read"], dated)

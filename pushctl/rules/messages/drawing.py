"""
A message as one platform shows it: which parts, cut where, in which direction.

Pure values; ``page`` makes HTML of them, ``vector`` SVG, the commands' frames text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pushctl.model import Message
from pushctl.rules.messages import clusters, payload, platforms
from pushctl.rules.messages.platforms import COLLAPSED, EXPANDED, Bound, LikelyCut, Platform

# As many as fit side by side in a terminal: one of each kind that looks different.
USUAL: Final = (
    "windows-chrome",
    "windows-firefox",
    "macos-chrome",
    "macos-safari",
    "android-chrome",
    "ios",
)
MEANWHILE: Final = "to a person who has bought meanwhile"
DRAWN: Final = (*USUAL, "macos-firefox", "android-firefox")  # all but the rare ones


@dataclass(frozen=True, slots=True)
class DrawnText:
    """A text with what may be missing of it."""

    sure: str  # what every source says is shown
    maybe: str = ""  # what only some say is shown
    is_cut: bool = False  # whether more follows that nobody shows
    lines: int | None = None

    @property
    def text(self) -> str:
        return self.sure + self.maybe + (clusters.ELLIPSIS if self.is_cut else "")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One notification on one platform, in one view."""

    platform: Platform
    view: str
    language: str
    dir: str
    title: DrawnText
    body: DrawnText
    buttons: tuple[DrawnText, ...]
    menu: bool  # whether buttons are under the word "Options"
    picture: str | None  # addresses
    icon: str | None
    badge: str | None
    notes: tuple[str, ...]
    thanks: bool = False  # what who has bought meanwhile sees in its place

    @property
    def heading(self) -> str:
        if self.thanks:
            return MEANWHILE
        if not self.platform.opens:
            return "as it arrives"
        return {COLLAPSED: "as it arrives", EXPANDED: "opened"}[self.view]


def draw(message: Message, chosen: Sequence[Platform]) -> list[Drawing]:
    """
    Return *message* on each of the *chosen* platforms, in each view that differs.

    The last of a platform are the thanks for who has bought meanwhile, where it has some.
    """
    thanks = payload.find_thanks(message)
    return [
        drawn
        for platform in chosen
        for drawn in (
            *(_draw(message, platform, view) for view in _list_views(platform)),
            *([_draw_thanks(thanks, platform)] if thanks else ()),
        )
    ]


def _list_views(platform: Platform) -> tuple[str, ...]:
    return (COLLAPSED, EXPANDED) if platform.opens else (COLLAPSED,)


def _draw_thanks(thanks: Message, platform: Platform) -> Drawing:
    """Return *thanks* as they arrive; of what a platform never shows the message has told."""
    cuts = platforms.likely_cuts(thanks, (COLLAPSED,), [platform])
    notes = tuple(f"the thanks: {describe_cut(cut)}" for cut in cuts)
    return replace(_draw(thanks, platform, COLLAPSED), notes=notes, thanks=True)


def choose(names: Sequence[str]) -> list[Platform]:
    """Return platforms by id, in the table's order."""
    return [platform for name, platform in platforms.load().items() if name in names]


def _draw(message: Message, platform: Platform, view: str) -> Drawing:
    opened = view == EXPANDED or not platform.opens
    buttons = message.actions[: platform.buttons] if opened else ()
    label = platform.find_bound("button", view)
    return Drawing(
        platform,
        view,
        message.language,
        message.dir,
        _cut(message.title, platform.find_bound("title", view)),
        _cut(message.body, platform.find_bound("body", view)),
        tuple(_cut(action.title, label) for action in buttons),
        platform.where == "options",
        message.image if opened and platform.picture else None,
        message.icon if platform.icon else None,
        message.badge if platform.badge else None,
        tuple(_list_notes(message, platform, view)),
    )


def _cut(text: str, bound: Bound | None) -> DrawnText:
    if bound is None:
        return DrawnText(text)
    sure, whole = bound.fit(text, bound.low), bound.fit(text, bound.high)
    maybe = whole[len(sure) :] if whole.startswith(sure) else ""
    return DrawnText(sure, maybe, len(whole) < len(text), bound.lines)


def _list_notes(message: Message, platform: Platform, view: str) -> Iterator[str]:
    for cut in platforms.likely_cuts(message, (view,), [platform]):
        yield describe_cut(cut)
    opened = view == EXPANDED or not platform.opens
    if opened:
        yield from _list_missing(message, platform)
        if platform.find_bound("body", view) is None:
            yield "how much text it shows opened: not measured"


def _list_missing(message: Message, platform: Platform) -> Iterator[str]:
    """Yield what the message has and the platform never shows."""
    if message.image and not platform.picture:
        yield "no large picture here"
    if message.icon and not platform.icon:
        yield "no icon of your own here"
    hidden = len(message.actions) - platform.buttons
    if message.actions and not platform.buttons:
        yield "no buttons here"
    elif hidden > 0:
        yield f"shows {platform.buttons} of {len(message.actions)} buttons"


def describe_cut(cut: LikelyCut) -> str:
    """Return what may happen to a text, for people."""
    low, high = cut.bound.low, cut.bound.high
    after = f"{low}" if low == high else f"{low} to {high}"
    what = "a button's label" if cut.part == "button" else f"the {cut.part}"
    if cut.length <= low:
        text = f"{what} may be cut: its own lines leave no room for all"
    else:
        text = f"{what} may be cut after {after} of its {cut.length} characters"
    return f"{text}; the rest appears when it is opened" if cut.opens else text

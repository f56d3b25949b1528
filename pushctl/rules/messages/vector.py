"""Drawings as one SVG, for a machine without a browser: plainer than the page."""

from collections.abc import Sequence

from pushctl.rules.messages import canvas
from pushctl.rules.messages.canvas import Canvas, wrap
from pushctl.rules.messages.drawing import Drawing, DrawnText
from pushctl.rules.messages.page import CLAIM, Look, Sheet
from pushctl.rules.messages.platforms import EXPANDED, Platform

_COLUMN, _GAP, _MARGIN, _CARD = 404, 26, 32, 360
_INK, _SOFT, _NOTE, _PAPER = "#1c1b1f", "#5d5a63", "#8a4b00", "#f6f5f3"
# Wallpapers and cards of each system: (from, to), (fill, radius, size of letters).
_WALLS = {
    "windows": ("#1d4f9c", "#79b5ef"),
    "macos": ("#6d5bd0", "#f2a97e"),
    "android": ("#124b45", "#a7c9a0"),
    "ios": ("#28306b", "#e58fa0"),
    "linux": ("#3b3550", "#8d7fa8"),
}
_CARDS = {
    "windows": ("#f3f3f3", 8, 14),
    "macos": ("#f1edf3", 17, 13),
    "android": ("#fbf8fd", 26, 14),
    "ios": ("#eae4ee", 24, 15),
    "linux": ("#efefef", 0, 14.7),
}
_APPS = {"Chrome": "#3f83f1", "Firefox": "#ff7a1e", "Safari": "#2f9bf5"}


def render(title: str, sheets: Sequence[Sheet]) -> str:
    """Return all *sheets*: one in three columns, several side by side."""
    platforms = list(dict.fromkeys(it.platform for it in sheets[0].drawings))
    columns = len(sheets) if len(sheets) > 1 else min(len(platforms), 3)
    width = 2 * _MARGIN + columns * _COLUMN + (columns - 1) * _GAP
    page = Canvas(0, width)
    page.rectangle(0, 0, width, 1_000_000, _PAPER)
    page.write(title, _MARGIN, 50, 22, _INK, bold=True)
    page.write(f"Each notification is {CLAIM}.", _MARGIN, 74, 13, _SOFT)
    ends = [98.0] * columns
    for platform in platforms:
        if len(sheets) > 1:
            ends = [max(ends)] * columns
        for at, sheet in enumerate(sheets):
            column = at if len(sheets) > 1 else ends.index(min(ends))
            part = Canvas(_MARGIN + column * (_COLUMN + _GAP), _COLUMN, parts=page.parts)
            ends[column] = _draw_block(part, platform, sheet, ends[column]) + 24
    return canvas.finish(page, width, max(ends) + 12, _WALLS)


def _draw_block(part: Canvas, platform: Platform, sheet: Sheet, y: float) -> float:
    """Draw one text on one platform below *y*, and return where it ends."""
    part.write(platform.name, 0, y + 14, 15, _INK, bold=True)
    y = _write(part, f"{sheet.title} · {CLAIM} · {platform.credits}", 0, y + 31, 11, _SOFT)
    drawings = [it for it in sheet.drawings if it.platform is platform]
    for one in drawings:
        y = _draw_view(part, one, sheet.look, y) + 8
    for note in dict.fromkeys(note for it in drawings for note in it.notes):
        y = (
            _write(part, f"· {note}", 0, y + 10, 12, _NOTE if "may be cut" in note else _SOFT)
            - 8
        )
    return y


def _write(part: Canvas, text: str, x: float, y: float, size: float, fill: str) -> float:
    """Write *text* in as many lines as it takes; return where the next thing may begin."""
    for line in wrap(text, part.width - x, size):
        part.write(line, x, y, size, fill)
        y += size * 1.4
    return y


def _draw_view(part: Canvas, drawing: Drawing, look: Look, y: float) -> float:
    system = drawing.platform.system
    card = Canvas(part.left + (_COLUMN - _CARD) / 2, _CARD, mirrored=drawing.dir == "rtl")
    end = _DRAW[system](card, drawing, look, y + 30)
    fill, radius, _ = _CARDS[system]
    part.rectangle(0, y, _COLUMN, end - y + 18, f"url(#{system})", 14)
    part.write(drawing.heading, 14, y + 18, 10.5, "#ffffff", bold=True)
    part.rectangle((_COLUMN - _CARD) / 2, y + 30, _CARD, end - y - 30, fill, radius)
    part.parts.extend(card.parts)
    return end + 18


def _draw_icon(
    card: Canvas,
    address: str | None,
    look: Look,
    x: float,
    y: float,
    size: float,
    radius: float,
) -> None:
    """Draw the picture at *address*, or the brand's letter in its place."""
    if address is not None and address in look.pictures:
        card.picture(look.pictures[address], x, y, size, size)
        return
    card.rectangle(x, y, size, size, look.color, radius)
    middle = Canvas(card.place(x, size), size, parts=card.parts)
    middle.write(
        look.letter,
        size / 2,
        y + size * 0.64,
        size * 0.42,
        look.on_color,
        bold=True,
        anchor="middle",
    )


def _draw_picture(
    card: Canvas, drawing: Drawing, look: Look, x: float, y: float, height: float, radius: float
) -> None:
    width = _CARD - 2 * x
    if drawing.picture in look.pictures:
        card.picture(look.pictures[drawing.picture or ""], x, y, width, height)
        return
    card.rectangle(x, y, width, height, look.color, radius)
    card.rectangle(x, y + height * 0.55, width, height * 0.45, "rgba(0,0,0,0.28)", radius)
    card.rectangle(x + width * 0.72, y + height * 0.16, 44, 44, "rgba(255,255,255,0.55)", 22)
    card.write("large picture", x + 12, y + height - 12, 11, "#ffffff")


def _draw_texts(
    card: Canvas, drawing: Drawing, x: float, y: float, width: float, host: str, *, after: bool
) -> float:
    """Draw title, host and body; *after*: the host stands below the body."""
    size = _CARDS[drawing.platform.system][2]
    opened = drawing.view == EXPANDED

    def put(
        drawn: DrawnText | str, y: float, fill: str, room: float, lines: int | None, bold: bool
    ) -> float:
        text = drawn if isinstance(drawn, str) else drawn.text
        for line in wrap(text, room, size, bold=bold, lines=lines) if text else ():
            card.write(line, x, y, size, fill, bold=bold)
            y += size * 1.35
        return y

    y = put(
        drawing.title, y, "#1b1b1b", width - (0 if after else 44), drawing.title.lines, True
    )
    if host and not after:
        y = put(host, y, "#1b1b1b", width, 1, True)
    y = put(drawing.body, y, "#3a3a3a", width, None if opened else drawing.body.lines, False)
    if after:
        card.write(host, x, y, 12, "#5c5c5c")
        y += 18
    return y


def _draw_windows(card: Canvas, drawing: Drawing, look: Look, y: float) -> float:
    app = drawing.platform.browser
    card.rectangle(16, y + 10, 16, 16, _APPS[app], 8)
    card.write(app, 40, y + 22, 12, "#1b1b1b")
    y += 38
    if drawing.picture:
        _draw_picture(card, drawing, look, 0, y - 4, 182, 0)
        y += 190
    start = 16.0
    if drawing.icon:
        _draw_icon(card, drawing.icon, look, 16, y, 48, 0)
        start = 76.0
    end = _draw_texts(card, drawing, start, y + 13, _CARD - start - 16, look.host, after=True)
    y = max(end - 8, y + (56 if drawing.icon else 0))
    if not drawing.buttons:
        return y + 8
    width = (_CARD - 32 - 8 * (len(drawing.buttons) - 1)) / len(drawing.buttons)
    for at, label in enumerate(drawing.buttons):
        x = 16 + at * (width + 8)
        card.rectangle(x, y + 4, width, 31, "#d9d9d9", 4)
        card.rectangle(x + 0.7, y + 4.7, width - 1.4, 29.6, "#fdfdfd", 3.5)
        card.write(
            wrap(label.text, width - 16, 14, lines=1)[0],
            x + width / 2,
            y + 24,
            14,
            "#1b1b1b",
            anchor="middle",
        )
    return y + 50


def _draw_macos(card: Canvas, drawing: Drawing, look: Look, y: float) -> float:
    card.rectangle(13, y + 14, 38, 38, _APPS[drawing.platform.browser], 19)
    room = _CARD - 62 - (60 if drawing.icon else 14)
    end = _draw_texts(card, drawing, 62, y + 22, room, look.host, after=False)
    if drawing.icon:
        _draw_icon(card, drawing.icon, look, _CARD - 49, y + 28, 36, 6)
    y = max(end, y + 58)
    for label in drawing.buttons:
        card.rectangle(_CARD - 203, y, 190, 25, "#fbfafc", 6)
        card.write(wrap(label.text, 170, 13, lines=1)[0], _CARD - 193, y + 17, 13, "#1d1d1f")
        y += 28
    return y + 6


def _draw_android(card: Canvas, drawing: Drawing, look: Look, y: float) -> float:
    if drawing.badge:
        _draw_icon(card, drawing.badge, look, 14, y + 14, 26, 13)
    else:
        card.rectangle(14, y + 14, 26, 26, "#4a5f94", 13)
    card.write(f"{drawing.platform.browser} · {look.host}", 53, y + 27, 12, "#49454f")
    room = _CARD - 53 - (74 if drawing.icon else 16)
    end = _draw_texts(card, drawing, 53, y + 48, room, "", after=False)
    if drawing.icon:
        _draw_icon(card, drawing.icon, look, _CARD - 60, y + 30, 44, 10)
    y = max(end, y + 78)
    if drawing.picture:
        _draw_picture(card, drawing, look, 14, y, 164, 16)
        y += 174
    for label in drawing.buttons:
        card.write(wrap(label.text, 280, 14, lines=1)[0], 53, y + 16, 14, "#3f5aa9", bold=True)
        y += 28
    return y + 4


def _draw_ios(card: Canvas, drawing: Drawing, look: Look, y: float) -> float:
    end = _draw_texts(card, drawing, 63, y + 26, _CARD - 77, look.name, after=False)
    end = max(end, y + 62)
    _draw_icon(card, None, look, 14, y + (end - y) / 2 - 22, 38, 9)
    return end - 2


def _draw_linux(card: Canvas, drawing: Drawing, look: Look, y: float) -> float:
    """Draw Firefox's own window: the title above all, icon and text below it."""
    card.write(
        wrap(drawing.title.text, _CARD - 72, 14.7, bold=True, lines=1)[0],
        8,
        y + 20,
        14.7,
        "#000000",
        bold=True,
    )
    card.write("✕", _CARD - 22, y + 20, 14.7, "#000000")
    start = 94.0 if drawing.icon else 8.0
    if drawing.icon:
        _draw_icon(card, drawing.icon, look, 7, y + 42, 80, 0)
    end = y + 44
    for line in wrap(drawing.body.text, _CARD - start - 8, 14.7) if drawing.body.text else ():
        card.write(line, start, end, 14.7, "#000000")
        end += 17
    end = max(end + 8, y + 130)
    card.write(f"via {look.host}", start, end, 12.2, "#6d6d6d")
    return end + 8


_DRAW = {
    "windows": _draw_windows,
    "macos": _draw_macos,
    "android": _draw_android,
    "ios": _draw_ios,
    "linux": _draw_linux,
}

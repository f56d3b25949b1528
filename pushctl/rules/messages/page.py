"""
Drawings as one HTML page: no script, no request, every text escaped.

The style is page.css. Its hash is all that the page's Content-Security-Policy allows,
beside pictures that are in the page itself.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pkgutil import get_data

from pushctl.rules import colors
from pushctl.rules.messages import clusters
from pushctl.rules.messages.drawing import Drawing, DrawnText
from pushctl.rules.messages.platforms import EXPANDED, Platform

ACCENT = "#b04a26"  # where a brand has no colour
CLAIM = "drawn, not photographed"

# What the system itself writes: (now, Options, Settings, from).
_SYSTEM = {
    "en": ("now", "Options", "Settings", "from {}"),
    "ar": ("الآن", "خيارات", "الإعدادات", "من {}"),
    "tr": ("şimdi", "Seçenekler", "Ayarlar", "{} kaynağından"),
    "ru": ("сейчас", "Параметры", "Настройки", "от {}"),
    "nl": ("nu", "Opties", "Instellingen", "van {}"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What stands in a drawing beside the message: the site's own."""

    name: str
    host: str
    color: str = ACCENT
    # address -> "data:image/png;base64,..."; others are drawn as placeholders
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def letter(self) -> str:
        return next(clusters.iterate_clusters(self.name.strip() or self.host), "?").upper()

    @property
    def on_color(self) -> str:
        """Black or white, whichever can be read on the colour (WCAG 2.2)."""
        bright = colors.measure_luminance(colors.parse_color(self.color))
        return "#000" if bright > colors.MIDDLE_LUMINANCE else "#fff"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One text of a template, drawn on every platform."""

    title: str  # "en, variant b"
    detail: str  # "413 of 3,993 bytes"
    look: Look
    drawings: Sequence[Drawing]


def render(title: str, sheets: Sequence[Sheet]) -> str:
    """Return a whole page with all *sheets* side by side, platform by platform."""
    look = sheets[0].look
    style = (get_data(__package__, "page.css") or b"").decode()
    style = style.replace("ON_ACCENT", look.on_color).replace("ACCENT", look.color)
    style += "".join(
        f".{_name_picture(address)}{{background:url({data}) center/cover}}\n"
        for address, data in look.pictures.items()
    )
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:"
    platforms = list(dict.fromkeys(it.platform for it in sheets[0].drawings))
    main = "".join(_draw_platform(platform, sheets) for platform in platforms)
    count = "one" if len(sheets) == 1 else "many"
    detail = f"{sheets[0].title}, {sheets[0].detail}. " if len(sheets) == 1 else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(detail)}Each notification is {CLAIM}: its "
        f"measures are those of the sources beside it. Faint, dotted text is shown by some and "
        f"cut by others.</p></header>\n"
        f'<main class="{count}">{main}</main>\n</html>\n'
    )


def _draw_platform(platform: Platform, sheets: Sequence[Sheet]) -> str:
    figures = "".join(
        _draw_figure(
            sheet, [it for it in sheet.drawings if it.platform is platform], len(sheets) > 1
        )
        for sheet in sheets
    )
    return (
        f'<section><h2>{escape(platform.name)}</h2><p class="source">{CLAIM} · '
        f'{escape(platform.credits)}</p><div class="texts">{figures}</div></section>\n'
    )


def _draw_figure(sheet: Sheet, drawings: Sequence[Drawing], named: bool) -> str:
    head = f"<figcaption><b>{escape(sheet.title)}</b>, {escape(sheet.detail)}</figcaption>"
    views = "".join(
        f'<div class="view {it.platform.system}"><em>{it.heading}</em>'
        f"{_DRAW[it.platform.system](it, sheet.look)}</div>"
        for it in drawings
    )
    notes = dict.fromkeys(note for it in drawings for note in it.notes)
    listed = "".join(
        f"<li{'' if 'may be cut' in note else ' class=plain'}>{escape(note)}</li>"
        for note in notes
    )
    below = f'<ul class="notes">{listed}</ul>' if listed else ""
    return f"<figure>{head if named else ''}{views}{below}</figure>"


def _open_card(drawing: Drawing) -> str:
    return f'<div class="card" lang="{escape(drawing.language)}" dir="{drawing.dir}">'


def _text(drawn: DrawnText) -> str:
    maybe = f'<span class="maybe">{escape(drawn.maybe)}</span>' if drawn.maybe else ""
    return escape(drawn.sure) + maybe + (clusters.ELLIPSIS if drawn.is_cut else "")


def _paragraph(kind: str, drawn: DrawnText, lines: int | None) -> str:
    clamp = f" l{lines}" if lines in (1, 2, 4) else ""
    return f'<p class="{kind}{clamp}">{_text(drawn)}</p>' if drawn.text else ""


def _picture(kind: str, address: str | None, look: Look) -> str:
    """Return the picture at *address*, or what stands for it; "" where there is none."""
    if address is None:
        return ""
    if address in look.pictures:
        return f'<div class="{kind} {_name_picture(address)}"></div>'
    letter = "" if kind == "picture" else escape(look.letter)
    return f'<div class="{kind} none">{letter}</div>'


def _name_picture(address: str) -> str:
    """Return the class of a picture, whose data stand in the page once."""
    return f"p{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def _system_words(drawing: Drawing) -> tuple[str, str, str, str]:
    return _SYSTEM.get(drawing.language.partition("-")[0], _SYSTEM["en"])


def _list_buttons(drawing: Drawing) -> str:
    return "".join(f'<div class="button l1">{_text(it)}</div>' for it in drawing.buttons)


def _draw_windows(drawing: Drawing, look: Look) -> str:
    app = drawing.platform.browser
    buttons = f'<div class="buttons">{_list_buttons(drawing)}</div>' if drawing.buttons else ""
    picture = _picture("picture", drawing.picture, look)
    return (
        f'{_open_card(drawing)}<div class="bar"><i class="app {app.lower()}"></i>'
        f'<span class="grow">{app}</span><u>···</u><u>✕</u></div>{picture}'
        f'<div class="row">{_picture("icon", drawing.icon, look)}<div class="grow">'
        f"{_paragraph('title', drawing.title, drawing.title.lines)}"
        f"{_paragraph('body', drawing.body, drawing.body.lines)}"
        f'<p class="from l1">{escape(look.host)}</p></div></div>{buttons}</div>'
    )


def _draw_macos(drawing: Drawing, look: Look) -> str:
    now, options, settings, _ = _system_words(drawing)
    opened = drawing.view == EXPANDED
    menu = ""
    if opened and drawing.menu:
        rest = f'<div class="button rest">{settings}</div>'
        menu = (
            f'<div class="options"><span class="pill">{options} ▾</span></div>'
            f'<div class="menu">{_list_buttons(drawing)}{rest}</div>'
        )
    return (
        f'{_open_card(drawing)}<div class="row">'
        f'<i class="app {drawing.platform.browser.lower()}"></i><div class="grow">'
        f'<div class="head">{_paragraph("title", drawing.title, 1)}'
        f'<span class="now">{now}</span></div><p class="from l1">{escape(look.host)}</p>'
        f"{_paragraph('body', drawing.body, None if opened else drawing.body.lines)}</div>"
        f"{_picture('thumb', drawing.icon, look)}</div>{menu}</div>"
    )


def _draw_android(drawing: Drawing, look: Look) -> str:
    now = _system_words(drawing)[0]
    opened = drawing.view == EXPANDED
    plain = f'<div class="badge plain">{drawing.platform.browser[0]}</div>'
    badge = _picture("badge", drawing.badge, look) or plain
    buttons = f'<div class="buttons">{_list_buttons(drawing)}</div>' if drawing.buttons else ""
    picture = _picture("picture", drawing.picture, look)
    app = drawing.platform.browser
    return (
        f'{_open_card(drawing)}<div class="row">'
        f"{badge}"
        f'<div class="grow"><div class="bar"><span>{app}</span><span>·</span>'
        f'<span class="host" dir="ltr">{escape(look.host)}</span><span>·</span>'
        f"<span>{now}</span>"
        f'<span class="open">{"▲" if opened else "▼"}</span></div>'
        f"{_paragraph('title', drawing.title, 1)}"
        f"{_paragraph('body', drawing.body, None if opened else 1)}</div>"
        f"{_picture('thumb', drawing.icon, look)}</div>{picture}{buttons}</div>"
    )


def _draw_ios(drawing: Drawing, look: Look) -> str:
    now, _, _, from_ = _system_words(drawing)
    lines = None if drawing.view == EXPANDED else drawing.body.lines
    return (
        f'{_open_card(drawing)}<div class="row"><span class="icon">{escape(look.letter)}</span>'
        f'<div class="grow"><div class="head">{_paragraph("title", drawing.title, 1)}'
        f'<span class="now">{now}</span></div>'
        f'<p class="from l1">{escape(from_.format(look.name))}</p>'
        f"{_paragraph('body', drawing.body, lines)}</div></div></div>"
    )


def _draw_linux(drawing: Drawing, look: Look) -> str:
    """Draw the window of Firefox's own that alert.xhtml lays out."""
    icon = _picture("icon", drawing.icon, look)
    return (
        f'{_open_card(drawing)}<div class="head">{_paragraph("title", drawing.title, 1)}'
        f'<u>✕</u></div><div class="row">{icon}<div class="grow">'
        f"{_paragraph('body', drawing.body, None)}"
        f'<p class="from l1" dir="ltr">via {escape(look.host)}<u>⚙</u></p></div></div></div>'
    )


_DRAW = {
    "windows": _draw_windows,
    "macos": _draw_macos,
    "android": _draw_android,
    "ios": _draw_ios,
    "linux": _draw_linux,
}

"""Previews as a page to look at: one HTML file, or a PNG of it."""

import base64
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pushctl.config import Config, Site
from pushctl.errors import InputError
from pushctl.jobs.messages import fonts, screenshots
from pushctl.jobs.messages.preview import Preview
from pushctl.rules import limits
from pushctl.rules.messages import drawing, page, payload, platforms, vector
from pushctl.rules.messages.platforms import Platform

# By their first bytes: what a file's name says is not asked.
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def choose_platforms(names: Sequence[str]) -> list[Platform]:
    """Return platforms by id, those that are usually drawn for none; InputError for others."""
    known = platforms.load()
    for name in names:
        if name not in known:
            raise InputError(f"no platform is called {name!r}. Known: {', '.join(known)}.")
    return drawing.choose(names or drawing.DRAWN)


def make_page(
    config: Config,
    previews: Sequence[Preview],
    chosen: Sequence[Platform],
    folder: Path | None = None,
) -> str:
    """
    Return the page of *previews* on the *chosen* platforms.

    *folder* has the site's own pictures. One that is not there, or too large for the page,
    is drawn as a placeholder.
    """
    made = page.render(previews[0].template, make_sheets(config, previews, chosen, folder))
    size = len(made.encode())
    if size > limits.MAX_PREVIEW_BYTES:
        raise InputError(
            f"the page has {size:,} bytes, more than {limits.MAX_PREVIEW_BYTES:,}. "
            "Choose fewer languages, platforms or pictures."
        )
    return made


def make_sheets(
    config: Config,
    previews: Sequence[Preview],
    chosen: Sequence[Platform],
    folder: Path | None = None,
) -> list[page.Sheet]:
    """Return one sheet for each of *previews*."""
    looks = {
        name: _make_look(config.sites[name], [it for it in previews if it.site == name], folder)
        for name in {one.site for one in previews}
    }
    return [
        page.Sheet(
            one.language if one.variant == "a" else f"{one.language}, variant {one.variant}",
            f"{one.bytes:,} of {limits.MAX_PAYLOAD_BYTES:,} bytes",
            looks[one.site],
            drawing.draw(one.message, chosen),
        )
        for one in previews
    ]


def write(file: Path, content: str | bytes) -> Path:
    """Write *file* and return its path; InputError where it can't be written."""
    try:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise InputError(f"{file} can't be written: {error.strerror}.") from error
    return file.absolute()


def write_temporary(name: str, content: str) -> Path:
    """Write a page where only this user can read it, to be opened."""
    return write(Path(tempfile.mkdtemp(prefix="pushctl-preview-")) / f"{name}.html", content)


def draw_png(title: str, sheets: Sequence[page.Sheet]) -> bytes:
    """
    Return a PNG of *sheets*: by a browser, else by the extra ``pushctl[png]``.

    Raises InputError where this machine lacks either, or the letters.
    """
    texts = (
        text
        for sheet in sheets
        for it in sheet.drawings
        for text in (it.title.text, it.body.text, *(one.text for one in it.buttons))
    )
    fonts.require(texts)
    if not screenshots.is_possible():
        return _draw_without_browser(title, sheets)
    shown = {it.platform.id for it in sheets[0].drawings}
    columns = len(sheets) if len(sheets) > 1 else min(len(shown), 3)
    return screenshots.take(page.render(title, sheets), columns=columns)


def _draw_without_browser(title: str, sheets: Sequence[page.Sheet]) -> bytes:
    try:
        import resvg_py
    except ImportError as error:
        raise InputError(screenshots.NEEDED) from error
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=vector.render(title, sheets)))
    except ValueError as error:
        raise InputError(f"resvg can't draw the picture: {error}") from error


def _make_look(site: Site, previews: Iterable[Preview], folder: Path | None) -> page.Look:
    host = urlsplit(site.origin).netloc
    color = site.brand.color or page.ACCENT
    pictures: dict[str, str] = {}
    messages = [one.message for one in previews]
    messages += filter(None, map(payload.find_thanks, messages))
    wanted = {url for it in messages for url in (it.icon, it.image, it.badge) if url}
    if folder is not None:
        for url in sorted(wanted):
            if urlsplit(url).netloc == host and (data := _read_picture(folder, url)):
                pictures[url] = data
    return page.Look(site.brand.name or host, host, color, pictures)


def _read_picture(folder: Path, url: str) -> str | None:
    """Return the picture below *folder* that *url* leads to, as a data URL."""
    root = folder.resolve()
    try:
        file = (root / unquote(urlsplit(url).path).lstrip("/")).resolve()
        if not file.is_relative_to(root) or file.stat().st_size > limits.MAX_PICTURE_BYTES:
            return None
        content = file.read_bytes()
    except (OSError, ValueError):
        return None
    for first, kind in _KINDS:
        if content.startswith(first):
            return f"data:{kind};base64,{base64.b64encode(content).decode()}"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return None

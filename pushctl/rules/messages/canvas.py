"""
An SVG that grows downwards: texts in estimated lines, rectangles, pictures.

SVG breaks no lines and measures nothing, so widths are estimates for a common sans-serif.
Coordinates are CSS pixels from the left; with ``mirrored`` a part is drawn from the right.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from pushctl.rules.messages import clusters

FONTS = "Inter, 'Noto Sans', 'Noto Sans Arabic', 'DejaVu Sans', sans-serif"
# Right-to-left isolate: resvg begins every text from the left (UAX #9).
_RLI, _PDI = "\u2067", "\u2069"
# XML has no way to write these: one of them in a text, and nothing is drawn.
_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[] ·"), frozenset("mwMW@%…—")


@dataclass
class Canvas:
    """Elements drawn so far; *left* and *width* are the part that is being drawn."""

    left: float
    width: float
    mirrored: bool = False
    parts: list[str] = field(default_factory=list)

    def place(self, x: float, width: float) -> float:
        """Return where something of *width* begins that is *x* from the starting side."""
        return self.left + (self.width - x - width if self.mirrored else x)

    def rectangle(
        self, x: float, y: float, width: float, height: float, fill: str, radius: float = 0
    ) -> None:
        self.parts.append(
            f'<rect x="{self.place(x, width):.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="{radius:.1f}" fill="{escape(fill)}"/>'
        )

    def write(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        fill: str,
        *,
        bold: bool = False,
        anchor: str = "start",
    ) -> None:
        """Write one line with its baseline at *y*; *anchor* is start, middle or end."""
        if self.mirrored:
            anchor = {"start": "end", "end": "start"}.get(anchor, anchor)
            text = f"{_RLI}{text}{_PDI}"
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{self.place(x, 0):.1f}" y="{y:.1f}" font-size="{size}"{weight} '
            f'fill="{fill}" text-anchor="{anchor}">{escape(_UNWRITABLE.sub("", text))}</text>'
        )

    def picture(self, data: str, x: float, y: float, width: float, height: float) -> None:
        """Draw the picture of a data URL, cut to its room."""
        self.parts.append(
            f'<image x="{self.place(x, width):.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" preserveAspectRatio="xMidYMid slice" '
            f'href="{escape(data)}"/>'
        )


def measure(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how wide *text* is."""
    return sum(map(_measure_letter, text)) * size * (1.07 if bold else 1)


def _measure_letter(letter: str) -> float:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    if letter in _NARROW:
        return 0.3
    if letter in _WIDE:
        return 0.88
    if unicodedata.east_asian_width(letter) in ("W", "F"):
        return 1.05
    if "\u0590" <= letter <= "\u08ff":
        return 0.5
    return 0.66 if letter.isupper() or letter.isdigit() else 0.55


def wrap(
    text: str, width: float, size: float, *, bold: bool = False, lines: int | None = None
) -> list[str]:
    """Return *text* in lines of *width*, at most so many *lines*, the last with an ellipsis."""
    made = [line for part in text.split("\n") for line in _wrap_line(part, width, size, bold)]
    if lines is None or len(made) <= lines:
        return made
    last = " ".join(made[lines - 1 :]).rstrip(clusters.ELLIPSIS)
    last = _fit(last, width - measure(clusters.ELLIPSIS, size, bold=bold), size, bold)
    return [*made[: lines - 1], last.rstrip() + clusters.ELLIPSIS]


def _fit(text: str, width: float, size: float, bold: bool) -> str:
    """Return as many clusters of *text* as have room."""
    kept, room = "", width
    for cluster in clusters.iterate_clusters(text):
        room -= measure(cluster, size, bold=bold)
        if room < 0:
            break
        kept += cluster
    return kept


def _wrap_line(text: str, width: float, size: float, bold: bool) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if measure(longer, size, bold=bold) <= width:
            line = longer
            continue
        if line:
            yield line
        line, long = "", 0.0
        for cluster in clusters.iterate_clusters(word):
            wide = measure(cluster, size, bold=bold)
            if line and long + wide > width:
                yield line
                line, long = "", 0.0
            line, long = line + cluster, long + wide
    yield line


def finish(
    canvas: Canvas, width: float, height: float, gradients: Mapping[str, tuple[str, str]]
) -> str:
    """Return the whole SVG; *gradients* are wallpapers, by name: from, to."""
    defined = "".join(
        f'<linearGradient id="{name}" x1="0" y1="0" x2="1" y2="1"><stop stop-color="{first}"/>'
        f'<stop offset="1" stop-color="{last}"/></linearGradient>'
        for name, (first, last) in gradients.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="{escape(FONTS)}"><defs>{defined}</defs>{"".join(canvas.parts)}</svg>\n'
    )

"""
Pictures of what people see, held against those kept in docs/pictures/looks.

A kept picture is of one browser. Two releases of it draw letters and edges a little
differently, so both pictures are blurred and made small first: what moves by a pixel or
is smoothed otherwise passes, what moves further, changes colour, comes or goes does not.
PUSHCTL_LOOKS=renew keeps the new ones instead (docs/looks.py).
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageFilter

from tests.support import ROOT

KEPT = ROOT / "docs" / "pictures" / "looks"
FAILED = ROOT / "looks-failed"
FONTS = Path("/usr/share/fonts/truetype/dejavu")
COLOURS = 96  # of a kept picture

# One letter's edge differs, or a line by a pixel: below the first over 4 x 4 pixels, and
# below the second over 16 x 16. A flat surface that changed is above both everywhere.
_FINE, _FINE_LIMIT, _FINE_MOST = 4, 48, 4
_COARSE, _COARSE_LIMIT, _COARSE_MOST = 16, 20, 2
_BLUR = 1.5

# What stands around ours would be in the picture, too, and change it.
ALONE = """(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`html { scrollbar-width: none } body * { visibility: hidden }
    pushctl-prompt, pushctl-bell, pushctl-preferences { visibility: visible }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return document.fonts.ready.then(() => true);
})()"""

_FONTCONFIG = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <selectfont>
    <rejectfont><glob>*</glob></rejectfont>
    <acceptfont><glob>{fonts}/DejaVuSans.ttf</glob></acceptfont>
    <acceptfont><glob>{fonts}/DejaVuSans-Bold.ttf</glob></acceptfont>
  </selectfont>
  <match target="font">
    <edit name="antialias" mode="assign"><bool>true</bool></edit>
    <edit name="hinting" mode="assign"><bool>false</bool></edit>
    <edit name="rgba" mode="assign"><const>none</const></edit>
  </match>
</fontconfig>
"""


@dataclass(frozen=True)
class Difference:
    """How many squares of a picture differ, seen finely and coarsely."""

    fine: int
    coarse: int

    def __bool__(self) -> bool:
        return self.fine > _FINE_MOST or self.coarse > _COARSE_MOST


def fonts(folder: Path) -> Path:
    """Write a fontconfig file that knows DejaVu Sans alone; for FONTCONFIG_FILE."""
    file = folder / "fonts.conf"
    file.write_text(_FONTCONFIG.format(fonts=FONTS, cache=folder / "fontcache"))
    return file


def difference(kept: Image.Image, new: Image.Image) -> Difference:
    """Compare two pictures; of unlike size they differ everywhere."""
    if kept.size != new.size:
        everywhere = kept.size[0] * kept.size[1]
        return Difference(everywhere, everywhere)
    box = _find_changed(*(one.convert("RGB") for one in (kept, new)))
    if box is None:
        return Difference(0, 0)
    return compare(kept.crop(box), new.crop(box))


def compare(kept: Image.Image, new: Image.Image) -> Difference:
    """Compare all of two pictures of one size."""
    apart = [one.convert("RGB").filter(ImageFilter.GaussianBlur(_BLUR)) for one in (kept, new)]
    return Difference(
        _squares(*(one.reduce(_FINE) for one in apart), _FINE_LIMIT),
        _squares(*(one.reduce(_COARSE) for one in apart), _COARSE_LIMIT),
    )


def _find_changed(kept: Image.Image, new: Image.Image) -> tuple[int, int, int, int] | None:
    """
    Return the box outside which nothing can count, made of whole squares; None for nowhere.

    To blur is to take means: where no pixel nearby differs by the limit, no square will.
    """
    strong = _worst(kept, new).point(lambda value: 255 * (value > _COARSE_LIMIT - 2))
    box = strong.getbbox()
    if box is None:
        return None
    side, (width, height) = _COARSE, kept.size
    left, top = (max(0, (least // side - 1) * side) for least in box[:2])
    right, bottom = ((most // side + 2) * side for most in box[2:])
    return left, top, min(right, width), min(bottom, height)


def _squares(kept: Image.Image, new: Image.Image, limit: int) -> int:
    """Return how many pixels differ by more than *limit* in one of their colours."""
    worst = _worst(kept, new)
    return sum(worst.histogram()[limit + 1 :])


def _worst(kept: Image.Image, new: Image.Image) -> Image.Image:
    red, green, blue = ImageChops.difference(kept, new).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def check(browser: Any, name: str, left: Path = FAILED) -> str | None:
    """
    Take a picture and hold it against the kept one called *name*; return what is wrong.

    The new one and what differs are in the folder *left* then.
    """
    new, kept_file = _taken(browser), KEPT / f"{name}.png"
    if os.environ.get("PUSHCTL_LOOKS") == "renew":
        keep(new, kept_file)
        return None
    kept = Image.open(kept_file).convert("RGB") if kept_file.exists() else None
    found = difference(kept, new) if kept else None
    if kept and not found:
        return None
    left.mkdir(parents=True, exist_ok=True)
    new.save(left / f"{name}.png")
    if kept and kept.size == new.size:
        # Dark where nothing differs, light where much does.
        told = _worst(kept, new).point(lambda value: min(255, 40 + 3 * value))
        told.save(left / f"{name}.difference.png")
    return f"{name}: {found or 'no such picture is kept'}; see {left}"


def _taken(browser: Any) -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "now.png"
        browser.screenshot(file)
        return Image.open(file).convert("RGB")


def keep(new: Image.Image, file: Path) -> bool:
    """Keep a picture in few colours, unless the one that is there looks the same."""
    if file.exists() and not difference(Image.open(file).convert("RGB"), new):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    few = new.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(file, optimize=True)
    return True

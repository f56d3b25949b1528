"""
Draw the pictures of docs/templates.md anew: ./run python docs/previews.py

A shipped template in three languages, with sample values, on three platforms. It needs
Chromium or Firefox, and fonts (Inter, Noto Sans and Noto Sans Arabic look best). Look at
each picture before you commit it.
"""

import io
import sys
from pathlib import Path

from PIL import Image

from pushctl import shipped
from pushctl.jobs.messages import screenshots
from pushctl.rules.messages import drawing, page, payload, values
from pushctl.templates import Template, read

HERE = Path(__file__).resolve().parent
TEMPLATE = "abandoned_basket_1"
PLATFORMS = ("windows-chrome", "android-chrome", "ios")
PRODUCTS = {"en": "Brass lamp", "tr": "Pirinç lamba", "ar": "مصباح نحاسي"}
WIDTH = 1_100


def make_sheet(language: str) -> page.Sheet:
    """Return the template's text in *language*, drawn for a basket with one lamp."""
    template = Template.from_sources(TEMPLATE, read(shipped.find("templates"), TEMPLATE))
    text = template.choose(language, (), "en")
    origin = "https://lamps.example"
    pictures = {"icon": f"{origin}/icon.png", "image": f"{origin}/wide.jpg"}
    item = {"id": "1", "name": PRODUCTS[language], "price": 49, "quantity": 1, "line": "1"}
    context = {
        "site": values.site("shop", origin, "Lamps", **pictures),
        "cart": {"items": [item], "names": [item["name"]], "count": 1, "several": False},
        "restore_url": f"{origin}/cart",
    }
    message = text.render(context)
    size = payload.frame(message).size
    look = page.Look("Lamps", origin.partition("//")[2])
    drawings = drawing.draw(message, drawing.choose(PLATFORMS))
    return page.Sheet(language, f"{size:,} of 3,993 bytes", look, drawings)


def main() -> None:
    for language in PRODUCTS:
        made = page.render(TEMPLATE, [make_sheet(language)])
        shot = Image.open(io.BytesIO(screenshots.take(made, columns=3))).convert("RGB")
        small = shot.resize(
            (WIDTH, shot.height * WIDTH // shot.width), Image.Resampling.LANCZOS
        )
        colours = small.quantize(256, method=Image.Quantize.FASTOCTREE)
        few = small.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
        file = HERE / "pictures" / f"preview-{language}.png"
        few.save(file, optimize=True)
        sys.stdout.write(f"{file.name}: {file.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()

"""
Take the picture of docs/real-browsers.md anew: ./run python docs/beside.py

Firefox draws its own window where a desktop has no notification service. Its window and
our preview of the same message (`--platform linux-firefox`) come from one Firefox, so both
have the same letters. It needs Firefox, and fonts (Inter and Noto Sans Arabic look best).
Look at the picture before you commit it.
"""

import base64
import io
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from pushctl import shipped
from pushctl.demo import browsers
from pushctl.model import Message
from pushctl.rules.messages import drawing, page, values
from pushctl.templates import Template, read

FILE = Path(__file__).resolve().parent / "pictures" / "firefox-beside-preview.png"
TEMPLATE = "abandoned_basket_2"
PRODUCTS = {"en": "Brass lamp", "ar": "Lamp 40W!"}  # a name that runs the other way
GAP, HEAD = 40, 56  # pixels of the picture, which has two for each of the screen

# In Firefox's own scripts: a snapshot of a window, or of the one card on its page.
SNAP = """
const [url, done] = arguments;
(async () => {
  const { promise, resolve } = Promise.withResolvers();
  const find = () => [...Services.wm.getEnumerator("alert:alert")].find((one) => one);
  const look = () => (url || find()?.document.readyState == "complete")
    ? resolve() : setTimeout(look, 50);
  look();
  await promise;
  const alert = find();
  const top = Services.wm.getMostRecentWindow("navigator:browser");
  let context = alert?.browsingContext, rect = null;
  if (url) {
    context = top.gBrowser.selectedBrowser.browsingContext;
    const { x, y, width, height } = JSON.parse(url);
    rect = new DOMRect(x, y, width, height);
  } else {
    // Its window grows to its text; it fades in, and out after 20 s.
    for (const one of alert.document.getAnimations()) one.cancel();
    await new Promise((next) => alert.requestAnimationFrame(() => next()));
  }
  const bitmap = await context.currentWindowGlobal.drawSnapshot(rect, 2, "white");
  const canvas = top.document.createElementNS("http://www.w3.org/1999/xhtml", "canvas");
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  if (!url) alert.close();
  return canvas.toDataURL();
})().then(done, (error) => done(String(error)));
"""
PLACE = """(() => {
  const { x, y, width, height } = document.querySelector(".card").getBoundingClientRect();
  return JSON.stringify({ x, y, width, height });
})()"""


def make_icon() -> bytes:
    picture = Image.new("RGB", (160, 160), page.ACCENT)
    font = ImageFont.load_default(96)
    ImageDraw.Draw(picture).text((80, 80), "L", "white", font, anchor="mm")
    picture.save(file := io.BytesIO(), "PNG")
    return file.getvalue()


class Shop:
    """A page, an icon, and our preview of whatever *message* is."""

    def __init__(self) -> None:
        self.icon = make_icon()
        self.message: Message | None = None

    def find(self, path: str) -> tuple[str, bytes]:
        if path == "/icon.png":
            return "image/png", self.icon
        if path == "/preview" and self.message:
            return "text/html", self.draw(self.message).encode()
        return "text/html", b"<!doctype html><title>The shop</title>"

    def draw(self, message: Message) -> str:
        data = f"data:image/png;base64,{base64.b64encode(self.icon).decode()}"
        host = self.origin.partition("//")[2]
        look = page.Look("Lamps", host, pictures={message.icon or "": data})
        drawn = drawing.draw(message, drawing.choose(["linux-firefox"]))
        return page.render(TEMPLATE, [page.Sheet("", "", look, drawn[:1])])

    @contextmanager
    def serve(self) -> Iterator[None]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, body = shop.find(self.path)
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()


def render(language: str, origin: str) -> Message:
    template = Template.from_sources(TEMPLATE, read(shipped.find("templates"), TEMPLATE))
    names = [PRODUCTS[language]]
    cart = {"names": names, "count": 1, "several": False, "total": 49, "currency": "EUR"}
    site = values.site("shop", origin, "Lamps", icon=f"{origin}/icon.png")
    context = {"site": site, "cart": cart, "restore_url": f"{origin}/cart"}
    return template.choose(language, (), "en").render(context)


def snap(browser: Any, place: str) -> Image.Image:
    """Return the window of the notification; with *place* that part of the page."""
    browser._call("Marionette:SetContext", value="chrome")
    url = browser._call("WebDriver:ExecuteAsyncScript", script=SNAP, args=[place])
    browser._call("Marionette:SetContext", value="content")
    if not url.startswith("data:"):
        raise SystemExit(url)
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def show(shop: Shop, browser: Any, message: Message) -> tuple[Image.Image, Image.Image]:
    """Return what Firefox draws of *message*, and what we draw."""
    shop.message = message
    browser.open(f"{shop.origin}/")
    title, options = (
        json.dumps(message.title),
        json.dumps({"body": message.body, "dir": message.dir, "icon": "/icon.png"}),
    )
    browser.evaluate(
        f"new Promise((done) => new Notification({title}, {options}).onshow = () => done(1))"
    )
    theirs = snap(browser, "")
    browser.open(f"{shop.origin}/preview")
    return theirs, snap(browser, browser.evaluate(PLACE))


def join(pairs: list[tuple[Image.Image, Image.Image]], version: str) -> Image.Image:
    """Return *pairs* below each other, Firefox's left and ours right."""
    width = max(one.width for pair in pairs for one in pair)
    heights = [max(one.height for one in pair) for pair in pairs]
    size = (2 * width + 3 * GAP, sum(heights) + HEAD + (len(pairs) + 1) * GAP)
    sheet = Image.new("RGB", size, "#6a5f82")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(26)
    for column, head in enumerate((f"Firefox {version} itself", "templates preview")):
        pen.text((GAP + column * (width + GAP), GAP), head, "white", font)
    top = GAP + HEAD
    for pair, height in zip(pairs, heights, strict=True):
        for column, one in enumerate(pair):
            sheet.paste(one, (GAP + column * (width + GAP), top))
        top += height + GAP
    return sheet


def main() -> None:
    found = browsers.find("firefox")
    if found is None:
        raise SystemExit("Firefox is not installed.")
    shop = Shop()
    with tempfile.TemporaryDirectory() as folder, shop.serve():
        profile = Path(folder) / "profile"
        # Without a bus it draws its notifications itself; nothing is pushed here.
        with browsers.Firefox(found.program, profile, "ws://127.0.0.1:9") as browser:
            pairs = [show(shop, browser, render(it, shop.origin)) for it in PRODUCTS]
            version = browser.evaluate("navigator.userAgent").rpartition("/")[2]
    sheet = join(pairs, version)
    few = sheet.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(FILE, optimize=True)
    sys.stdout.write(f"{FILE.name}: {FILE.stat().st_size:,} bytes, Firefox {version}\n")


if __name__ == "__main__":
    main()

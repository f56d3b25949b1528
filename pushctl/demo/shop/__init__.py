"""
The demo's shop: a few goods, a basket, a checkout, in English, Arabic and Turkish.

It embeds pushctl as docs/embedding.md tells any shop to, under a strict content
security policy; nothing in it knows that it is a demo.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

_STATIC = Path(__file__).parent / "static"
_DIRECTIONS = {"en": "ltr", "ar": "rtl", "tr": "ltr"}
_PAGES = ("/", "/basket", "/cart", "/checkout", "/thanks")


def app(receiver_url: str, site: str | None = None, feed: Path | None = None) -> Starlette:
    """
    Return the shop, embedding the pushctl.js that *receiver_url* serves.

    *site* names the site in pushctl.toml where there are several, *feed* the file that is
    served as the blog's /feed.xml. ``?lang=`` chooses the language; the browser's own
    counts where it is absent.
    """
    receiver = receiver_url.rstrip("/")
    query = f"?{urlencode({'site': site})}" if site else ""
    page = (_STATIC / "shop.html").read_text("utf-8")
    headers = _headers(receiver)

    async def show(request: Request) -> Response:
        language = _language(request)
        filled = (
            page.replace("{lang}", language)
            .replace("{dir}", _DIRECTIONS[language])
            .replace("{pushctl}", f"{receiver}/pushctl.js{query}")
        )
        return HTMLResponse(filled, headers={**headers, "Content-Language": language})

    async def worker(request: Request) -> Response:
        line = f'importScripts("{receiver}/pushctl-sw.js{query}");\n'
        return Response(
            line, media_type="text/javascript", headers={"Cache-Control": "no-cache"}
        )

    async def blog(request: Request) -> Response:
        text = feed.read_bytes() if feed else b""
        return Response(text, media_type="application/atom+xml")

    pages = [Route(path, show) for path in _PAGES]
    files = Mount("/static", StaticFiles(directory=_STATIC))
    return Starlette(
        routes=[*pages, Route("/pushctl-sw.js", worker), Route("/feed.xml", blog), files]
    )


def _language(request: Request) -> str:
    asked = request.query_params.get("lang")
    if asked in _DIRECTIONS:
        return asked
    for part in request.headers.get("accept-language", "").split(","):
        spoken = part.split(";")[0].strip().split("-")[0].lower()
        if spoken in _DIRECTIONS:
            return spoken
    return "en"


def _headers(receiver: str) -> Mapping[str, str]:
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' {receiver}",
        "worker-src": "'self'",
        "connect-src": f"'self' {receiver}",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {what}" for name, what in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
    }

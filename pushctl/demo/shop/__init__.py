"""
The demo's shop: a few goods, a basket, a checkout, in English, Arabic and Turkish.

It embeds pushctl as docs/embedding.md describes, under a strict content
security policy; nothing in it knows that it is a demo.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode

_STATIC = Path(__file__).parent / "static"
_DIRECTIONS = {"en": "ltr", "ar": "rtl", "tr": "ltr"}
_PAGES = ("/", "/basket", "/cart", "/checkout", "/thanks")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the shop: HTTP status, content type, body and further headers."""

    status: int
    type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Shop:
    """
    The shop's pages and files; they embed the pushctl.js that *receiver_url* serves.

    *site* names the site in pushctl.toml where there are several. *feed* is the file that
    is served as the blog's /feed.xml; it is read for each request.
    """

    def __init__(
        self, receiver_url: str, site: str | None = None, feed: Path | None = None
    ) -> None:
        receiver = receiver_url.rstrip("/")
        query = f"?{urlencode({'site': site})}" if site else ""
        page = (_STATIC / "shop.html").read_text("utf-8")
        self._page = page.replace("{pushctl}", f"{receiver}/pushctl.js{query}")
        self._headers = _page_headers(receiver)
        self._feed = feed
        worker = f'importScripts("{receiver}/pushctl-sw.js{query}");\n'.encode()
        not_cached = {"Cache-Control": "no-cache"}
        self._files = {
            "/pushctl-sw.js": Answer(200, _TYPES[".js"], worker, not_cached),
            **{f"/static/{file.name}": _read(file) for file in _STATIC.iterdir()},
        }

    def answer(self, target: str, accept_language: str = "") -> Answer:
        """
        Return the answer to GET *target*, a path with or without a query.

        ``?lang=`` chooses the language of a page. *accept_language*, the browser's header,
        counts where it is absent.
        """
        path, _, query = target.partition("?")
        if path in _PAGES:
            asked = parse_qs(query).get("lang", [""])[-1]
            return self._render(_choose_language(asked, accept_language))
        if path == "/feed.xml":
            text = self._feed.read_bytes() if self._feed else b""
            return Answer(200, "application/atom+xml", text)
        return self._files.get(path) or Answer(404, "text/plain; charset=utf-8", b"Not Found")

    def _render(self, language: str) -> Answer:
        page = self._page.replace("{lang}", language).replace("{dir}", _DIRECTIONS[language])
        headers = {**self._headers, "Content-Language": language}
        return Answer(200, _TYPES[".html"], page.encode(), headers)


def _read(file: Path) -> Answer:
    body = file.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    return Answer(200, _TYPES[file.suffix], body, {"ETag": etag})


def _choose_language(asked: str, accepted: str) -> str:
    if asked in _DIRECTIONS:
        return asked
    for part in accepted.split(","):
        spoken = part.split(";")[0].strip().split("-")[0].lower()
        if spoken in _DIRECTIONS:
            return spoken
    return "en"


def _page_headers(receiver: str) -> Mapping[str, str]:
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

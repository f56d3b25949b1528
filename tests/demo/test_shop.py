"""The demo's shop: its pages, languages, policy; and that it is whole."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from pushctl.demo import shop

RECEIVER = "https://push.shop.example"
STATIC = Path(shop.__file__).parent / "static"


def get(
    path: str, language: str = "", site: str | None = None
) -> tuple[int, dict[str, str], str]:
    """Ask the shop as a browser does; return status, headers and text."""
    bare, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": bare,
        "raw_path": bare.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"accept-language", language.encode())],
        "http_version": "1.1",
    }
    sent: list[dict[str, Any]] = []
    request = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(request, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(shop.app(RECEIVER, site)(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], headers, body.decode()


@pytest.mark.parametrize("path", ["/", "/basket", "/checkout", "/thanks"])
def test_every_page_embeds_the_receivers_script(path: str) -> None:
    status, _, text = get(path)
    assert status == 200
    assert f'<script async src="{RECEIVER}/pushctl.js"></script>' in text


@pytest.mark.parametrize(
    ("query", "accepted", "language", "direction"),
    [
        ("?lang=ar", "en", "ar", "rtl"),
        ("?lang=tr", "en", "tr", "ltr"),
        ("", "ar-EG,ar;q=0.9,en;q=0.8", "ar", "rtl"),
        ("", "de,tr;q=0.5", "tr", "ltr"),
        ("?lang=xx", "", "en", "ltr"),
        ('?lang="><script>', "", "en", "ltr"),
    ],
)
def test_the_page_speaks_the_visitors_language(
    query: str, accepted: str, language: str, direction: str
) -> None:
    _, _, text = get(f"/{query}", accepted)
    assert f'<html lang="{language}" dir="{direction}">' in text


def test_the_policy_allows_the_receiver_and_nothing_inline() -> None:
    policy = get("/")[1]["content-security-policy"]
    assert f"script-src 'self' {RECEIVER};" in policy
    assert f"connect-src 'self' {RECEIVER};" in policy
    assert "unsafe" not in policy
    assert "style=" not in (STATIC / "shop.html").read_text("utf-8")


def test_the_worker_on_the_shops_origin_is_one_line() -> None:
    status, headers, text = get("/pushctl-sw.js")
    assert status == 200
    assert headers["content-type"].startswith("text/javascript")
    assert text == f'importScripts("{RECEIVER}/pushctl-sw.js");\n'


def test_a_site_is_named_where_there_are_several() -> None:
    assert f"{RECEIVER}/pushctl.js?site=shop" in get("/", site="shop")[2]


def test_what_the_page_names_is_there() -> None:
    page = (STATIC / "shop.html").read_text("utf-8")
    for path in set(re.findall(r"/static/[\w.]+", page)):
        assert get(path)[0] == 200, path
    symbols = set(re.findall(r'<symbol id="(\w+)"', (STATIC / "goods.svg").read_text("utf-8")))
    goods = set(re.findall(r'\{ id: "(\w+)"', (STATIC / "texts.js").read_text("utf-8")))
    assert goods == {"lamp", "rug", "cup", "chair", "vase", "mirror"}
    assert goods <= symbols


def test_every_text_stands_in_every_language() -> None:
    texts = (STATIC / "texts.js").read_text("utf-8")
    keys = {
        language: set(re.findall(r"^    (\w+):", block, re.MULTILINE))
        for language, block in re.findall(r"^  (\w\w): \{\n(.*?)^  \},", texts, re.M | re.S)
    }
    assert set(keys) == {"en", "ar", "tr"}
    assert keys["ar"] == keys["en"] == keys["tr"]

"""The demo's shop: its pages, languages, policy; and that it is whole."""

import http.client
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pushctl.demo import shop
from pushctl.demo.processes import free_port, wait_for
from pushctl.demo.shop.server import serve

RECEIVER = "https://push.shop.example"
STATIC = Path(shop.__file__).parent / "static"


def get(
    path: str, language: str = "", site: str | None = None, feed: Path | None = None
) -> tuple[int, dict[str, str], str]:
    """Ask the shop as a browser does; return status, headers and text."""
    with serve(shop.Shop(RECEIVER, site, feed)) as port:
        return ask(
            http.client.HTTPConnection("127.0.0.1", port, timeout=10), "GET", path, language
        )


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    language: str = "",
    known: str = "",
) -> tuple[int, dict[str, str], str]:
    headers = {"Accept-Language": language, "If-None-Match": known}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode("latin-1" if path.endswith(".png") else "utf-8")
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


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


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("shop.css", "text/css; charset=utf-8"),
        ("shop.js", "text/javascript; charset=utf-8"),
        ("goods.svg", "image/svg+xml"),
        ("icon.png", "image/png"),
    ],
)
def test_a_file_that_the_browser_has_is_not_sent_again(file: str, kind: str) -> None:
    with serve(shop.Shop(RECEIVER)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        status, headers, _ = ask(connection, "GET", f"/static/{file}")
        assert (status, headers["content-type"]) == (200, kind)
        assert int(headers["content-length"]) == (STATIC / file).stat().st_size
        status, _, text = ask(connection, "GET", f"/static/{file}", known=headers["etag"])
        assert (status, text) == (304, "")


def test_a_connection_is_kept_for_the_next_request() -> None:
    with serve(shop.Shop(RECEIVER)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        ask(connection, "GET", "/")
        first = connection.sock
        status, headers, text = ask(connection, "HEAD", "/basket")
        assert (status, text) == (200, "")
        assert int(headers["content-length"]) > 0
        assert ask(connection, "GET", "/thanks")[0] == 200
        assert connection.sock is first is not None


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/static/no.js", "/static/", "/static/../__init__.py", "/static/%2e%2e/x"],
)
def test_nothing_else_is_served(path: str) -> None:
    assert get(path)[0] == 404


def test_the_blog_is_the_file_as_it_is_now(tmp_path: Path) -> None:
    feed = tmp_path / "feed.xml"
    with serve(shop.Shop(RECEIVER, feed=feed)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for text in ("<feed/>", "<feed>new</feed>"):
            feed.write_text(text)
            status, headers, served = ask(connection, "GET", "/feed.xml")
            assert (status, served) == (200, text)
            assert headers["content-type"].startswith("application/atom+xml")
    assert get("/feed.xml")[::2] == (200, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_at_once_whoever_is_connected(
    tmp_path: Path, number: signal.Signals
) -> None:
    port, log = free_port(), tmp_path / "log"
    command = ["-m", "pushctl.demo.shop", f"--port={port}", f"--receiver={RECEIVER}"]
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=file)
    wait_for(process, port, log)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as idle:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        assert ask(connection, "GET", "/")[0] == 200
        process.send_signal(number)
        assert process.wait(10) == 0
        assert idle.recv(1) == b""
    assert log.read_text() == ""

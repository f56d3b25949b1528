"""A project that a shop is connected to by docs/snippets.md, and what the shop must do."""

import contextlib
import html
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pushctl.push import vapid
from tests.support import ROOT, endpoint, project, webhooks
from tests.support import receiving as r
from tests.support.program import PROGRAM, environment, pushctl

PAGE = ROOT / "docs/snippets.md"
CART_KEY = "Qk3xV0aZ9_-bcdEFGH1234"
EMAIL = "Ada.Lovelace@shop.example"
HOOK = f'[[webhooks]]\nname = "shop"\nurl = "{webhooks.URL}"\nevents = ["subscribed"]\n'


def read_files(chapter: str) -> dict[str, str]:
    """Return the files by name that a chapter of docs/snippets.md shows."""
    text = PAGE.read_text("utf-8")
    (part,) = re.findall(rf"^## {re.escape(chapter)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    found = dict(re.findall(r"^`([^`\n]+)`:\n```\w+\n(.*?)^```$", part, re.M | re.S))
    assert found, chapter
    return found


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


@dataclass(frozen=True)
class Connected:
    """A project with a running receiver; *hooks* get what pushctl tells the shop."""

    folder: Path
    port: int
    hooks: webhooks.Receiver
    settings: Mapping[str, str]  # of the shop

    def post(self, path: str, number: int, **body: Any) -> None:
        """Do what browser *number* does on the shop's pages."""
        fields = {"endpoint": endpoint(number), **body}
        assert r.post(self.port, path, fields, number=number).status == 204

    def subscribe(self, number: int) -> None:
        key = vapid.load_own(self.folder / "keys").public
        fields = r.subscription(number, key=key)
        assert r.post(self.port, "/v1/subscribe", fields).status == 204

    def run(self, *words: str) -> str:
        done = pushctl(*words, cwd=self.folder)
        assert done.code == 0, done.err
        return done.out

    def ask(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def find_order(self, number: str, seconds: int = 0) -> Mapping[str, Any]:
        """Import, and return the order that the shop tells within *seconds*."""
        deadline = time.monotonic() + seconds
        while True:
            self.run("import")
            found = [it for it in self.ask("orders", "list") if it["number"] == number]
            if found or time.monotonic() >= deadline:
                (order,) = found
                return order  # type: ignore[no-any-return]


@contextlib.contextmanager
def connect(folder: Path, more: str = "", origin: str = "") -> Iterator[Connected]:
    """A project in *folder* with its receiver; *more* stands in pushctl.toml."""
    port = r.free_port()
    project.make(folder, f"--receiver-url=http://127.0.0.1:{port}")
    if origin:  # of pages besides the usual one
        file, usual = folder / "pushctl.toml", f'origin = "{project.ORIGIN}"'
        also = f'{usual}\norigins = ["{origin}"]'
        file.write_text(file.read_text("utf-8").replace(usual, also, 1), "utf-8")
    with webhooks.receiving() as hooks:
        project.add(folder, HOOK + hooks.settings + more)
        key = pushctl(
            "apikeys", "create", "shop-server", "--scope", "events", "--scope", "tags",
            "--scope", "read", cwd=folder,
        ).out  # fmt: skip
        settings = {
            "PUSHCTL_URL": f"http://127.0.0.1:{port}",
            "PUSHCTL_KEY": key.strip(),
            "PUSHCTL_ALIAS_SECRET": (folder / "keys/alias_secret").read_text(),
            "PUSHCTL_EMAIL_SECRET": (folder / "keys/email_secret").read_text(),
            "PUSHCTL_WEBHOOK_SECRET": pushctl("webhooks", "secret", "shop", cwd=folder).out,
        }
        command = [*PROGRAM, "receive", f"--listen=127.0.0.1:{port}"]
        with serving(command, port, folder, {}):
            yield Connected(folder, port, hooks, settings)


@contextlib.contextmanager
def serving(
    command: Sequence[str], port: int, folder: Path, variables: Mapping[str, str]
) -> Iterator[str]:
    """A server's process in *folder* until the end of the block; gives its address."""
    log = folder.parent / f"{folder.name}.{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(variables), stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait(lambda: process.poll() is None and _answers(port), log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        return r.get(port, "/").status > 0
    except (OSError, http.client.HTTPException):
        return False


def _wait(is_done: Callable[[], bool], log: Path, seconds: int = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
        time.sleep(0.02)


def ask_shop(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> r.Answered:
    where = urlsplit(url)
    assert where.port
    path = f"{where.path}?{where.query}" if where.query else where.path
    heads = {name.replace("_", "-"): value for name, value in headers.items()}
    return r.request(where.port, method, path, body, heads)


def read_data(page: r.Answered) -> dict[str, str]:
    """Return what the tag of push.js has for it on a shop's page."""
    assert page.status == 200, page.body[-500:]
    (tag,) = re.findall(r"<script([^>]*push\.js[^>]*)>", page.body.decode())
    return {
        name: html.unescape(value)
        for name, value in re.findall(r'data-([\w-]+)="([^"]*)"', tag)
        if value
    }


def check_person(connected: Connected, number: int, person: Mapping[str, str]) -> None:
    """Identify a new browser as the shop's page does; its alias is believed."""
    connected.subscribe(number)
    connected.post(
        "/v1/identify", number, alias=person["alias"], signature=person["signature"],
        email_hash=person["email-hash"],
    )  # fmt: skip
    out = connected.run("import")
    assert "wrong signature" not in out
    (found,) = connected.ask("subscribers", "list", "--where", f'alias = "{person["alias"]}"')
    assert found["alias"] == person["alias"]


def find_subscriber(connected: Connected, number: int) -> str:
    """Return the public id of browser *number*."""
    with contextlib.closing(sqlite3.connect(connected.folder / "pushctl.db")) as database:
        (row,) = database.execute(
            "SELECT public_id FROM subscriptions WHERE endpoint = ?", (endpoint(number),)
        )
    return str(row[0])


def check_events(connected: Connected, url: str) -> None:
    """Let pushctl call its webhook; the shop at *url* takes that call and no other."""
    connected.run("webhooks", "test", "shop")
    got = connected.hooks.got[-1]
    heads = {name: value for name, value in got.headers.items() if name.startswith("webhook-")}
    heads["Content-Type"] = got.headers["content-type"]

    def send(body: bytes, **changed: str) -> int:
        return ask_shop(url, "POST", body, **heads | changed).status

    assert send(got.body) == 204
    assert send(got.body + b" ") == 401
    assert send(got.body, **{"webhook-timestamp": str(int(time.time()) - 600)}) == 401
    assert send(got.body, **{"webhook-signature": "v1,AAAA"}) == 401
    assert (
        send(got.body, **{"webhook-signature": "v1,AAAA " + heads["webhook-signature"]}) == 204
    )

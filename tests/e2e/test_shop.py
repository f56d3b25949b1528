"""The demo's shop in real browsers: invitation, basket, purchase, a strict policy."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.e2e.world import World, answers, free_port
from tests.support import program
from tests.support.running import Running

pytestmark = pytest.mark.browser

ALLOW = "pushctl-prompt >>> .allow"
LATER = "pushctl-prompt >>> .later"
INSIDE = "document.querySelector('pushctl-prompt')?.shadowRoot.querySelector"


class ShopWorld(World):
    """The e2e world with the demo's shop in it, and a browser that was not asked before."""

    granted = False
    silent = "/static/shop.css"

    def _open(self, stack: ExitStack) -> None:
        port = free_port()
        self.shop = SimpleNamespace(origin=f"http://127.0.0.1:{port}")
        self._make_project()
        stack.callback(self._receive().end)
        words = [f"--port={port}", f"--receiver=http://{self._listen}"]
        with (self.folder / "shop.log").open("ab") as log:
            shop = Running(
                words,
                program.environment(),
                stdout=log,
                stderr=log,
                entry="pushctl.demo.shop.__main__:main",
            )
        stack.callback(shop.end)
        processes.wait_until(lambda: answers(f"127.0.0.1:{port}"), "shop")

    def go(self, path: str) -> None:
        self.browser.open(self.shop.origin + path)
        self.wait("Boolean(window.pushctl?.ready)")

    def wait(self, expression: str) -> Any:
        return processes.wait_until(lambda: self.js(expression), expression, 20)

    def subscriber(self) -> dict[str, Any]:
        self.pushctl("import")
        rows = [row for row in self.rows("subscribers", "list") if row["state"] == "active"]
        assert len(rows) == 1
        one: dict[str, Any] = rows[0]
        return one


@pytest.fixture
def world(machine: Machine, tmp_path: Path) -> Iterator[ShopWorld]:
    with ShopWorld(machine, tmp_path) as world:
        yield world


def test_an_arab_visitor_accepts_fills_a_basket_and_buys(world: ShopWorld) -> None:
    world.go("/?lang=ar")
    world.wait(f"Boolean({INSIDE}('.allow'))")
    assert world.js(f"{INSIDE}('section').dir") == "rtl"
    assert world.js(f"{INSIDE}('.later').textContent") == "ليس الآن"
    # The style came in although the page's policy allows none inline.
    assert world.js(f"getComputedStyle({INSIDE}('section')).position") == "fixed"
    assert world.js("Notification.permission") == "default"

    world.browser.grant()  # what the person answers to the browser's own question
    world.browser.click(ALLOW)
    world.wait("pushctl.state().then(({ subscribed }) => subscribed)")
    world.wait("pushctl.tag()")
    assert world.subscriber()["language"] == "ar"

    world.browser.click("[data-add=lamp]")
    world.wait("pushctl.tag()")
    assert world.subscriber()["tags"] == ["Abandoned basket 1"]

    world.go("/checkout?lang=ar")
    world.wait("pushctl.tag()")
    assert world.subscriber()["tags"] == ["Abandoned basket 2"]

    world.browser.click("#buy")
    world.wait("location.pathname === '/thanks'")
    world.wait("window.pushctl?.ready.then(() => pushctl.tag())")
    assert world.subscriber()["tags"] == []


def test_later_is_respected_until_the_bell_is_rung(world: ShopWorld) -> None:
    world.go("/?lang=en")
    world.wait(f"Boolean({INSIDE}('.later'))")
    world.browser.click(LATER)
    world.wait("!document.querySelector('pushctl-prompt')")
    later = json.loads(world.js("localStorage.getItem('pushctl')"))["later"]
    assert later > world.js("Date.now()")

    world.go("/?lang=en")
    assert world.js("pushctl.prompt()") == "skipped"
    world.browser.click("#bell")
    world.wait(f"Boolean({INSIDE}('.allow'))")
    # Asked for by a click: the keyboard goes along, and Escape leads back.
    assert world.js("document.activeElement.localName") == "pushctl-prompt"
    world.js(
        f"{INSIDE}('section').dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Escape' }}))"
    )
    world.wait("!document.querySelector('pushctl-prompt')")
    assert world.js("document.activeElement.id") == "bell"

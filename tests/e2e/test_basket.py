"""The basket story in real browsers: filled, left, won back by a link, or bought in peace."""

import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pushctl import shipped
from tests.e2e.machine import Machine
from tests.e2e.test_shop import ShopWorld
from tests.support import presets

pytestmark = pytest.mark.browser

FIRST, SECOND = "Your basket is saved", "15% off your basket"
MINUTE = 60.0


class BasketWorld(ShopWorld):
    """The demo's shop with the two basket triggers of pushctl.toml.example."""

    granted = True

    def _make_project(self) -> None:
        super()._make_project()
        triggers = presets.text("abandoned_basket_1", "abandoned_basket_2")
        # What would make it depend on the hour, on chance and on the day before.
        triggers = re.sub(r"^(quiet|holdout|reentry) .*\n", "", triggers, flags=re.MULTILINE)
        with (self.folder / "pushctl.toml").open("a") as config:
            config.write(triggers)
        shutil.copytree(
            shipped.find("templates"), self.folder / "templates", dirs_exist_ok=True
        )

    def fill(self) -> float:
        """Put a lamp into the basket and leave; return when that was, in seconds."""
        self.go("/?lang=en")
        self.browser.click("[data-add=lamp]")
        self.wait("pushctl.tag()")  # everything has been told
        self.browser.open(f"http://{self._listen}/pushctl.js")  # anywhere else
        return time.time()

    def sweep(self, at: float) -> str:
        """Sweep as if it were *at*; return the line it says."""
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        return self.pushctl("sweep", now=moment)


@pytest.fixture
def world(machine: Machine, tmp_path: Path) -> Iterator[BasketWorld]:
    with BasketWorld(machine, tmp_path) as world:
        world.go("/?lang=en")
        assert world.js("pushctl.subscribe({ language: 'en' })") == "granted"
        yield world


def test_a_basket_is_left_and_won_back(world: BasketWorld) -> None:
    left = world.fill()
    world.sweep(left + 2 * MINUTE)
    assert world.titles() == []

    world.sweep(left + 3 * MINUTE + 1)
    first = world.desktop.wait(FIRST)
    assert "“Brass lamp” is still in it" in first.body
    world.desktop.dismiss(first)
    # The worker's word that it was shown starts the clock of the second.
    shown = time.time()
    world.sweep(shown + 89 * MINUTE)
    assert world.titles() == [FIRST]
    world.sweep(shown + 91 * MINUTE)
    second = world.desktop.wait(SECOND)

    # Another day, another browser: only the link knows what lay in the basket.
    world.go("/?lang=en")
    world.js("localStorage.removeItem('basket')")
    world.desktop.click(second)
    world.browser.switch(f"{world.shop.origin}/basket?lang=en&items=lamp.1")
    world.wait("document.querySelectorAll('.lines li').length === 1")
    assert "Brass lamp" in world.js("document.querySelector('.lines').textContent")


def test_who_buys_in_between_is_reminded_of_nothing(world: BasketWorld) -> None:
    left = world.fill()
    world.sweep(left + 3 * MINUTE + 1)
    world.desktop.dismiss(world.desktop.wait(FIRST))

    world.go("/checkout?lang=en")
    world.browser.click("#buy")
    world.wait("location.pathname === '/thanks'")
    world.wait("window.pushctl?.ready.then(() => pushctl.tag())")
    for minutes in (4, 92, 200):
        world.sweep(left + minutes * MINUTE)
    assert world.titles() == [FIRST]
    assert world.subscriber()["tags"] == []

"""
A site changes over from another push service, in real browsers: nobody is asked or lost.

The former service's worker is a small one of our own that reads OneSignal's form as the public
SDK does; the real one loads the rest of itself from its maker's host.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.demo.browsers import processes
from pushctl.push import vapid
from tests.e2e.machine import Machine
from tests.e2e.world import Shop, World

pytestmark = pytest.mark.browser

OLD = "/OneSignalSDKWorker.js"
WORKER = """
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil((async () => {
  const { custom, title, alert, tag, icon } = event.data.json();
  if (typeof custom?.i !== "string") return;
  await self.registration.showNotification(title, { body: alert, tag, icon, data: custom });
})()));
"""
SUBSCRIBE = """
(async () => {
  await navigator.serviceWorker.register(%s);
  const { pushManager } = await navigator.serviceWorker.ready;
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: %s });
  return made.toJSON();
})()
"""

WORKERS = """
navigator.serviceWorker.getRegistrations()
  .then((all) => all.map((one) => one.active.scriptURL))
"""


class FormerShop(Shop):
    def page(self, path: str) -> tuple[str, bytes]:
        return ("text/javascript", WORKER.encode()) if path == OLD else super().page(path)


class MovingWorld(World):
    """A shop whose visitor allowed notifications to another service, and came with its file."""

    server = FormerShop

    def move_in(self) -> str:
        """Subscribe at the former service, and import its file; return the person's id."""
        pem = vapid.create()
        key = vapid.read(pem)
        (self.folder / "former.pem").write_bytes(pem)
        self.pushctl("keys", "add", "former.pem")
        self.browser.open(self.shop.origin + self.silent)
        made = self.js(SUBSCRIBE % (json.dumps(OLD), json.dumps(key.public)))
        row = {
            "id": "player-1",
            "identifier": made["endpoint"],
            "web_auth": made["keys"]["auth"],
            "web_p256": made["keys"]["p256dh"],
            "external_user_id": "customer-7",
            "tags": '{"plan": "gold"}',
            "notification_types": "1",
        }
        with (self.folder / "export.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)
        words = ("subscribers", "import", "export.csv", "--from", "onesignal")
        self.pushctl(*words, "--key", key.id)
        (one,) = self.rows("subscribers", "list")
        assert self.show(one["public_id"])["worker"] == "onesignal"
        return str(one["public_id"])

    def show(self, person: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rows("subscribers", "show", person)
        return found

    def send(self, title: str) -> None:
        self.template("news", {"en": f'title = "{title}"\nbody = "2 things, 49 €"\n'})
        self.pushctl("send", "--everyone", "--template", "news", "--yes", "--name", title)
        assert self.desktop.wait(title).body.endswith("2 things, 49 €")

    def figures(self, campaign: str) -> dict[str, Any]:
        self.pushctl("import")
        (row,) = [one for one in self.rows("stats") if one["name"] == campaign]
        return dict(row)


@pytest.fixture
def world(machine: Machine, tmp_path: Path) -> Iterator[MovingWorld]:
    with MovingWorld(machine, tmp_path) as world:
        yield world


def adopt(world: MovingWorld, person: str, *, ask: bool = False) -> None:
    """Be taken over, perhaps after our own question; import what that tells."""
    world.js("(Notification.requestPermission = () => (window.asked = true), 0)")
    given = json.dumps({"old": OLD, "ask": ask})
    world.js(f"(pushctl.adopt({given}).then((answer) => (window.told = answer)), 0)")
    if ask:
        there = "document.querySelector('pushctl-prompt')?.shadowRoot.querySelector('.allow')"
        processes.wait_until(lambda: world.js(f"Boolean({there})"), "our invitation")
        world.browser.click("pushctl-prompt >>> .allow")
    told = processes.wait_until(lambda: world.js("window.told"), "answer", 30)
    assert told == ("granted" if ask else "adopted")
    assert world.js("window.asked") is None
    assert world.js(WORKERS) == [f"{world.shop.origin}/pushctl-sw.js"]
    world.pushctl("import")
    one = world.show(person)
    assert (one["alias"], one["source"], one["worker"]) == ("customer-7", "adopted", None)
    assert json.loads(one["attributes"]) == {"plan": "gold"}
    assert (one["state"], one["events"]) == ("active", [])


def test_a_visitor_of_a_former_service_comes_along(world: MovingWorld) -> None:
    person = world.move_in()
    world.send("Over the bridge")
    told = world.figures("Over the bridge")
    assert (told["accepted"], told["unreported"], told["shown"]) == (1, 1, None)

    world.visit()
    adopt(world, person)
    before = len(world.push.receipts())
    world.send("From us")
    processes.wait_until(lambda: world.figures("From us")["shown"] == 1, "our worker's report")
    assert len(world.push.receipts()) == before + 1
    assert world.titles() == ["Over the bridge", "From us"], "each once"
    assert [one["public_id"] for one in world.rows("subscribers", "list")] == [person]


def test_asked_by_ours_which_takes_the_former_workers_place(world: MovingWorld) -> None:
    person = world.move_in()
    world.visit()
    world.js("(pushctl.scope = '/', 0)")
    adopt(world, person, ask=True)
    world.send("From us")
    assert world.titles() == ["From us"]

"""From a real browser's subscription to a counted click, and everything on the way."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pywebpush import WebPusher

from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.e2e.world import World
from tests.support.pushservice import Application, post

pytestmark = pytest.mark.browser

BASKET = "Abandoned basket 1"
TEXTS = {
    "en": 'title = "Your basket waits"\nbody = "2 things, 49 €"\n[actions]\nbasket = "Go"\n',
    "ar": 'title = "سلتك بانتظارك"\nbody = "قطعتان، ٤٩ €"\n[actions]\nbasket = "اذهب"\n',
}
MESSAGE = """
url = "/cart?from=push"
tag = "basket"
ttl = "1h"
[[actions]]
action = "basket"
url = "/checkout?from=button"
"""


@pytest.fixture(scope="module")
def world(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(machine, tmp_path_factory.mktemp("loop")) as world:
        yield world


@pytest.fixture(scope="module", autouse=True)
def _templates(world: World) -> None:
    world.template("abandoned_basket_1", TEXTS, MESSAGE)


@pytest.fixture
def subscriber(world: World) -> str:
    """The id of our browser, subscribed with tag and known to pushctl."""
    world.visit()
    if world.known and world.js("pushctl.state().then((state) => state.subscribed)"):
        return world.known
    world.subscribe()
    world.js(f"pushctl.tag({BASKET!r})")
    world.pushctl("import")
    world.known = active(world)
    return world.known


def active(world: World) -> str:
    """Return the id of the one active subscriber."""
    (one,) = world.rows("subscribers", "list")
    assert one["state"] == "active"
    public_id: str = one["public_id"]
    return public_id


def send(world: World, name: str, *more: str, code: int = 0) -> None:
    words = ("send", "--tag", BASKET, "--again", "--yes", "--name", name)
    world.pushctl(*words, *more, code=code)


def figures(world: World, campaign: str) -> dict[str, Any]:
    world.pushctl("import")
    rows = {row["name"]: row for row in world.rows("stats")}
    return rows[campaign]


def until(world: World, campaign: str, **expected: int) -> dict[str, Any]:
    """Return the figures of *campaign* once they are as expected: reports take a moment."""

    def there() -> dict[str, Any] | None:
        told = figures(world, campaign)
        return told if {name: told[name] for name in expected} == expected else None

    return processes.wait_until(there, f"{expected} for {campaign}", 15)


def closed(world: World, campaign: str) -> int:
    """Return how often *campaign*'s notifications were waved away."""
    sql = """
        SELECT count(*) FROM interactions
          JOIN deliveries ON deliveries.id = interactions.delivery_id
          JOIN campaigns ON campaigns.id = deliveries.campaign_id
         WHERE campaigns.name = ? AND interactions.kind = 'closed'
    """
    world.pushctl("import")
    with closing(sqlite3.connect(world.folder / "pushctl.db")) as database:
        count: int = database.execute(sql, (campaign,)).fetchone()[0]
    return count


def test_a_click_is_followed_and_counted(world: World, subscriber: str) -> None:
    send(world, "first")
    shown = world.desktop.wait("Your basket waits")
    assert shown.body.endswith("2 things, 49 €")
    world.desktop.click(shown)
    world.browser.switch(f"{world.shop.origin}/cart?from=push")
    assert world.js("document.title") == "Here you are"
    told = until(world, "first", shown=1, clicked=1)
    assert (told["accepted"], told["ctr"]) == (1, 1.0)


def test_the_browser_itself_decrypted_what_it_shows(world: World, subscriber: str) -> None:
    send(world, "held")
    world.desktop.wait("Your basket waits")
    held = world.worker(
        "registration.getNotifications().then((all) => all.map("
        "({ title, body, lang, dir, tag, actions }) => ({ title, body, lang, dir, tag,"
        " actions: actions.map(({ action, title }) => [action, title]) })))"
    )
    assert held == [
        {
            "title": "Your basket waits",
            "body": "2 things, 49 €",
            "lang": "en",
            "dir": "ltr",
            "tag": "basket",
            "actions": [["basket", "Go"]],
        }
    ]
    if world.kind == "firefox":
        assert world.push.acknowledged()[-1].code == 100


def test_an_action_button_leads_elsewhere(world: World, subscriber: str) -> None:
    send(world, "button")
    world.desktop.click(world.desktop.wait("Your basket waits"), "Go")
    world.browser.switch(f"{world.shop.origin}/checkout?from=button")
    until(world, "button", shown=1, clicked=1)


def test_a_dismissal_is_reported(world: World, subscriber: str) -> None:
    send(world, "waved away")
    world.desktop.dismiss(world.desktop.wait("Your basket waits"))
    processes.wait_until(lambda: closed(world, "waved away") == 1, "report of closing")
    until(world, "waved away", accepted=1, shown=1, clicked=0)


def test_arabic_runs_from_right_to_left(world: World, subscriber: str) -> None:
    world.subscribe(language="ar-EG")
    world.pushctl("import")
    send(world, "arabic")
    shown = world.desktop.wait("سلتك بانتظارك")
    assert shown.body.endswith("قطعتان، ٤٩ €")
    held = world.worker(
        "registration.getNotifications().then(([one]) => [one.lang, one.dir])",
    )
    assert held == ["ar", "rtl"]
    world.desktop.dismiss(shown)
    world.subscribe(language="en")
    world.pushctl("import")


def test_the_largest_template_arrives_whole(world: World, subscriber: str) -> None:
    def text(size: int) -> int:
        world.template("largest", {"en": f'title = "Large"\nbody = "{"x" * size}"\n'})
        made = world.rows("templates", "preview", "largest", "--for", subscriber)
        length: int = made["bytes"]
        return length

    # What is counted leaves room for the longest name that a message can get.
    size = 3993 - text(1) + 1
    assert text(size) == 3993
    send(world, "largest", "--template", "largest")
    assert 4096 - 20 <= world.push.receipts()[-1].size <= 4096
    assert world.desktop.wait("Large").body.splitlines()[-1] == "x" * size


def test_the_browser_decrypts_all_3993_bytes(world: World, subscriber: str) -> None:
    keys = world.worker(
        "registration.pushManager.getSubscription().then((one) => one.toJSON())"
    )
    head, tail = b'{"notification":{"title":"Full","body":"', b'"}}'
    text = head + b"x" * (3993 - len(head) - len(tail)) + tail
    body = WebPusher(keys).encode(text, content_encoding="aes128gcm")["body"]
    assert len(body) == 4096
    shop = Application(next(world.folder.glob("keys/vapid-*.pem")))
    reply = post(world.push, keys["endpoint"], shop.headers(keys["endpoint"]), body)
    assert reply.status == 201
    shown = world.desktop.wait("Full").body.splitlines()[-1]
    assert shown == "x" * (3993 - len(head) - len(tail))


def test_a_forgotten_subscription_is_gone_at_the_next_push(
    world: World, subscriber: str
) -> None:
    # The browser drops it without a word to us: cleared site data, a revoked permission.
    world.worker("registration.pushManager.getSubscription().then((one) => one.unsubscribe())")
    send(world, "gone", code=0)
    assert figures(world, "gone")["gone"] == 1
    assert state(world, subscriber) == "gone"


def test_an_unsubscribed_person_is_not_sent_to(world: World, subscriber: str) -> None:
    world.js("pushctl.unsubscribe()")
    world.pushctl("import")
    assert state(world, subscriber) == "unsubscribed"
    before = len(world.push.receipts())
    send(world, "nobody")
    assert len(world.push.receipts()) == before


def test_a_new_key_heals_at_the_next_visit(world: World, subscriber: str) -> None:
    world.pushctl("keys", "new", "--yes")
    world.visit()
    world.pushctl("import")
    send(world, "after the new key")
    shown = world.desktop.wait("Your basket waits")
    world.desktop.dismiss(shown)
    until(world, "after the new key", accepted=1, shown=1)
    assert active(world) == subscriber


def state(world: World, subscriber: str) -> str:
    found: str = world.rows("subscribers", "show", subscriber)["state"]
    return found

"""From a real browser's subscription to a counted click, and everything on the way."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
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
    shown = world.desktop.wait("Your basket waits")
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
    world.desktop.dismiss(shown)  # or the next test clicks on it in place of its own


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


def test_who_bought_while_the_push_was_in_the_air_is_thanked(
    world: World, subscriber: str
) -> None:
    thanks = 'title = "Thank you"\nbody = "Your order is being packed."\nurl = "/orders"\n'
    world.template("in_the_air", {"en": TEXTS["en"], "en.bought": thanks}, MESSAGE)
    with world.push.holding():
        send(world, "in the air", "--template", "in_the_air")
        assert world.js(
            "pushctl.track('purchase', { order: 'A1', total: 49, currency: 'EUR' })"
        )
    shown = world.desktop.wait("Thank you")
    assert shown.body.endswith("Your order is being packed.")
    world.desktop.click(shown)
    world.browser.switch(f"{world.shop.origin}/orders")
    until(world, "in the air", accepted=1, bought=1, shown=0, clicked=0)
    # What is sent after the purchase is shown as it is.
    send(world, "the next", "--template", "in_the_air")
    world.desktop.dismiss(world.desktop.wait("Your basket waits"))
    until(world, "the next", accepted=1, bought=0, shown=1)


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


def test_variant_b_arrives_and_is_counted_under_b(world: World, subscriber: str) -> None:
    other = TEXTS["en"].replace("Your basket waits", "Still in your basket")
    world.template("two_texts", {"en": TEXTS["en"], "en.b": other}, MESSAGE)
    # Who gets a is drawn; with these weights it is nobody in ten thousand million.
    send(world, "versus", "--template", "two_texts", "--weights", "1e-5,1e5")
    world.desktop.click(world.desktop.wait("Still in your basket"))
    world.browser.switch(f"{world.shop.origin}/cart?from=push")
    until(world, "versus", accepted=1, shown=1, clicked=1)
    plain, second = world.rows("ab", "show", "versus")["figures"]
    assert (second["arm"], second["accepted"], second["clicked"]) == ("b", 1, 1)
    assert (plain["arm"], plain["accepted"], plain["clicked"]) == ("a", 0, 0)


def test_isolates_set_a_latin_name_right_and_do_not_show(
    world: World, subscriber: str, tmp_path: Path
) -> None:
    name = "Lamp 40W!"
    text = 'title = "لك"\nbody = "«{{ product }}» بسعر {{ 49|money(\'EUR\') }}."\n'
    texts = {"en": TEXTS["en"].partition("[")[0], "ar": text}
    world.template("isolated", texts, f'[values]\nproduct = "{name}"\n')
    send_test = ("send-test", "isolated", "--to", subscriber, "--language", "ar")
    world.pushctl(*send_test)
    shown = world.desktop.wait("لك")
    body = world.worker("registration.getNotifications().then(([one]) => one.body)")
    assert shown.body.endswith(body)
    assert body == f"«\u2066{name}\u2069» بسعر \u2068\u200f49.00\xa0€\u2069."
    world.desktop.dismiss(shown)

    def draw(inner: str) -> bytes:
        """Return the pixels of *inner*, right to left."""
        markup = json.dumps(f'<p dir="rtl" lang="ar" style="font-size:24px">{inner}</p>')
        world.js(f"void (document.body.innerHTML = {markup})")
        world.browser.screenshot(file := tmp_path / "drawn.png")
        with Image.open(file) as picture:
            return picture.convert("RGB").tobytes()

    world.browser.open(world.shop.origin + world.silent)
    drawn = draw(body)
    # The same words in elements that isolate, without a character that could show.
    plain = name.join(["«<bdi dir=ltr>", "</bdi>» بسعر <bdi dir=rtl>49.00\xa0€</bdi>."])
    assert drawn == draw(plain)
    # The comparison sees what it is for: words out of order, and a box.
    assert drawn != draw(re.sub("[\u2066-\u2069]", "", body))
    assert drawn != draw(body.replace("\u2069", "\ue000\u2069"))


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


def test_a_lost_key_heals_at_the_next_visit(world: World, subscriber: str) -> None:
    (lost,) = (row["id"] for row in world.rows("keys", "show") if row["subscribers"])
    (world.folder / "keys" / f"vapid-{lost}.pem").unlink()
    world.pushctl("keys", "lost", lost, "--yes")
    assert state(world, subscriber) == "gone"
    world.visit()
    world.pushctl("import")
    assert active(world) == subscriber
    (one,) = (row["id"] for row in world.rows("keys", "show") if row["subscribers"])
    assert one != lost
    send(world, "after the loss")  # to the tag that was set before
    shown = world.desktop.wait("Your basket waits")
    world.desktop.dismiss(shown)
    until(world, "after the loss", accepted=1, shown=1)


def state(world: World, subscriber: str) -> str:
    found: str = world.rows("subscribers", "show", subscriber)["state"]
    return found

"""The scripts of docs/snippets.md on a shop's pages, in real browsers."""

import html
import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.e2e.world import Shop, World
from tests.support import snippets
from tests.support.posting import sign_alias

pytestmark = pytest.mark.browser

CART = {
    "items": [{"id": "lamp", "name": 'Lamp "<Öl>" & Co', "price": 49.9, "quantity": 2}],
    "currency": "EUR",
    "url": "https://shop.example/cart",
}
# Built after WooCommerce's and Shopify's documentation.
PRICES = {"currency_code": "EUR", "currency_minor_unit": 2}
WOO = {
    "items": [{
        "key": "a5", "id": 34, "quantity": 2, "name": "Lamp", "short_description": "",
        "permalink": "https://shop.example/product/lamp/",
        "images": [{"id": 1, "src": "https://shop.example/lamp.png"}],
        "prices": {"price": "4990", "regular_price": "5990", **PRICES},
    }],
    "totals": {"total_items": "9980", "total_price": "8990", **PRICES},
}  # fmt: skip
SHOPIFY = {
    "token": "Z2Nw", "attributes": {}, "total_price": 8990, "currency": "EUR", "item_count": 2,
    "items": [{
        "id": 39897499729985, "product_id": 34, "product_title": "Lamp", "quantity": 2,
        "final_price": 4990, "url": "/products/lamp?variant=39897499729985",
        "image": "https://cdn.shopify.com/lamp.png",
    }],
}  # fmt: skip


class SnippetShop(Shop):
    """*head* is what its pages have in their heads; *answers* are its JSON by path."""

    def __init__(self) -> None:
        super().__init__()
        self.head = ""
        self.files = {
            f"/{Path(name).name}": text
            for chapter in ("For every shop", "WordPress and WooCommerce", "Shopify")
            for name, text in snippets.read_files(chapter).items()
        }
        self.answers: dict[str, Any] = {}

    def page(self, path: str) -> tuple[str, bytes]:
        name = path.partition("?")[0]
        if name in self.answers:
            return "application/json", json.dumps(self.answers[name]).encode()
        if name in self.files and name != "/pushctl-sw.js":
            return "text/javascript", self.files[name].encode()
        if name == "/":
            return "text/html", f"<!doctype html><title>Shop</title>{self.head}".encode()
        return super().page(path)


class SnippetWorld(World):
    def _open(self, stack: ExitStack) -> None:
        self.shop = SnippetShop()
        stack.callback(self.shop.close)
        self._make_project()
        stack.callback(self._receive().end)
        self.shop.scripts = self.folder / "sw"

    def open_page(self, script: str, **data: str) -> None:
        """Open the shop's page with *script*, whose tag has *data*."""
        receiver = f"http://{self._listen}"
        policy = f"script-src 'self' {receiver}; connect-src 'self' {receiver}"
        attributes = "".join(
            f' data-{name.replace("_", "-")}="{html.escape(text)}"'
            for name, text in data.items()
        )
        self.shop.head = (
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            f'<script async src="{receiver}/pushctl.js"></script>'
            f'<script src="{script}"{attributes}></script>'
        )
        self.visit()

    def ask(self, question: str) -> list[Any]:
        """Import, and return the rows of *question*."""
        self.pushctl("import")
        with closing(sqlite3.connect(self.folder / "pushctl.db")) as database:
            return database.execute(question).fetchall()

    def count_requests(self, path: str) -> int:
        """Return how many requests to the receiver this page has made."""
        names = "performance.getEntriesByType('resource').map(({ name }) => name)"
        return sum(name.endswith(path) for name in self.js(names))

    def find_basket(self) -> dict[str, Any]:
        """Return the newest basket that has arrived."""
        newest = (
            "SELECT properties FROM events WHERE name = 'cart_updated' ORDER BY id DESC LIMIT 1"
        )
        rows = processes.wait_until(lambda: self.ask(newest), "basket")
        return dict(json.loads(rows[0][0]))


@pytest.fixture(scope="module")
def world(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnippetWorld]:
    """One browser for both tests: the second brings other baskets."""
    with SnippetWorld(machine, tmp_path_factory.mktemp("snippets")) as world:
        world.open_page("/push.js")
        assert world.js("pushctl.subscribe()") == "granted"
        yield world


def test_the_pages_script_says_who_it_is_what_lies_in_the_basket_and_what_was_bought(
    world: SnippetWorld,
) -> None:
    secret = (world.folder / "keys/alias_secret").read_bytes().strip()
    person = {"alias": "7", "signature": sign_alias("7", secret), "email_hash": "0f" * 32}
    purchase = {"order": "1007", "total": 49.9, "currency": "EUR"}
    world.open_page("/push.js", **person, cart=json.dumps(CART))
    basket = world.find_basket()
    processes.wait_until(lambda: world.count_requests("/v1/identify") == 1, "identify")
    assert (basket["total"], basket["items"][0]["name"]) == (99.8, 'Lamp "<Öl>" & Co')
    key = world.js("pushctl.cartKey()")
    assert f"pushctl_key={key}" in world.js("document.cookie")
    world.open_page("/push.js", **person, cart="", purchase=json.dumps(purchase))
    processes.wait_until(lambda: world.ask("SELECT number FROM orders"), "order")
    assert world.count_requests("/v1/events") > 0
    assert world.count_requests("/v1/identify") == 0  # it was told on the page before
    assert world.ask("SELECT number, source, minor FROM orders") == [("1007", "page", 4990)]
    seen = "SELECT alias, alias_trusted, lower(hex(email_hash)) FROM subscriptions"
    assert world.ask(seen) == [("7", 1, "0f" * 32)]
    assert world.ask("SELECT key FROM cart_keys") == [(key,)]
    world.open_page("/push.js", logout="1")
    processes.wait_until(lambda: world.ask(seen)[0][0] is None, "logout")


def test_the_basket_of_woocommerce_and_of_shopify(world: SnippetWorld) -> None:
    world.shop.answers = {"/wp-json/wc/store/v1/cart": WOO, "/cart.js": SHOPIFY}
    where = {"api": "/wp-json/wc/store/v1/cart", "page": "https://shop.example/cart"}
    world.js("document.cookie = 'woocommerce_cart_hash=ab12; path=/'")
    world.open_page("/woo.js", **where)
    basket = world.find_basket()
    assert (basket["total"], basket["currency"], basket["url"]) == (89.9, "EUR", where["page"])
    (item,) = basket["items"]
    assert (item["id"], item["price"], item["quantity"]) == ("34", 49.9, 2)
    key = world.js("pushctl.cartKey()")
    assert f"pushctl_key={key}" in world.js("document.cookie")
    world.js("document.cookie = 'woocommerce_cart_hash=; max-age=0; path=/'")
    world.open_page("/woo.js", **where)
    emptied = "SELECT count(*) FROM events WHERE name = 'cart_emptied'"
    processes.wait_until(lambda: world.ask(emptied) == [(1,)], "empty basket")

    world.open_page("/push-shopify.js", email_hash="0e" * 32)
    processes.wait_until(lambda: world.shop.posted, "the key in Shopify's cart")
    path, body = world.shop.posted[0]
    assert (path, json.loads(body)) == ("/cart/update.js", {"attributes": {"_pushctl": key}})
    basket = world.find_basket()
    assert (basket["total"], basket["items"][0]["url"]) == (
        89.9, f"{world.shop.origin}/products/lamp?variant=39897499729985",
    )  # fmt: skip
    assert world.ask("SELECT lower(hex(email_hash)) FROM subscriptions") == [("0e" * 32,)]

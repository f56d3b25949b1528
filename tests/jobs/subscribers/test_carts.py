"""What lies in people's baskets, as messages speak of it."""

from pathlib import Path

import pytest

from pushctl.config import Config, Site
from pushctl.jobs.subscribers import carts
from pushctl.model import Json
from pushctl.rules.shops import cart
from pushctl.store import Store
from pushctl.store.events import Event
from tests.support import DAY, MINUTE, NOON, auth, endpoint, p256dh

LAMP = {"items": [{"name": "Brass lamp", "price": 49}], "total": 49, "currency": "EUR"}


def config(folder: Path) -> Config:
    return Config(
        file=folder / "pushctl.toml",
        contact="mailto:us@shop.example",
        sites={"shop": Site("shop", "https://shop.example")},
        database=folder / "pushctl.db",
        inbox=folder / "inbox",
        templates=folder / "templates",
        keys=folder / "keys",
        journal=folder / "journal",
    )


def person(store: Store, number: int) -> int:
    sql = """
        INSERT INTO subscriptions (public_id, site_id, endpoint_hash, endpoint, p256dh, auth,
                                   key_id, state_at, subscribed_at, last_seen_at)
        VALUES (?, 1, ?, ?, ?, ?, 'k', 0, 0, 0)
    """
    name, place = f"person-{number}", endpoint(number)
    values = (name, name.encode(), place, p256dh(number), auth(number))
    with store.write() as connection:
        return connection.execute(sql, values).lastrowid or 0


def did(store: Store, who: int, name: str, at: int, properties: Json = None) -> None:
    event = Event(who, name, at, at, properties or {}, f"{who}-{name}-{at}")
    assert store.events.add([event]) == 1


def names(store: Store, tmp_path: Path, who: int) -> list[str] | None:
    held = carts.load(store, config(tmp_path), {who: "shop"})
    return held[who]["names"] if who in held else None


def test_the_last_basket_counts(store: Store, tmp_path: Path) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, {"items": [{"name": "Rug"}]})
    did(store, who, "cart_updated", NOON + MINUTE, LAMP)

    assert names(store, tmp_path, who) == ["Brass lamp"]


def test_who_has_bought_has_no_basket(store: Store, tmp_path: Path) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, LAMP)
    did(store, who, "purchase", NOON + MINUTE)

    assert names(store, tmp_path, who) is None


def test_a_basket_after_the_purchase_is_a_new_one(store: Store, tmp_path: Path) -> None:
    who = person(store, 1)
    did(store, who, "purchase", NOON)
    did(store, who, "cart_updated", NOON + MINUTE, LAMP)

    assert names(store, tmp_path, who) == ["Brass lamp"]


def test_a_basket_without_items_is_empty(store: Store, tmp_path: Path) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, LAMP)
    did(store, who, "cart_updated", NOON + MINUTE, {"items": []})

    assert names(store, tmp_path, who) is None


def test_everybody_has_their_own(store: Store, tmp_path: Path) -> None:
    first, second = person(store, 1), person(store, 2)
    did(store, first, "cart_updated", NOON, LAMP)
    did(store, second, "cart_updated", NOON, {"items": [{"name": "Rug"}]})

    held = carts.load(store, config(tmp_path), {first: "shop", second: "shop"})

    assert {who: it["names"] for who, it in held.items()} == {
        first: ["Brass lamp"],
        second: ["Rug"],
    }


def test_a_checkout_may_bring_the_basket_along(store: Store, tmp_path: Path) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, {"items": [{"name": "Rug"}]})
    did(store, who, "checkout_started", NOON + MINUTE, LAMP)

    assert names(store, tmp_path, who) == ["Brass lamp"]


def test_a_checkout_without_items_leaves_the_basket_as_it_was(
    store: Store, tmp_path: Path
) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, LAMP)
    did(store, who, "checkout_started", NOON + MINUTE, {"total": 49})
    did(store, who, "checkout_started", NOON + 2 * MINUTE, {"items": []})

    assert names(store, tmp_path, who) == ["Brass lamp"]


def test_an_enrolment_speaks_of_the_basket_as_its_event_found_it(store: Store) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, {"items": [{"name": "Rug"}]})
    did(store, who, "checkout_started", NOON + MINUTE)
    did(store, who, "purchase", NOON + MINUTE)
    did(store, who, "cart_updated", NOON + 2 * MINUTE, LAMP)

    events, _ = store.enrolments.list_new_events(0, 10, DAY, ())
    before = carts.load_before(store, events)
    origins = ("https://shop.example",)
    found = [
        cart.at(event.name, event.properties, before.get(event.id), origins) for event in events
    ]

    held = [None if basket is None else basket["names"] for basket in found]
    assert held == [["Rug"], ["Rug"], ["Rug"], ["Brass lamp"]]


def test_a_purchase_leaves_nothing_for_the_next_event(store: Store) -> None:
    who = person(store, 1)
    did(store, who, "cart_updated", NOON, LAMP)
    did(store, who, "purchase", NOON + MINUTE)
    did(store, who, "checkout_started", NOON + 2 * MINUTE)

    (*_, last), _ = store.enrolments.list_new_events(0, 10, DAY, ())

    before = carts.load_before(store, [last]).get(last.id)
    assert cart.at(last.name, last.properties, before, ()) is None


def test_a_cart_that_cannot_be_read_costs_no_other(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ann, eve = person(store, 1), person(store, 2)
    for who in (ann, eve):
        did(store, who, "cart_updated", NOON, LAMP)
    store.connection.execute(
        "UPDATE events SET properties = '[]' WHERE subscription_id = ?", (eve,)
    )
    assert names(store, tmp_path, ann) == ["Brass lamp"]
    assert names(store, tmp_path, eve) is None
    assert "cart left out" in caplog.text

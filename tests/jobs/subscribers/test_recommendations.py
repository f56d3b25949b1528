"""Products that templates propose: like this one, better, reduced; never what one owns."""

import time
from typing import Any

import orjson
import pytest

from pushctl.jobs.delivery.rendering import context
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.jobs.subscribers.recommendations import Goods
from pushctl.model import Json
from pushctl.rules import money
from pushctl.rules.shops.order import Line, Purchase, State
from pushctl.store.events import Event
from pushctl.store.orders import Found
from pushctl.templates import Template
from tests.support import NOON, sending
from tests.support.sending import Field

LAMP = {"id": "lamp", "name": "Lamp", "price": 50, "quantity": 1}


def stock(field: Field, *products: tuple[Any, ...]) -> None:
    """Save products: id, price, and what is about them."""
    site = field.store.sites.sync({"shop": "https://shop.example"})["shop"]
    for identity, price, about in products:
        told = {"name": identity.title(), "url": f"/{identity}", "line": "Light", **about}
        was, available = told.pop("was", None), told.pop("available", True)
        code = told.pop("code", "EUR")
        field.store.products.save(
            site, identity, money.of(price, code, fine=True), available, told, NOON,
            money.of(was, code, fine=True),
        )  # fmt: skip


@pytest.fixture
def shop(sender: Field) -> Field:
    stock(
        sender,
        ("lamp", 50, {"family": "L"}),
        ("lamp red", 55, {"family": "L"}),
        ("small", 20, {}),
        ("near", 45, {}),
        ("next", 60, {"family": "N", "was": 80}),
        ("next blue", 60.5, {"family": "N"}),
        ("large", 200.5, {"was": 220}),
        ("gone", 52, {"available": False}),
        ("dollar", 52, {"code": "USD"}),
        ("free", None, {}),
        ("chair", 51, {"line": "Seats", "category": "Home", "brand": "Acme"}),
    )
    return sender


def happens(field: Field, person: int, name: str, at: int = NOON, **properties: Json) -> None:
    field.store.events.add([Event(person, name, at, at, properties, f"{person}{name}{at}")])


def propose(field: Field, body: str, people: int = 1, **freeze: Any) -> list[str]:
    """Send a template with *body* to everybody; return the bodies or reasons."""
    sending.template(field.config.folder, "goods", title="T", body=body)
    campaign = field.freeze(template="goods", **freeze)
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 50, NOON)
    renderer = Renderer(
        campaign,
        Template.from_sources("goods", campaign.sources),
        field.config,
        frozenset({field.key}),
        extras=context.make_loader(field.store, field.config, campaign),
    )
    items, without = renderer.render(rows, NOON)
    shown = [orjson.loads(it.letter.payload)["notification"]["body"] for it in items]
    return shown + [it.reason for it in without]


EACH = "{% for it in ALL %}{{ it.id }} {{ it|money }}, {% endfor %}"


def test_alternatives_come_by_kind_and_price_without_variants_and_what_is_gone(
    shop: Field,
) -> None:
    (ann,) = shop.people(1)
    happens(shop, ann, "cart_updated", items=[LAMP], currency="EUR")

    said = propose(shop, EACH.replace("ALL", "alternatives(cart.items|first, 9)"))

    assert said == ["near €45.00, next €60.00, small €20.00, large €200.50,"]


def test_better_is_the_next_dearer_one(shop: Field) -> None:
    (ann,) = shop.people(1)
    happens(shop, ann, "cart_updated", items=[LAMP], currency="EUR")

    said = propose(shop, "{% set it = better(cart.items|first) %}{{ it.name }} {{ it.url }}")

    assert said == ["Next /next"]


def test_promotion_has_what_costs_less_than_before_the_most_reduced_first(shop: Field) -> None:
    shop.people(1)
    body = "{% for it in promotion('Light') %}{{ it.id }} {{ it.was }}, {% endfor %}"
    assert propose(shop, body) == ["next 80, large 220,"]
    assert propose(shop, "{{ (promotion('Light')|first).id }}", name="2") == ["next"]
    assert propose(shop, "{{ (promotion('None')|first|default('-')) }}", name="3") == ["-"]


def test_what_the_page_says_serves_where_the_catalogue_does_not_know_it(shop: Field) -> None:
    (ann,) = shop.people(1)
    shop.store.subscriptions.set_attributes(
        ann, {"seen": {"id": "unknown", "line": "Light", "price": "44,90", "currency": "EUR"}}
    )
    said = propose(
        shop, "{{ better(attributes.seen).id }} {{ alternatives('lamp', 1)|length }}"
    )
    assert said == ["near 1"]


def test_nobody_is_offered_what_they_own_on_any_device(shop: Field) -> None:
    ann, phone = shop.people(2)
    with shop.store.write() as db:
        db.execute("UPDATE subscriptions SET alias = 'ann', alias_trusted = 1")
    happens(shop, phone, "purchase", items=[{"id": 7, "name": "NEAR "}])
    bought = Purchase("1", None, (Line("next blue", "Other", 1, None),))
    shop.store.orders.add(1, "page", bought, State.PAID, NOON, NOON, Found(phone))
    happens(shop, ann, "cart_updated", items=[LAMP, {"id": "small"}], currency="EUR")

    said = propose(shop, EACH.replace("ALL", "alternatives('lamp', 9)"), limit=1)

    assert said == ["large €200.50,"]


def test_without_a_proposal_the_default_comes(shop: Field) -> None:
    shop.people(1)
    body = (
        "{{ better(cart.items|first).name|default('a') }}"
        "{{ better('large').name|default('b') }}"
        "{{ better(attributes).name|default('c') }}{% if alternatives('nothing') %}x{% endif %}"
        "{{ (alternatives(12)|first|default('d')) }}{{ better('chair').name|default('e') }}"
    )
    assert propose(shop, body) == ["abcde"]


def test_a_message_that_asks_too_often_is_refused_and_others_are_not(shop: Field) -> None:
    ann, bob = shop.people(2)
    shop.store.subscriptions.set_attributes(ann, {"ids": ["lamp"] * 21})
    shop.store.subscriptions.set_attributes(bob, {"ids": ["lamp"]})
    body = "{% for one in attributes.ids %}{{ better(one).id }}{% endfor %}"
    said = propose(shop, body)
    assert (said[0], "more than 20 calls for products" in said[1]) == ("next", True)


def test_a_look_up_costs_the_same_in_a_large_catalogue(shop: Field) -> None:
    with shop.store.write() as db:
        db.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO products (site_id, id, minor, exponent, currency, available, about,
                                  changed_at, line, family)
            SELECT 1, 'p' || i, 1000 + i, 2, 'EUR', 1, '{"line":"Big"}', 0, 'Big',
                   iif(i % 2, 'one', NULL) FROM n
            """
        )
    goods = Goods(shop.store, shop.config)
    shelf = goods.open_shelf("shop", [])
    item = {"id": "x", "line": "Big", "price": 100, "currency": "EUR"}
    shelf.alternatives(item, 10)
    begun = time.process_time()
    for number in range(20):
        found = shelf.alternatives({**item, "price": 100 + number}, 10)
        assert len(found) == 10
    assert time.process_time() - begun < 0.5  # 20 look-ups of 20,000; loaded machines allowed
    assert len(goods._found) <= 500
    plan = shop.store.connection.execute(
        """
        EXPLAIN QUERY PLAN SELECT id FROM products
         WHERE site_id = 1 AND line = 'x' AND available IS NOT 0 AND currency IS 'EUR'
           AND amount > 5.0 ORDER BY amount LIMIT 200
        """
    ).fetchall()
    assert [row[3] for row in plan] == [
        "SEARCH products USING INDEX products_line (site_id=? AND line=? AND currency=? AND "
        "amount>?)"
    ]

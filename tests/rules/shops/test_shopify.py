"""Shopify's deliveries: signatures, states, money, baskets, prices and erasures."""

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pushctl.errors import InputError
from pushctl.rules.money import Money
from pushctl.rules.shops import payload, shopify, sources, told
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.shopify import Options
from pushctl.rules.shops.signatures import Refused
from pushctl.rules.shops.told import Clues, Told, ToldCart, ToldErasure, ToldOrder, ToldProduct
from tests.support import NOON, npm
from tests.support import hooks as h
from tests.support import shopify as s

HASH = "ab" * 32
HERE = Options(shop=s.SHOP)
EUR = "EUR"


def hash_email(address: str) -> str:
    assert address == "Canary.Buyer@mail.example"
    return HASH


def verify(raw: bytes, heads: Mapping[str, str], *secrets: bytes) -> None:
    shopify.verify(raw, h.lower(heads), secrets or (h.SECRET.encode(),), NOON, HERE)


def read(body: Any, topic: str = "orders/updated", **options: Any) -> Told | None:
    raw = h.dump(body)
    found = shopify.read(
        raw, h.lower(s.heads(raw, topic)), Options(shop=s.SHOP, **options), hash_email
    )
    if found is not None:
        assert told.decode(told.encode(found)) == found
        assert not [canary for canary in h.CANARIES if canary in told.encode(found).lower()]
    return found


def read_order(**changed: Any) -> ToldOrder:
    found = read({**s.ORDER, **changed})
    assert found is not None
    (order,) = found.orders
    return order


def read_cart(**changed: Any) -> ToldCart:
    found = read({**s.CHECKOUT, **changed}, "checkouts/update")
    assert found is not None
    (cart,) = found.carts
    return cart


def at(text: str) -> int:
    found = payload.read_time(text)
    assert found is not None
    return found


# --- who is believed -----------------------------------------------------------------------

BODY = b'{"id":820982911946154508,"email":"jon@example.com"}'
SIGNATURE = "D0UMXmhjwBRi4y66TmhJrDlhQABD7zI2fm3p6/QLMo8="
SIGNED = {"X-Shopify-Hmac-SHA256": SIGNATURE, "X-Shopify-Shop-Domain": s.SHOP}


def test_the_signature_is_that_of_the_raw_body() -> None:
    verify(BODY, SIGNED, b"hush")
    verify(BODY, SIGNED, b"the new one", b"hush")


@pytest.mark.parametrize(
    "changed",
    [
        {"X-Shopify-Hmac-SHA256": ""},
        {"X-Shopify-Hmac-SHA256": SIGNATURE[:-2] + "9="},
        {"X-Shopify-Hmac-SHA256": SIGNATURE.rstrip("=")},
        {"X-Shopify-Hmac-SHA256": "0f450c5e68"},
        {"X-Shopify-Shop-Domain": "other.myshopify.com"},  # the app's other shop
        {"X-Shopify-Shop-Domain": ""},
        {"X-Shopify-Shop-Domain": f"{s.SHOP}.example"},
    ],
)
def test_all_others_are_refused_alike(changed: dict[str, str]) -> None:
    with pytest.raises(Refused, match="The signature is missing or wrong") as caught:
        verify(BODY, {**SIGNED, **changed}, b"hush")
    assert caught.value.status == 401


def test_a_shop_is_named_in_the_settings() -> None:
    table = {"kind": "shopify", "site": "shop"}
    _, faults = sources.parse_all(
        {"a": table, "b": {**table, "shop": "lamps.example"}}, ["shop"]
    )
    assert [(".".join(it.path), it.text) for it in faults] == [
        ("sources.a.shop", "is missing"),
        ("sources.b.shop", "is 'lamps.example'"),
    ]


JUDGE = """
import '@shopify/shopify-api/adapters/node';
import { shopifyApi } from '@shopify/shopify-api';
import fs from 'node:fs';
const cases = JSON.parse(fs.readFileSync(0));
const shopify = shopifyApi({
  apiKey: 'key', apiSecretKey: cases.secret, scopes: [], hostName: 'shop.example',
  apiVersion: '2025-07', isEmbeddedApp: false, logger: { log: async () => {} },
});
const said = [];
for (const { body, headers } of cases.deliveries) {
  const rawBody = Buffer.from(body, 'base64').toString();
  const rawRequest = { method: 'POST', url: '/hooks/shop', headers };
  said.push((await shopify.webhooks.validate({ rawBody, rawRequest, rawResponse: {} })).valid);
}
console.log(JSON.stringify(said));
"""
PACKAGE = "@shopify/shopify-api@12.0.0"


def test_shopify_s_own_library_believes_the_same(tmp_path: Path) -> None:
    npm.installed(PACKAGE, tmp_path)
    (tmp_path / "judge.mjs").write_text(JUDGE)
    bodies = [h.dump(one) for one in (s.ORDER, s.CHECKOUT, s.PRODUCT, s.REDACT)]
    bodies += ['{"title":"Ayşe أحمد 🧺"}'.encode(), b"{}"]
    deliveries = [(raw, s.heads(raw)) for raw in bodies]
    raw = bodies[0]
    good = s.heads(raw)
    deliveries += [
        (raw + b" ", good),
        (h.dump(json.loads(raw) | {"total_price": "0.01"}), good),
        (raw, s.heads(raw, secret="another")),
        (raw, {**good, "X-Shopify-Hmac-SHA256": "x"}),
        (raw, {**good, "X-Shopify-Hmac-SHA256": good["X-Shopify-Hmac-SHA256"][:-1]}),
    ]
    sent = {
        "secret": h.SECRET,
        "deliveries": [
            {"body": b64encode(raw).decode(), "headers": heads} for raw, heads in deliveries
        ],
    }
    done = subprocess.run(
        [str(shutil.which("node")), "judge.mjs"],
        cwd=tmp_path, input=json.dumps(sent), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True] * 6 + [False] * 5
    assert [_is_believed(*one) for one in deliveries] == json.loads(done.stdout)


def _is_believed(raw: bytes, heads: Mapping[str, str]) -> bool:
    try:
        verify(raw, heads)
    except Refused:
        return False
    return True


# --- orders --------------------------------------------------------------------------------


def test_a_paid_order_is_told_whole() -> None:
    assert read_order() == ToldOrder(
        number="820982911946154508",
        state=State.PAID,
        total=Money(25498, 2, EUR),
        refunded=Money(0, 2, EUR),
        lines=(
            Line("632910392", "Brass lamp", 1, Money(19900, 2, EUR)),
            Line(None, "Oil", 2, Money(4299, 2, EUR)),
        ),
        at=at("2026-04-28T08:00:05Z"),
        clues=Clues(cart_key=h.KEY, email_hash=HASH),
        codes=("SPRING30",),
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", State.PENDING),
        ("authorized", State.PAID),
        ("partially_paid", State.PAID),
        ("paid", State.PAID),
        ("partially_refunded", State.PAID),
        ("refunded", State.REFUNDED),
        ("voided", State.CANCELLED),
        ("expired", State.CANCELLED),
        (None, State.PENDING),
        ("of next year", State.PENDING),
    ],
)
def test_a_status_is_a_state(status: str | None, state: State) -> None:
    assert read_order(financial_status=status).state is state


def test_a_cancelled_order_is_what_became_of_its_money() -> None:
    end = {"cancelled_at": "2026-04-28T09:00:00Z"}
    unpaid = read_order(financial_status="pending", **end)
    assert (unpaid.state, unpaid.at) == (State.CANCELLED, at("2026-04-28T09:00:00Z"))
    assert read_order(financial_status="paid", **end).state is State.PAID
    assert read_order(financial_status="refunded", **end).state is State.REFUNDED


def refund(amount: str, moment: str = "2026-05-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    move = {"kind": "refund", "status": "success", "amount": amount, "currency": EUR, **more}
    return {"created_at": moment, "note": "canary-note", "transactions": [move]}


def test_refunds_are_summed_from_what_really_went_back() -> None:
    moves = [
        refund("10.00"),
        refund("0.98"),
        refund("99.00", status="failure"),
        refund("99.00", kind="void"),
    ]
    order = read_order(financial_status="partially_refunded", refunds=moves)
    assert (order.state, order.refunded) == (State.PAID, Money(1098, 2, EUR))
    assert order.at == at("2026-04-28T08:00:05Z")


def test_a_refund_of_all_has_the_time_of_the_last_one() -> None:
    moves = [refund("200.00"), refund("54.98", "2026-05-02T10:00:00Z")]
    order = read_order(financial_status="refunded", refunds=moves)
    assert order.refunded == Money(25498, 2, EUR)
    assert order.at == at("2026-05-02T10:00:00Z")
    assert read_order(financial_status="refunded").refunded == Money(25498, 2, EUR)


REFUND = {**refund("10.00"), "id": 509562969, "order_id": 820982911946154508,
          "refund_line_items": []}  # fmt: skip


def test_a_refund_alone_is_one_of_several() -> None:
    found = read(REFUND, "refunds/create")
    assert found is not None
    (order,) = found.orders
    assert order == ToldOrder(
        number="820982911946154508",
        state=State.REFUNDED,
        total=None,
        refunded=None,
        lines=(),
        at=at("2026-05-01T10:00:00Z"),
        refund=Money(1000, 2, EUR),
    )


@pytest.mark.parametrize(
    "changed",
    [{"transactions": []}, {"transactions": refund("5", status="error")["transactions"]},
     {"order_id": None}, {"refund_line_items": None, "transactions": None}],
)  # fmt: skip
def test_a_refund_without_money_is_nothing(changed: dict[str, Any]) -> None:
    assert read({**REFUND, **changed}, "refunds/create") is None


def test_a_refund_in_another_currency_is_unknown_and_not_added() -> None:
    moves = [refund("10.00"), refund("10.00", currency="USD")]
    order = read_order(financial_status="partially_refunded", refunds=moves)
    assert order.refunded is None


@pytest.mark.parametrize(
    ("price", "currency", "expected"),
    [
        ("254.98", "EUR", Money(25498, 2, "EUR")),
        ("5400", "JPY", Money(5400, 0, "JPY")),
        ("12.750", "KWD", Money(12750, 3, "KWD")),
        ("12.75", "KWD", Money(12750, 3, "KWD")),
        (None, "EUR", None),
        ("free", "EUR", None),
    ],
)
def test_money_is_that_of_its_currency(price: Any, currency: str, expected: Any) -> None:
    assert read_order(total_price=price, currency=currency).total == expected


def test_a_test_order_is_marked() -> None:
    assert read_order(test=True).test is True


def test_a_customer_is_an_alias_where_the_shop_says_so() -> None:
    found = read(s.ORDER, alias="customer_id", email=False)
    assert found is not None
    clues = found.orders[0].clues
    assert clues == Clues(cart_key=h.KEY, alias="115310627314723954")


def test_odd_values_cost_an_order_no_more_than_themselves() -> None:
    names = ("note_attributes", "customer", "discount_codes", "refunds", "email", "line_items")
    order = read_order(**dict.fromkeys(names, 7), contact_email=None, processed_at="soon")
    assert order.lines == ()
    assert order.clues == Clues()
    assert order.at == at("2026-04-28T08:00:00Z")


# --- baskets, prices -----------------------------------------------------------------------


def test_a_checkout_is_a_basket_that_can_be_picked_up() -> None:
    assert read_cart() == ToldCart(
        id=read_cart().id,
        event="checkout_started",
        properties={
            "items": [
                {"id": "632910392", "name": "Brass lamp", "price": 199, "quantity": 1},
                {"name": "Oil", "price": 42.99, "quantity": 2},
            ],
            "count": 3,
            "total": 254.98,
            "currency": "EUR",
            "url": s.CHECKOUT["abandoned_checkout_url"],
        },
        at=at("2026-04-28T07:55:00Z"),
        clues=Clues(cart_key=h.KEY, email_hash=HASH),
    )


def test_a_state_of_a_basket_has_one_name() -> None:
    changed = read_cart(updated_at="2026-04-28T09:56:00+02:00")
    assert read_cart().id == read_cart(phone="1").id != changed.id


def test_a_checkout_that_was_emptied_is_an_empty_basket() -> None:
    cart = read_cart(line_items=[])
    assert (cart.event, cart.properties["items"]) == ("cart_updated", [])


def test_a_checkout_ends_with_its_order() -> None:
    done = {**s.CHECKOUT, "completed_at": "2026-04-28T10:00:00Z"}
    assert read(done, "checkouts/update") is None
    assert read({"id": 7, "presentment_currency": "EUR"}, "checkouts/delete") is None


def test_a_checkout_of_nobody_is_not_kept() -> None:
    nobody = {**s.CHECKOUT, "note_attributes": [], "email": None, "customer": None}
    assert read(nobody, "checkouts/create") is None


def test_a_long_basket_keeps_what_a_message_names() -> None:
    cart = read_cart(line_items=[{"title": f"Lamp {n}", "quantity": 1} for n in range(70)])
    assert len(cart.properties["items"]) == 20
    assert cart.properties["count"] == 70


def test_only_https_leads_back() -> None:
    for url in ("javascript:alert(1)", "http://lamps.example/", 7, None):
        assert "url" not in read_cart(abandoned_checkout_url=url).properties


def test_a_product_has_its_lowest_price() -> None:
    found = read(s.PRODUCT, "products/update")
    assert found is not None
    about = {
        "name": "Brass lamp",
        "url": "/products/brass-lamp",
        "image": "https://cdn.shopify.example/lamp.png",
    }
    assert found.products == (ToldProduct("632910392", Money(1895, 1, None), True, about),)


@pytest.mark.parametrize(
    ("variant", "available"),
    [
        ({"inventory_quantity": 0}, False),
        ({"inventory_quantity": -2}, False),
        ({"inventory_quantity": 0, "inventory_policy": "continue"}, True),
        ({"inventory_quantity": 0, "inventory_management": None}, True),
        ({"inventory_quantity": 1}, True),
        ({}, False),
    ],
)
def test_a_product_is_there_where_one_variant_can_be_bought(
    variant: dict[str, Any], available: bool
) -> None:
    found = read({**s.PRODUCT, "variants": [variant]}, "products/update")
    assert found is not None
    assert found.products[0].available is available


def test_a_product_that_is_hidden_or_gone_can_t_be_bought() -> None:
    for body in (
        {**s.PRODUCT, "status": "draft"},
        {**s.PRODUCT, "published_at": None},
        {"id": 632910392},
    ):
        found = read(body, "products/delete")
        assert found is not None
        assert found.products[0].available is False


# --- privacy -------------------------------------------------------------------------------


def test_a_redact_is_an_erasure() -> None:
    found = read(s.REDACT, "customers/redact", alias="customer_id")
    assert found is not None
    numbers = ("299938", "280263", "220458")
    assert found.erasures == (ToldErasure(Clues(alias="191167", email_hash=HASH), numbers),)


def test_a_redact_may_carry_an_address_alone() -> None:
    alone = {**s.REDACT, "customer": {"email": "Canary.Buyer@mail.example"}}
    del alone["orders_to_redact"]
    for body in (alone, {**alone, "orders_to_redact": []}):
        found = read(body, "customers/redact")
        assert found is not None
        assert found.erasures == (ToldErasure(Clues(email_hash=HASH)),)


def test_a_request_for_data_can_t_be_sent_again_as_an_erasure() -> None:
    with pytest.raises(InputError):
        read(s.DATA_REQUEST, "customers/redact")


def test_a_redact_of_another_shop_erases_nobody() -> None:
    with pytest.raises(InputError):
        read({**s.REDACT, "shop_domain": "other.myshopify.com"}, "customers/redact")


def note(body: Any, topic: str) -> str | None:
    raw = h.dump(body)
    return shopify.note(raw, h.lower(s.heads(raw, topic)), HERE)


def test_a_request_for_data_names_the_command_and_nobody() -> None:
    assert read(s.DATA_REQUEST, "customers/data_request") is None
    text = note(s.DATA_REQUEST, "customers/data_request") or ""
    assert "request 9999" in text
    assert "pushctl subscribers export --alias" in text
    assert not [canary for canary in (*h.CANARIES, "191167") if canary in text.lower()]
    assert "erase" in (note({"shop_id": 1, "shop_domain": s.SHOP}, "shop/redact") or "")
    assert note(s.ORDER, "orders/paid") is None


# --- what nobody signs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic",
    ["customers/redact", "checkouts/update", "products/update", "shop/redact", "carts/update",
     "customers/data_request", "refunds/create", "app/uninstalled", ""],
)  # fmt: skip
def test_a_caught_order_sent_again_under_another_topic_does_nothing(topic: str) -> None:
    """Shopify signs the body and not the topic."""
    try:
        found = read(s.ORDER, topic)
    except InputError:
        return
    assert found is None


def test_the_same_body_again_is_the_same_delivery() -> None:
    first, again = read(s.ORDER, "orders/create"), read(s.ORDER, "orders/paid")
    other = read({**s.ORDER, "financial_status": "voided"})
    assert first and again and other
    assert first.delivery == again.delivery != other.delivery

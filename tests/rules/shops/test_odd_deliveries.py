"""One odd value in a shop's delivery costs that value, and not the order around it."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pushctl.errors import InputError
from pushctl.rules.shops import mapped, shopify, sources, stripe, told, woocommerce
from pushctl.rules.shops.told import Told
from tests.rules.shops import test_mapped, test_stripe, test_woocommerce
from tests.support import hooks as h
from tests.support import shopify as s

ODD: list[Any] = [
    None, True, 0, -1, 10**40, 0.1, "", " ", "x" * 5_000, "a\0b", "\ud800", "\u202e\x1b[31m",
    "NaN", "1e400", "-0", "2026-99-99T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z",
    [], {}, [None], [[]], {"": None}, ["x"] * 2_000,
]  # fmt: skip


def list_places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if not isinstance(body, dict | list):
        return
    for key, value in body.items() if isinstance(body, dict) else enumerate(body):
        yield from list_places(value, (*path, key))


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def hash_email(_: str) -> str:
    return "ab" * 32


Read = Callable[[bytes], Told | None]
ERP = test_mapped.make(
    orders=test_mapped.ORDERS,
    events=[
        {"name": "told", "alias": "data.buyer.number", "properties": {"lines": "data.lines"}}
    ],
)
KINDS: dict[str, tuple[Any, Read, set[str]]] = {
    "woocommerce": (
        h.WOO_ORDER,
        lambda raw: woocommerce.read(
            raw, {"x-wc-webhook-topic": "order.updated"}, woocommerce.Options(), hash_email
        ),
        {"id", "status"},
    ),
    "woocommerce product": (
        test_woocommerce.PRODUCT,
        lambda raw: woocommerce.read(
            raw, {"x-wc-webhook-topic": "product.updated"}, woocommerce.Options(), hash_email
        ),
        {"id"},
    ),
    **{
        topic: (
            body,
            lambda raw, topic=topic: shopify.read(
                raw,
                {"x-shopify-topic": topic},
                shopify.Options(shop=s.SHOP, alias="customer_id"),
                hash_email,
            ),
            names,
        )
        for topic, body, names in (
            ("orders/updated", s.ORDER, {"id"}),
            ("checkouts/update", s.CHECKOUT, {"id", "token", "completed_at"}),
            ("products/update", s.PRODUCT, {"id", "variants"}),
            ("customers/redact", s.REDACT, {"shop_domain"}),
        )
    },
    "stripe": (
        test_stripe.make(),
        lambda raw: stripe.read(raw, {}, stripe.Options(alias="customer"), hash_email),
        {"id", "type", "created", "data", "object", "mode"},
    ),
    "mapped": (
        test_mapped.BODY,
        lambda raw: mapped.read(raw, {}, ERP, hash_email),
        {"type", "data", "id", "status"},
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_an_odd_value_costs_no_more_than_itself(name: str) -> None:
    body, read, needed = KINDS[name]
    for path in list_places(body):
        for value in ODD:
            raw = json.dumps(put(body, path, value)).encode()
            if not path or path[-1] in needed:
                with suppress(InputError):
                    read(raw)
                continue
            found = read(raw)
            assert found is not None, (path, value)
            assert told.decode(told.encode(found)), (path, value)


def test_all_kinds_are_tried_or_have_a_test_of_their_own() -> None:
    tried = {"woocommerce", "shopify", "stripe", "mapped"}
    assert set(sources.KINDS) - tried == {"2checkout"}

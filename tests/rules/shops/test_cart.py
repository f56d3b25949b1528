"""Baskets: what is not known is not 0, and what can't be meant changes nothing."""

from typing import Any

import pytest

from pushctl.rules import conditions
from pushctl.rules.limits import MAX_CART_ITEMS
from pushctl.rules.shops import cart


def read(*prices: Any, **more: Any) -> dict[str, Any]:
    return cart.read({"items": [{"name": "x", "price": price} for price in prices], **more}, ())


@pytest.mark.parametrize(
    ("prices", "more", "total"),
    [
        (["1.249,00", "49,90 €"], {}, None),  # which currency is the first one?
        (["1.249,00", "49,90"], {}, 1298.9),
        (["1.249,00 €", "49,90 €"], {}, 1298.9),
        (["1.249", "49,90"], {}, 1298.9),
        (["1.249"], {}, None),
        (["1.249"], {"currency": "EUR"}, 1249),
        (["1.249"], {"currency": "KWD"}, None),
        ([49.9, None], {}, None),
        ([49.9, "on request"], {}, None),
        ([None], {"total": "99,90"}, 99.9),
        ([49], {"total": "unknown"}, 49),
        (["49 €", "20 $"], {}, None),
        (["20 $", "1.50 USD"], {"currency": "USD"}, 21.5),
        (["20 $"], {"currency": "EUR"}, None),
        ([49], {"total": "20 USD", "currency": "EUR"}, None),
        ([0], {}, 0),
        (["0,00 €"], {}, 0),
        ([], {}, None),
    ],
)
def test_the_total_of_a_basket(
    prices: list[Any], more: dict[str, Any], total: float | None
) -> None:
    found = read(*prices, **more)
    assert found["total"] == total
    assert cart.value({}, found) == total


def test_count_and_total_are_of_all_items_although_few_are_kept() -> None:
    found = read(*[10] * 30)
    assert (found["count"], found["total"]) == (30, 300)
    assert len(found["items"]) == len(found["names"]) == MAX_CART_ITEMS


@pytest.mark.parametrize(
    ("more", "count", "total"),
    [
        ({"count": 60, "total": 600}, 60, 600),
        ({"count": 60, "total": None}, 60, None),  # of 57 of them nothing is known
        ({"count": None, "total": None}, 3, 30),
        ({"count": 3}, 3, 30),
        ({"count": 1}, 3, 30),
        ({"count": "many"}, 3, 30),
    ],
)
def test_the_page_counts_items_that_its_request_had_no_room_for(
    more: dict[str, Any], count: float, total: float | None
) -> None:
    found = read(10, 10, 10, **more)
    assert (found["count"], found["total"]) == (count, total)


@pytest.mark.parametrize(
    ("quantity", "count", "total", "several"),
    [
        (0.75, 0.75, 15, False), ("0,75", 0.75, 15, False), (1.5, 1.5, 30, False),
        (2, 2, 40, True), (None, 1, 20, False), ("", 1, 20, False), (0, 0, 0, False),
        ("some", None, None, False), (-1, None, None, False), (1e9, None, None, False),
    ],
)  # fmt: skip
def test_a_quantity_counts_as_it_is(
    quantity: Any, count: float | None, total: float | None, several: bool
) -> None:
    found = cart.read({"items": [{"price": 20, "quantity": quantity}]}, ())
    assert (found["count"], found["total"], found["several"]) == (count, total, several)
    assert found["items"][0]["quantity"] == count


def test_the_own_value_of_an_event_that_cannot_be_read_is_unknown_not_another_one() -> None:
    assert cart.value({"value": "1.249", "price": 5}, None) is None
    assert cart.value({"value": "1.249", "price": "5,50"}, None) == 1249
    assert cart.value({"value": "", "total": "5,50"}, None) == 5.5
    assert cart.value({"value": "soon"}, {"total": 7}) is None
    assert cart.value({"value": "abc", "price": 2}, {"total": 5}) is None
    assert cart.value({"total": "20 USD", "currency": "EUR"}, {"total": 5}) is None
    assert cart.value({"value": None, "total": ""}, {"total": 5}) == 5


def test_the_currency_of_the_site_is_that_of_amounts_without_one() -> None:
    told = {"items": [{"price": "1.249"}]}
    assert cart.complete(told, "EUR") == {**told, "currency": "EUR"}
    assert cart.read(cart.complete(told, "EUR"), ())["total"] == 1249
    assert cart.complete({**told, "currency": "TRY"}, "EUR")["currency"] == "TRY"
    assert cart.complete({"page": "/"}, "EUR") == {"page": "/"}
    assert cart.complete(told, None) is told


def test_items_may_name_their_currencies_apart() -> None:
    items = [{"price": 20, "currency": "USD"}, {"price": 1.5, "currency": "usd"}]
    found = cart.read(cart.complete({"items": items}, "EUR"), ())
    assert (found["currency"], found["total"]) == ("USD", 21.5)
    mixed = cart.read(cart.complete({"items": [*items, {"price": 1}]}, "EUR"), ())
    assert (mixed["currency"], mixed["total"]) == (None, None)
    same = cart.complete({"items": [{"price": 2, "currency": "EUR"}, {"price": 1}]}, "EUR")
    assert cart.read(same, ())["total"] == 3


@pytest.mark.parametrize(
    ("one", "other", "more", "total"),
    [
        ("$", "EUR", {}, None),
        ("kr", "EUR", {}, None),
        ("RM", "EUR", {}, None),
        ("XBT", "EUR", {}, None),
        (7, "EUR", {}, None),
        ("XBT", "XBT", {}, None),
        ("XBT", "XBT", {"currency": "XBT"}, 10),
        ("XBT", None, {"currency": "EUR"}, None),
        ("EUR", None, {"currency": "XBT"}, None),
        ("EUR", None, {"currency": "$"}, None),
        ("USD", "USD", {"currency": "$"}, 10),
        ("kr", "kr", {}, 10),
        ("kr", "NOK", {}, 10),
        ("$", None, {"currency": "USD"}, 10),
        (None, None, {"currency": "RM"}, 10),
        (None, None, {}, 10),
    ],
)
def test_items_of_currencies_that_may_differ_have_no_total(
    one: Any, other: Any, more: dict[str, Any], total: float | None
) -> None:
    items = [{"price": 5, "currency": one}, {"price": 5, "currency": other}]
    assert cart.read({"items": items, **more}, ())["total"] == total


def test_a_price_and_its_item_that_name_different_currencies_are_unknown() -> None:
    items = [{"price": "5 €", "currency": "USD"}]
    found = cart.read({"items": items}, ())
    assert (found["total"], found["items"][0]["price"]) == (None, None)


@pytest.mark.parametrize("own", ["RM", "kr"])
def test_the_site_s_currency_is_not_that_of_items_in_another_one(own: str) -> None:
    told = {"items": [{"price": 5, "currency": own}, {"price": 5}]}
    assert cart.read(cart.complete(told, "EUR"), ())["total"] is None
    same = {"items": [{"price": 5, "currency": "kr"}, {"price": 5}]}
    assert cart.read(cart.complete(same, "SEK"), ())["total"] == 10


@pytest.mark.parametrize(
    ("prices", "currency", "total"),
    [
        (["$20", "$1.50"], None, 21.5),
        (["20 USD", "1.50 USD"], "USD", 21.5),
        (["20 €", "1,50"], "EUR", 21.5),
        (["20 USD", 1.5], None, None),
    ],
)
def test_prices_that_name_another_currency_do_not_get_the_site_s(
    prices: list[Any], currency: str | None, total: float | None
) -> None:
    told = {"items": [{"price": price} for price in prices]}
    found = cart.read(cart.complete(told, "EUR"), ())
    assert (found["currency"], found["total"]) == (currency, total)


@pytest.mark.parametrize(
    ("name", "properties", "said"),
    [
        ("cart_updated", {"itms": [1]}, "cart_updated without items, it has itms"),
        (
            "cart_updated",
            {"products": [{}], "url": "/"},
            "cart_updated without items, it has products",
        ),
        ("cart_updated", {}, "cart_updated without items, count and total"),
        ("cart_updated", {"url": "/cart"}, "cart_updated without items, count and total"),
        ("cart_updated", {"items": "lamp"}, "cart_updated with items that are no list"),
        ("cart_updated", {"items": ["lamp"]}, "cart_updated with items that are no objects"),
        (
            "cart_updated",
            {"items": [{"sku": 1}]},
            "cart_updated with items without id, name and price, they have sku",
        ),
        ("cart_emptied", {"items": [{"id": 1}]}, "cart_emptied with items"),
        ("cart_updated", {"x" * 200: [1]}, f"cart_updated without items, it has {'x' * 40}"),
        (
            "cart_updated",
            {"items": [{}]},
            "cart_updated with items without id, name and price, they have nothing",
        ),
    ],
)
def test_a_basket_that_cannot_be_meant(name: str, properties: Any, said: str) -> None:
    assert cart.find_fault(name, properties) == said


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("cart_updated", {"items": [{"id": "lamp"}]}),
        ("cart_updated", {"items": []}),
        ("cart_updated", {"total": "49,90"}),
        ("cart_updated", {"total": 0}),
        ("cart_updated", {"count": 2}),
        ("cart_updated", {"url": "/cart", "value": 49}),
        ("cart_updated", {"total": 80, "products": [1]}),
        ("cart_emptied", {}),
        ("cart_emptied", {"items": []}),
        ("purchase", {"itms": [1]}),
        ("page_viewed", {}),
    ],
)
def test_a_basket_that_can_be_meant(name: str, properties: Any) -> None:
    assert cart.find_fault(name, properties) is None


@pytest.mark.parametrize(
    ("wanted", "values", "holds"),
    [
        (">= 50", {"value": "1.249,00"}, True),
        ("< 50", {"value": "49,90 €"}, True),
        ("< 50", {"value": "1.249"}, False),
        (">= 50", {"value": "1.249"}, False),
        (">= 50", {"value": "1.249", "currency": "EUR"}, True),
        (">= 50", {"value": "1.249", "total": "9,90"}, True),
        ("< 50", {"value": "on request"}, False),
        (49.9, {"value": "49,90 €"}, True),
        ("49.9", {"value": "49,90"}, True),
        ("10 EUR", {"value": "10 USD"}, False),
        ("!= 50", {"value": "50,00 €"}, False),
        ([49.9, 20], {"value": "20,00"}, True),
    ],
)
def test_conditions_read_amounts_as_people_write_them(
    wanted: Any, values: dict[str, Any], holds: bool
) -> None:
    assert (conditions.unmet(conditions.parse({"value": wanted}), values) is None) is holds


def test_a_condition_on_a_field_inside_reads_what_stands_beside_it() -> None:
    where = conditions.parse({"event.price": ">= 50"})
    assert conditions.unmet(where, {"event": {"price": "1.249", "currency": "EUR"}}) is None
    assert conditions.unmet(where, {"event": {"price": "1.249"}, "currency": "EUR"})


def test_a_total_of_many_items_is_exact() -> None:
    """Added as floats, these are 999.499."""
    items = [{"name": str(one), "price": 1.0005} for one in range(999)]
    assert cart.read({"items": items}, ())["total"] == 999.5


def test_a_basket_is_picked_up_at_the_site_or_at_its_checkout_alone() -> None:
    places = ["https://shop.example"], ["https://secure.2checkout.com"]
    for url, kept in (
        ("/cart", True), ("https://shop.example/cart", True),
        ("https://secure.2checkout.com/checkout/buy?merchant=X", True),
        ("https://secure.2checkout.com.evil.example/", False),
        ("https://secure.2checkout.com@evil.example/", False),
        ("http://secure.2checkout.com/", False), ("https://evil.example/", False),
    ):  # fmt: skip
        found = cart.read({"url": url, "items": [{"id": "x", "url": url}]}, *places)
        assert (found["url"] == url) is kept
        (item,) = found["items"]
        assert (item["url"] == url) is (kept and "2checkout" not in url)

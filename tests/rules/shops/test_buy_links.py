"""Links that fill a basket at 2Checkout again: what is in them, and the signature."""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from pushctl.rules import limits
from pushctl.rules.messages import payload
from pushctl.rules.shops import buy_links, cart
from pushctl.rules.shops.buy_links import Buyer, Seller

SECRET = b"tango"
SIGNED = Seller("2COLNC", SECRET, "https://shop.example/thanks")
BARE = Seller("2COLNC")
BUYER = Buyer("Qk3xV0aZ9_-bcdEFGH1234", "customer-17")


def hold(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a cart as templates have it."""
    return cart.read({"items": list(items), **more}, ())


LAMP = {"id": "LAMP", "name": "Lamp", "price": 49}
CUP = {"id": "CUP-2", "name": "Cup", "price": 12, "quantity": 2}


def read(link: str | None) -> dict[str, str]:
    assert link is not None
    assert link.startswith("https://secure.2checkout.com/checkout/buy?")
    return dict(parse_qsl(urlsplit(link).query, strict_parsing=True))


def verify(parameters: dict[str, str], names: str) -> None:
    """Compute the signature a second time, over *names* in this very order."""
    source = "".join(f"{len(parameters[it])}{parameters[it]}" for it in names.split())
    assert (
        parameters["signature"] == hmac.new(SECRET, source.encode(), hashlib.sha256).hexdigest()
    )


def test_the_vector_of_references() -> None:
    parameters = {
        "return-url": "https://shop.example/thanks", "order-ext-ref": "cart-17",
        "return-type": "redirect", "expiration": "1537549421", "merchant": "2COLNC",
    }  # fmt: skip
    expected = "a2fd39ff5b88b08f153fab0766507f8c5ff80eadbc4ee2818ee9be1ce81bf14c"
    assert buy_links.sign(parameters, SECRET, products=True) == expected
    assert buy_links.sign(parameters, SECRET, products=False) == expected


def test_a_signed_link_has_the_basket_and_what_is_to_come_back() -> None:
    found = read(buy_links.build(SIGNED, hold(LAMP, CUP), BUYER, "SPRING15"))
    verify(found, "coupon customer-ext-ref order-ext-ref prod qty return-type return-url")
    del found["signature"]
    assert found == {
        "merchant": "2COLNC",
        "prod": "LAMP;CUP-2",
        "qty": "1;2",
        "coupon": "SPRING15",
        "order-ext-ref": BUYER.cart_key,
        "customer-ext-ref": "customer-17",
        "return-url": "https://shop.example/thanks",
        "return-type": "redirect",
    }


def test_products_may_be_left_out_of_the_signature() -> None:
    seller = Seller("2COLNC", SECRET, sign_products=False)
    found = read(buy_links.build(seller, hold(LAMP), BUYER, "SPRING15"))
    verify(found, "customer-ext-ref order-ext-ref")
    assert found["prod"] == "LAMP"
    assert found["coupon"] == "SPRING15"


def test_without_the_secret_word_the_link_is_bare() -> None:
    found = read(buy_links.build(BARE, hold(LAMP, CUP), BUYER, "SPRING15"))
    assert found == {
        "merchant": "2COLNC", "prod": "LAMP;CUP-2", "qty": "1;2", "coupon": "SPRING15",
    }  # fmt: skip
    assert buy_links.build(Seller("2COLNC", unsigned=False), hold(LAMP), BUYER) is None


def test_the_secret_word_is_shown_nowhere() -> None:
    assert "tango" not in repr(SIGNED)
    assert "tango" not in str(buy_links.build(SIGNED, hold(LAMP), BUYER, "tan-go"))


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"name": "Lamp", "price": 49}],  # no id
        [LAMP, {"name": "Cup"}],
        [{**LAMP, "id": "LAMP;CUP"}],
        [{**LAMP, "id": "Lámpara"}],
        [{**LAMP, "id": "A B"}],
        [{**LAMP, "quantity": "many"}],
        [{**LAMP, "quantity": 1.5}],
        [{**LAMP, "quantity": 0}],
        [{**LAMP, "quantity": 10_000}],
        [{**LAMP, "id": f"P{number}"} for number in range(limits.MAX_CART_ITEMS + 1)],
        [{**LAMP, "id": f"{number}" + "p" * 99} for number in range(10)],
    ],
)
def test_what_a_link_can_not_fill_has_none(items: list[dict[str, Any]]) -> None:
    for seller in (SIGNED, BARE):
        assert buy_links.build(seller, hold(*items), BUYER) is None


def test_a_basket_that_has_more_than_it_lists_has_no_link() -> None:
    assert buy_links.build(SIGNED, hold(LAMP, count=3), BUYER) is None
    assert buy_links.build(SIGNED, hold(total=49, count=1), BUYER) is None


def test_the_same_product_twice_is_one_of_more() -> None:
    found = read(buy_links.build(BARE, hold(LAMP, CUP, {**LAMP, "quantity": 2}), BUYER))
    assert (found["prod"], found["qty"]) == ("LAMP;CUP-2", "3;2")


@pytest.mark.parametrize("alias", [None, "", "müşteri-7", "jo@buyers.example", "a b", "a\nb"])
def test_an_alias_that_may_not_stand_in_a_link_is_left_out(alias: str | None) -> None:
    found = read(buy_links.build(SIGNED, hold(LAMP), Buyer(None, alias)))
    verify(found, "prod qty return-type return-url")


@pytest.mark.parametrize("coupon", ["", "YAZİNDİRİMİ", "A;B", "two words"])
def test_a_code_that_may_not_stand_in_a_link_is_left_out(coupon: str) -> None:
    assert "coupon" not in read(buy_links.build(SIGNED, hold(LAMP), BUYER, coupon))


def test_values_can_not_add_parameters() -> None:
    nasty = {**LAMP, "id": "A&price=0#x=%26"}
    link = buy_links.build(SIGNED, hold(nasty), Buyer("k&coupon=FREE", "a#?b"), "C&qty=9")
    found = parse_qs(urlsplit(str(link)).query)
    assert found["prod"] == ["A&price=0#x=%26"]
    assert found["qty"] == ["1"]
    assert found["coupon"] == ["C&qty=9"]
    assert "price" not in found


def test_the_longest_link_fits_a_message_twice() -> None:
    items = [{**LAMP, "id": f"PRODUCT-{number:03}-1234567890"} for number in range(20)]
    link = str(buy_links.build(SIGNED, hold(*items), BUYER, "SPRING15"))
    assert 700 < len(link) <= limits.MAX_RESTORE_URL_CHARACTERS
    assert payload.is_link(link)
    assert 2 * limits.MAX_RESTORE_URL_CHARACTERS < limits.MAX_ANDROID_PAYLOAD_BYTES

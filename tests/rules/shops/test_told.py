"""The form in which the inbox has what shops tell: it comes back whole, or is refused."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.errors import InputError
from pushctl.rules import limits, tokens
from pushctl.rules.amounts import CURRENCIES
from pushctl.rules.money import Money
from pushctl.rules.shops import told
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.told import Clues, Told, ToldCart, ToldErasure, ToldOrder, ToldProduct
from tests.support import NOON

EUR = Money(7400, 2, "EUR")
CLUES = Clues("c" * 22, "customer-7", "ab" * 32, "B4rfNUNqHTT6PE1XintDHA")
LAMP = Line("lamp", "Brass lamp", 1, Money(4900, 2, "EUR"))
ORDER = ToldOrder(
    "1007", State.PAID, EUR, Money(500, 2, "EUR"), (LAMP, Line(None, None, None, None)), NOON,
    CLUES, ("SPRING15",), True, Money(200, 2, "EUR"),
)  # fmt: skip
CART = ToldCart(
    "t1", "checkout_started", {"items": [{"id": "lamp", "price": None}], "url": "/c"}, NOON
)
ALL = Told(
    "shopify", "w-1", (ORDER, ToldOrder("8", State.PENDING, None, None, (), NOON)), (CART,),
    (ToldProduct("lamp", Money(1799, 3, None), False, {"name": "Lamp"}),
     ToldProduct("cup", None, None, {})),
    (ToldErasure(CLUES, ("1007", "8")),),
)  # fmt: skip


def test_all_that_a_delivery_says_comes_back() -> None:
    assert told.decode(told.encode(ALL)) == ALL
    assert told.decode(told.encode(Told("stripe", "evt_1"))) == Told("stripe", "evt_1")


MONEY = st.none() | st.builds(
    Money, st.integers(0, 10**11), st.integers(0, 4), st.sampled_from(sorted(CURRENCIES))
)
WORD = st.text("abc-ü_ي7", min_size=1, max_size=20)
ORDERS = st.builds(
    ToldOrder, WORD, st.sampled_from(State), MONEY, st.none(),
    st.lists(st.builds(Line, WORD, st.none() | WORD, st.floats(0, 9), MONEY)).map(tuple),
    st.integers(0, 2**52), st.builds(lambda alias: Clues(alias=alias), st.none() | WORD),
    st.lists(WORD, max_size=3).map(tuple), st.booleans(), st.none(),
)  # fmt: skip


@given(st.lists(ORDERS, max_size=3))
def test_any_orders_come_back(orders: list[ToldOrder]) -> None:
    given = Told("mapped", "d", tuple(orders))
    assert told.decode(told.encode(given)) == given


def test_what_is_too_long_of_an_orders_lines_is_cut() -> None:
    lines = tuple(Line(f"{n}", "x" * 900, 1, None) for n in range(600))
    (kept,) = told.decode(told.encode(Told("s", "d", (ORDER._replace(lines=lines),)))).orders
    assert len(kept.lines) == limits.MAX_ORDER_LINES
    assert kept.lines[-1] == Line("499", "x" * limits.MAX_CART_TEXT_CHARACTERS, 1, None)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"source": 7}, "source of the body is no text"),
    ({"source": "x" * 65}, "source of the body has 65 characters"),
    ({"delivery": ""}, "delivery of the body is empty"),
    ({"delivery": None}, "delivery of the body is no text"),
    ({"orders": {}}, "orders of the body is no list of at most 1000"),
    ({"orders": [{}] * 1001}, "orders of the body is no list of at most 1000"),
    ({"orders": ["1007"]}, "orders[1] is no object"),
    ({"order": []}, "the body has something unknown: 'order'"),
]
WRONG_ORDER: list[tuple[str, Any, str]] = [
    ("number", 1007, "number of orders[1] is no text"),
    ("number", "x" * 101, "number of orders[1] has 101 characters"),
    ("number", "7\x1b[31m", "number of orders[1] has control characters"),
    ("state", "shipped", "state of orders[1] is none of pending, paid"),
    ("state", None, "state of orders[1] is none of"),
    ("total", 74.0, "total of orders[1] is no list of minor units"),
    ("total", [74.0, 2, "EUR"], "total of orders[1] has minor units"),
    ("total", [True, 2, "EUR"], "total of orders[1] has minor units"),
    ("total", [-1, 2, "EUR"], "total of orders[1] is below 0"),
    ("total", [10**14, 2, "EUR"], "total of orders[1] is beyond"),
    ("total", [1, 10, "EUR"], "total of orders[1] is beyond"),
    ("total", [1, 2, "eur"], "total of orders[1] has a currency"),
    ("refunded", [500, 2, "USD"], "another currency than its total"),
    ("refund", [200, 2, "USD"], "another currency than its total"),
    ("refund", [-200, 2, "EUR"], "refund of orders[1] is below 0"),
    ("at", -1, "at of orders[1] is no time"),
    ("at", 1.5, "at of orders[1] is no time"),
    ("at", 2**53, "at of orders[1] is no time"),
    ("at", None, "at of orders[1] is no time"),
    ("lines", [{"name": 7}], "name of lines[1] is no text"),
    ("lines", [{"quantity": True}], "quantity of lines[1] is no number"),
    ("lines", [{"quantity": -1}], "quantity of lines[1] is below 0"),
    ("lines", [{"title": "Lamp"}], "lines[1] has something unknown: 'title'"),
    ("cart_key", "short", "cart_key of orders[1] is no key"),
    ("alias", "null", "alias of orders[1] is a word for nothing"),
    ("email_hash", "AB" * 32, "email_hash of orders[1] is no hash"),
    ("email_hash", "jo@shop.example", "email_hash of orders[1] is no hash"),
    ("subscriber", 7, "subscriber of orders[1] is no id"),
    ("codes", "SPRING15", "codes of orders[1] is no list of at most 20"),
    ("codes", ["x"] * 21, "codes of orders[1] is no list of at most 20"),
    ("codes", [15], "codes of orders[1] is no text"),
    ("test", 1, "test of orders[1] is neither true nor false"),
    ("email", "jo@shop.example", "orders[1] has something unknown: 'email'"),
]


@pytest.mark.parametrize(("change", "fault"), WRONG, ids=[fault for _, fault in WRONG])
def test_another_form_is_refused(change: dict[str, Any], fault: str) -> None:
    body = {**json.loads(told.encode(ALL)), **change}
    with pytest.raises(InputError) as caught:
        told.decode(json.dumps(body))
    assert fault in str(caught.value)


@pytest.mark.parametrize(("key", "value", "fault"), WRONG_ORDER)
def test_an_order_of_another_form_is_refused(key: str, value: Any, fault: str) -> None:
    body = json.loads(told.encode(ALL))
    body["orders"][0][key] = value
    with pytest.raises(InputError) as caught:
        told.decode(json.dumps(body))
    assert fault in str(caught.value)
    assert "jo@shop.example" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "key", "value", "fault"),
    [
        ("carts", "event", "purchase", "event of carts[1] is an event that is not told so"),
        ("carts", "properties", [], "properties of carts[1] is no object"),
        ("products", "price", [-1, 2, None], "price of products[1] is below 0"),
        ("products", "available", "yes", "available of products[1] is neither"),
        ("erasures", "orders", [7], "is no text"),
        ("erasures", "phone", "1", "erasures[1] has something unknown"),
    ],
)
def test_other_parts_are_refused_too(part: str, key: str, value: Any, fault: str) -> None:
    body = json.loads(told.encode(ALL))
    body[part][0][key] = value
    with pytest.raises(InputError) as caught:
        told.decode(json.dumps(body))
    assert fault in str(caught.value)


def test_a_source_is_told_what_the_import_would_refuse() -> None:
    with pytest.raises(InputError, match="number of orders"):
        told.encode(Told("s", "d", (ORDER._replace(number=""),)))


def test_an_address_is_one_however_it_is_written() -> None:
    expected = hmac.new(b"key", b"jo@shop.example", hashlib.sha256).hexdigest()
    for written in ("jo@shop.example", " Jo@Shop.Example\n", "ｊｏ@shop.example"):
        assert tokens.hash_email(b"key", written) == expected
    assert tokens.hash_email(b"other", "jo@shop.example") != expected

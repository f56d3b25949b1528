"""WooCommerce's deliveries: signatures, states, money, and what is not kept."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushctl.errors import InputError
from pushctl.rules.money import Money
from pushctl.rules.shops import payload, told, woocommerce
from pushctl.rules.shops.history import History
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.signatures import Refused
from pushctl.rules.shops.sources import fill_times
from pushctl.rules.shops.told import Clues, Told, ToldOrder, ToldProduct
from pushctl.rules.shops.woocommerce import Options
from tests.support import NOON
from tests.support import hooks as h

HASH = "ab" * 32
PAID_AT = payload.read_time("2026-04-28T08:01:00Z")


def hash_email(address: str) -> str:
    assert address == "Canary.Buyer@mail.example"
    return HASH


def verify(raw: bytes, heads: Mapping[str, str], *secrets: bytes) -> None:
    woocommerce.verify(raw, h.lower(heads), secrets or (h.SECRET.encode(),), NOON, Options())


def read(body: Any, topic: str = "order.updated", **options: Any) -> Told | None:
    raw = h.dump(body)
    found = woocommerce.read(
        raw, h.lower(h.woo_heads(raw, topic)), Options(**options), hash_email
    )
    if found is not None:
        known = found._replace(orders=tuple(it._replace(at=it.at or 1) for it in found.orders))
        assert told.decode(told.encode(known)) == known
    return found


def read_order(**changed: Any) -> ToldOrder:
    found = read({**h.WOO_ORDER, **changed})
    assert found is not None
    (order,) = found.orders
    return order


# The vector of docs/shops.md: computed by Python's hmac, and checked by hand with openssl.
BODY = b'{"id":820982911946154508,"email":"jon@example.com"}'
SIGNATURE = "D0UMXmhjwBRi4y66TmhJrDlhQABD7zI2fm3p6/QLMo8="


def test_the_signature_is_that_of_the_raw_body() -> None:
    verify(BODY, {"X-WC-Webhook-Signature": SIGNATURE}, b"hush")
    verify(BODY, {"X-WC-Webhook-Signature": SIGNATURE}, b"new", b"hush")


@pytest.mark.parametrize(
    "raw",
    [
        BODY.replace(b":", b": "),  # encoded anew
        b'{"email":"jon@example.com","id":820982911946154508}',  # its keys in another order
        BODY + b"\n",
        b"\xef\xbb\xbf" + BODY,
        b"",
    ],
)
def test_another_body_has_another_signature(raw: bytes) -> None:
    with pytest.raises(Refused, match="missing or wrong"):
        verify(raw, {"X-WC-Webhook-Signature": SIGNATURE}, b"hush")


@pytest.mark.parametrize(
    "given", ["", SIGNATURE[:-1], SIGNATURE + "=", SIGNATURE.lower(), "é", " "]
)
def test_a_signature_has_one_form(given: str) -> None:
    with pytest.raises(Refused):
        verify(BODY, {"X-WC-Webhook-Signature": given}, b"hush")


def test_a_body_in_utf_8_is_signed_as_it_is() -> None:
    raw = '{"name":"Ayşe أحمد 🧺"}'.encode()
    verify(raw, h.woo_heads(raw))


def test_a_paid_order_is_told_whole() -> None:
    order = read_order()
    assert order == ToldOrder(
        number="727",
        state=State.PAID,
        total=Money(2935, 2, "EUR"),
        refunded=Money(0, 2, "EUR"),
        lines=(
            Line("93", "Woo Single #1", 2, Money(300, 2, "EUR")),
            Line("22", "Ship Your Idea", 1, Money(16663333, 6, "EUR")),
        ),
        at=PAID_AT or 0,
        clues=Clues(cart_key=h.KEY, email_hash=HASH),
        codes=("SAVE5",),
    )


def test_nothing_of_the_buyer_is_left() -> None:
    found = read(h.WOO_ORDER)
    assert found is not None
    text = told.encode(found).lower()
    assert not [canary for canary in h.CANARIES if canary in text]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", State.PENDING),
        ("on-hold", State.PENDING),
        ("processing", State.PAID),
        ("completed", State.PAID),
        ("refunded", State.REFUNDED),
        ("cancelled", State.CANCELLED),
        ("failed", State.CANCELLED),
        ("trash", State.CANCELLED),
        ("shipped", State.PAID),  # a plug-in's, of a paid order
    ],
)
def test_a_status_is_a_state(status: str, state: State) -> None:
    assert read_order(status=status).state is state


def test_what_is_no_order_yet_is_nothing() -> None:
    for status in ("checkout-draft", "auto-draft"):
        assert read({**h.WOO_ORDER, "status": status}) is None
    unknown = {**h.WOO_ORDER, "status": "quoted", "date_paid_gmt": None}
    assert read(unknown) is None


def test_the_time_is_that_of_the_state() -> None:
    created = payload.read_time("2026-04-28T08:00:00Z")
    changed = payload.read_time("2026-04-28T08:01:30Z")
    assert read_order(status="pending").at == created
    assert read_order(status="cancelled").at == changed
    # Paid on delivery: the shop has no time of payment.
    assert read_order(date_paid_gmt=None).at == changed
    assert read_order(status="completed").at == PAID_AT


@pytest.mark.parametrize(
    ("total", "currency", "expected"),
    [
        ("29.35", "EUR", Money(2935, 2, "EUR")),
        ("5400", "JPY", Money(5400, 0, "JPY")),
        ("5400.00", "JPY", Money(5400, 0, "JPY")),
        ("12.750", "KWD", Money(12750, 3, "KWD")),
        ("19.995", "EUR", Money(2000, 2, "EUR")),
        ("0.00", "EUR", Money(0, 2, "EUR")),
        ("1.234,50", "EUR", None),  # no program of a shop writes it
        ("-5.00", "EUR", None),
        ("NaN", "EUR", None),
        ("1e3", "EUR", None),
        ("9" * 30, "EUR", None),
        (None, "EUR", None),
        (True, "EUR", None),
        ("29.35", "???", Money(2935, 2, None)),
    ],
)
def test_money_is_exact_or_unknown(total: Any, currency: str, expected: Money | None) -> None:
    assert read_order(total=total, currency=currency).total == expected


def test_refunds_are_lines_of_an_order_that_stays_paid() -> None:
    refunds = [{"id": 1, "reason": "", "total": "-10.00"}, {"id": 2, "total": "-0.35"}]
    order = read_order(refunds=refunds)
    assert (order.state, order.refunded) == (State.PAID, Money(1035, 2, "EUR"))
    assert order.at == PAID_AT


def test_a_refund_of_all_is_a_state() -> None:
    whole = read_order(status="refunded", refunds=[{"total": "-29.35"}])
    assert (whole.state, whole.refunded) == (State.REFUNDED, Money(2935, 2, "EUR"))
    by_hand = read_order(status="refunded", refunds=[])
    assert by_hand.refunded == Money(2935, 2, "EUR")


def test_refunds_that_can_t_be_read_are_unknown() -> None:
    assert read_order(refunds=[{"total": "ten"}]).refunded is None
    assert read_order(refunds=None).refunded is None


def test_a_customer_s_id_is_an_alias_where_the_shop_says_so() -> None:
    found = read(h.WOO_ORDER, alias="customer_id")
    assert found is not None
    assert found.orders[0].clues.alias == "26"
    guest = read({**h.WOO_ORDER, "customer_id": 0}, alias="customer_id")
    assert guest is not None
    assert guest.orders[0].clues.alias is None


def test_an_address_is_not_even_hashed_where_the_shop_says_so() -> None:
    found = read(h.WOO_ORDER, email=False)
    assert found is not None
    assert found.orders[0].clues.email_hash is None


@pytest.mark.parametrize(
    "value", ["short", 7, None, ["x"], "c" * 23, "<script>".ljust(22, "x")]
)
def test_a_key_that_is_none_is_left_out(value: Any) -> None:
    assert read_order(meta_data=[{"key": "_pushctl", "value": value}]).clues.cart_key is None


def test_odd_values_cost_an_order_no_more_than_themselves() -> None:
    names = ["billing", "meta_data", "coupon_lines", "customer_id", "number", "date_paid_gmt"]
    odd: dict[str, Any] = {name: [7] for name in names}
    order = read_order(**odd, line_items=[{"price": "x", "quantity": -1}, 7])
    assert order.number == "727"
    assert order.lines == (Line(None, None, None, None),)
    assert order.clues == Clues()


def test_an_order_that_was_deleted_is_not_waited_for() -> None:
    found = read({"id": 727}, "order.deleted")
    assert found is not None
    (order,) = found.orders
    assert (order.number, order.state) == ("727", State.CANCELLED)
    waiting = read_order(status="pending", date_paid_gmt=None)
    for first, second in ((waiting, order), (order, waiting)):
        assert History().add(first).add(second).state is State.CANCELLED
    assert History().add(waiting).add(order).at == waiting.at


def test_a_paid_order_that_was_deleted_stays_paid() -> None:
    found = read({"id": 727}, "order.deleted")
    assert found is not None
    (order,) = fill_times(found, 2_000_000_000_000).orders
    assert History().add(read_order()).add(order).state is State.PAID


def test_a_topic_proves_nothing_because_nobody_signs_it() -> None:
    """A caught delivery of an order can't be sent again as its deletion."""
    assert read(h.WOO_ORDER, "order.deleted") is None
    assert read({"id": 727}, "product.deleted") is None
    for topic in ("coupon.updated", "customer.created", "", "action.wc_x"):
        assert read(h.WOO_ORDER, topic) is None
    product = read(PRODUCT, "order.updated")
    assert product is not None
    assert product.orders == ()


PRODUCT = {
    "id": 794,
    "name": "Premium Quality",
    "permalink": "https://shop.example/product/premium-quality/",
    "status": "publish",
    "price": "21.99",
    "regular_price": "24.99",
    "stock_status": "instock",
    "images": [{"id": 792, "src": "https://shop.example/T_2_front.jpg"}],
}


def test_a_product_is_told_with_price_and_stock() -> None:
    found = read(PRODUCT, "product.updated")
    assert found is not None
    assert found.products == (
        ToldProduct(
            "794",
            Money(2199, 2, None),
            True,
            {
                "name": "Premium Quality",
                "url": "https://shop.example/product/premium-quality/",
                "image": "https://shop.example/T_2_front.jpg",
            },
        ),
    )


@pytest.mark.parametrize(
    ("changed", "available"),
    [
        ({"stock_status": "outofstock"}, False),
        ({"stock_status": "onbackorder"}, True),
        ({"status": "draft"}, False),
        ({"status": "private"}, False),
    ],
)
def test_a_product_is_there_where_it_can_be_bought(
    changed: dict[str, str], available: bool
) -> None:
    found = read({**PRODUCT, **changed}, "product.updated")
    assert found is not None
    assert found.products[0].available is available


def test_the_same_body_again_is_the_same_delivery() -> None:
    first, again = read(h.WOO_ORDER), read(h.WOO_ORDER)
    other = read({**h.WOO_ORDER, "status": "completed"})
    assert first and again and other
    assert first.delivery == again.delivery != other.delivery


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id": null}', b'{"id": Infinity}', b"{}"]
)
def test_what_is_no_delivery_is_said_without_repeating_it(body: bytes) -> None:
    with pytest.raises(InputError):
        read(body)


def test_a_ping_is_unsigned_and_nothing_else() -> None:
    assert woocommerce.is_ping(b"webhook_id=12", {})
    for raw in (b"webhook_id=", b"webhook_id=1\n", b"webhook_id=1&a=b", b"", b"x"):
        assert not woocommerce.is_ping(raw, {})
    assert not woocommerce.is_ping(b"webhook_id=12", {"x-wc-webhook-signature": "x"})

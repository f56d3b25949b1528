"""Stripe's deliveries; its own library signs and verifies them, too."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
import stripe as judge

from pushctl.errors import InputError
from pushctl.rules.money import Money
from pushctl.rules.shops import payload, sources, stripe, told
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.signatures import Refused
from pushctl.rules.shops.stripe import Options
from pushctl.rules.shops.told import Clues, Told, ToldCart, ToldOrder
from pushctl.rules.units import SECOND
from tests.support import hooks as h

HASH = "ab" * 32
AT = 1_777_363_200  # seconds
SECRET = "whsec_test_secret"

SESSION: dict[str, Any] = {
    "id": "cs_live_a1",
    "object": "checkout.session",
    "after_expiration": None,
    "amount_subtotal": 2198,
    "amount_total": 1998,
    "client_reference_id": h.KEY,
    "currency": "eur",
    "customer": "cus_Qx7",
    "customer_details": {
        "email": "Canary.Buyer@mail.example",
        "name": "Canaria Vogelsang",
        "phone": "+1 555 010 canary",
        "address": {"line1": "969 Canary Street"},
    },
    "discounts": [{"coupon": "SPRING20", "promotion_code": "promo_1N2"}],
    "livemode": True,
    "metadata": {"note": "canary-note", "customer_number": "7"},
    "mode": "payment",
    "payment_intent": "pi_3Pk",
    "payment_status": "paid",
    "status": "complete",
    "url": "https://checkout.stripe.com/c/pay/canary",
}

CHARGE: dict[str, Any] = {
    "id": "ch_3Pk",
    "object": "charge",
    "amount": 1998,
    "amount_refunded": 500,
    "billing_details": {"email": "Canary.Buyer@mail.example", "name": "Canaria Vogelsang"},
    "created": AT - 86_400,
    "currency": "eur",
    "livemode": True,
    "metadata": {},
    "payment_intent": "pi_3Pk",
    "refunded": False,
}


def make(kind: str = "checkout.session.completed", **changed: Any) -> dict[str, Any]:
    thing = CHARGE if kind.startswith("charge.") else SESSION
    return {
        "id": "evt_1Pk",
        "object": "event",
        "api_version": "2026-03-25",
        "created": AT,
        "livemode": True,
        "type": kind,
        "data": {"object": {**thing, **changed}},
    }


def hash_email(address: str) -> str:
    assert address == "Canary.Buyer@mail.example"
    return HASH


def read(event: Any, **options: Any) -> Told | None:
    found = stripe.read(h.dump(event), {}, Options(**options), hash_email)
    if found is not None:
        assert told.decode(told.encode(found)) == found
        assert not [canary for canary in h.CANARIES if canary in told.encode(found).lower()]
    return found


def read_order(kind: str = "checkout.session.completed", **changed: Any) -> ToldOrder:
    found = read(make(kind, **changed))
    assert found is not None
    (order,) = found.orders
    return order


# --- who is believed -----------------------------------------------------------------------


def verify(raw: bytes, header: str | None, *secrets: str, now: int = AT) -> None:
    given = [one.encode() for one in secrets or (SECRET,)]
    heads = {} if header is None else {"stripe-signature": header}
    stripe.verify(raw, heads, given, now * SECOND, Options())


def sign(raw: bytes, secret: str = SECRET, at: int = AT) -> str:
    return str(judge.WebhookSignature.generate_signature_header(raw.decode(), secret, at))


def test_what_stripe_s_library_signs_is_believed() -> None:
    raw = h.dump(make())
    verify(raw, sign(raw))
    verify(raw, sign(raw, "the former one"), SECRET, "the former one")
    text = '{"name":"Ayşe أحمد 🧺"}'.encode()
    verify(text, sign(text))


def test_one_right_signature_of_several_is_enough() -> None:
    """While a secret is changed in Stripe's panel, both sign."""
    raw = h.dump(make())
    mine = sign(raw).partition("v1=")[2]
    verify(raw, f"t={AT},v1={'0' * 64},v1={mine},v0={'1' * 64}")


RAW = h.dump(make())
GOOD = sign(RAW)


@pytest.mark.parametrize(
    ("raw", "header"),
    [
        (RAW, None),
        (RAW, ""),
        (RAW, f"t={AT}"),
        (RAW, GOOD.replace("v1=", "v0=")),  # stripped to the scheme of tests
        (RAW, GOOD.partition(",")[2]),
        (RAW, f"t={AT},{GOOD}"),
        (RAW, GOOD.replace(f"t={AT}", f"t={AT + 1}")),
        (RAW, GOOD.replace(f"t={AT}", "t=soon")),
        (RAW, GOOD.replace(f"t={AT}", f"t={'9' * 40}")),
        (RAW, GOOD[:-1]),
        (RAW, GOOD + "é"),
        (RAW, f"t={AT}" + ",v1=x" * 50 + GOOD[GOOD.index(",") :]),
        (RAW, sign(RAW, "another secret")),
        (RAW + b"\n", GOOD),
        (h.dump(json.loads(RAW, object_pairs_hook=lambda it: dict(reversed(it)))), GOOD),
        (json.dumps(json.loads(RAW), indent=1).encode(), GOOD),
    ],
)
def test_all_others_are_refused_alike(raw: bytes, header: str | None) -> None:
    with pytest.raises(Refused, match="The signature is missing or wrong") as caught:
        verify(raw, header)
    assert caught.value.status == 401


@pytest.mark.parametrize(
    ("off", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_delivery_is_good_for_five_minutes(off: int, good: bool) -> None:
    if good:
        verify(RAW, GOOD, now=AT + off)
        return
    with pytest.raises(Refused) as caught:
        verify(RAW, GOOD, now=AT + off)
    assert caught.value.word == "clock"


def test_stripe_s_library_believes_the_same() -> None:
    now = int(time.time())
    cases: list[tuple[bytes, str, bool]] = [
        (RAW, sign(RAW, at=now), True),
        (RAW, sign(RAW, at=now - 290), True),
        (RAW, sign(RAW, at=now - 310), False),
        (RAW, sign(RAW, "another", now), False),
        (RAW + b" ", sign(RAW, at=now), False),
        (RAW, f"t={now},v1={'0' * 64},{sign(RAW, at=now).partition(',')[2]}", True),
    ]
    for raw, header, expected in cases:
        assert _judge(raw, header) is expected
        try:
            verify(raw, header, now=now)
            assert expected
        except Refused:
            assert not expected


def _judge(raw: bytes, header: str) -> bool:
    try:
        event = judge.Webhook.construct_event(raw, header, SECRET)
    except judge.SignatureVerificationError:
        return False
    assert event.type == "checkout.session.completed"
    assert event.data.object["payment_intent"] == "pi_3Pk"
    return True


# --- orders --------------------------------------------------------------------------------


def test_a_paid_session_is_an_order() -> None:
    found = read(make())
    assert found is not None
    assert (found.source, found.delivery) == ("stripe", "evt_1Pk")
    assert found.orders == (
        ToldOrder(
            number="pi_3Pk",
            state=State.PAID,
            total=Money(1998, 2, "EUR"),
            refunded=None,
            lines=(),
            at=AT * SECOND,
            clues=Clues(cart_key=h.KEY, email_hash=HASH),
            codes=("SPRING20",),
        ),
    )


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("completed", "paid", State.PAID),
        ("completed", "no_payment_required", State.PAID),
        ("completed", "unpaid", State.PENDING),
        ("async_payment_succeeded", "paid", State.PAID),
        ("async_payment_failed", "unpaid", State.CANCELLED),
    ],
)
def test_only_what_was_paid_is_paid(kind: str, status: str, state: State) -> None:
    assert read_order(f"checkout.session.{kind}", payment_status=status).state is state


def test_what_sells_nothing_is_nothing() -> None:
    assert read(make(mode="setup")) is None
    for kind in ("payment_intent.succeeded", "customer.created", "", "checkout.session"):
        assert read(make(kind)) is None


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (1998, "eur", Money(1998, 2, "EUR")),
        (5400, "jpy", Money(5400, 0, "JPY")),
        (12750, "kwd", Money(12750, 3, "KWD")),
        # Stripe's whole units, ISO 4217's hundredths.
        (500, "mga", Money(50000, 2, "MGA")),
        # Stripe's hundredths, ISO 4217's whole units.
        (500, "ugx", Money(5, 0, "UGX")),
        (500, "isk", Money(5, 0, "ISK")),
        (500, "huf", Money(500, 2, "HUF")),
        (500, "twd", Money(500, 2, "TWD")),
        (0, "eur", Money(0, 2, "EUR")),
        (-5, "eur", None),
        (19.98, "eur", None),
        ("1998", "eur", None),
        (None, "eur", None),
        (1998, "xxx", None),
        (10**40, "eur", None),
    ],
)
def test_amounts_are_in_stripe_s_units(amount: Any, currency: str, expected: Any) -> None:
    assert read_order(amount_total=amount, currency=currency).total == expected


def test_a_test_order_is_marked() -> None:
    assert read_order(livemode=False).test is True


def test_a_free_order_has_no_payment_to_be_named_by() -> None:
    free = read_order(payment_intent=None, payment_status="no_payment_required")
    assert free.number == "cs_live_a1"


def test_the_basket_s_key_may_stand_in_two_places() -> None:
    other = "d" * 22
    assert read_order(metadata={"pushctl": other}).clues.cart_key == other
    assert read_order(client_reference_id="order-17").clues.cart_key is None


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("customer", "cus_Qx7"),
        ("client_reference_id", h.KEY),
        ("metadata.customer_number", "7"),
        ("metadata.other", None),
        (None, None),
    ],
)
def test_an_alias_stands_where_the_settings_say(alias: str | None, expected: Any) -> None:
    found = read(make(), alias=alias, email=False)
    assert found is not None
    assert found.orders[0].clues == Clues(cart_key=h.KEY, alias=expected)


def test_a_place_of_an_alias_is_checked() -> None:
    table = {"kind": "stripe", "site": "shop", "alias": "meta data"}
    _, faults = sources.parse_all({"a": table}, ["shop"])
    assert [fault.text for fault in faults] == ["is 'meta data'"]


@pytest.mark.parametrize(
    ("discounts", "codes"),
    [
        ([{"coupon": "A", "promotion_code": {"id": "promo_1", "code": "TYPED"}}], ("TYPED",)),
        ([{"coupon": {"id": "A"}, "promotion_code": None}], ("A",)),
        ([{"coupon": None, "promotion_code": "promo_1"}], ()),
        ([], ()),
        (None, ()),
        (7, ()),
    ],
)
def test_discounts_are_codes(discounts: Any, codes: tuple[str, ...]) -> None:
    assert read_order(discounts=discounts).codes == codes


def test_lines_are_there_where_an_event_has_them() -> None:
    line = {
        "description": "Brass lamp",
        "quantity": 2,
        "price": {"product": "prod_1", "unit_amount": 999},
    }
    order = read_order(line_items={"data": [line]})
    assert order.lines == (Line("prod_1", "Brass lamp", 2, Money(999, 2, "EUR")),)


# --- refunds, baskets ----------------------------------------------------------------------


def test_a_refund_has_the_number_of_its_order() -> None:
    part = read_order("charge.refunded")
    assert part.number == read_order().number
    assert (part.state, part.total) == (State.PAID, Money(1998, 2, "EUR"))
    assert part.refunded == Money(500, 2, "EUR")
    assert part.at == (AT - 86_400) * SECOND
    whole = read_order("charge.refunded", refunded=True, amount_refunded=1998)
    assert (whole.state, whole.refunded) == (State.REFUNDED, Money(1998, 2, "EUR"))
    assert whole.at == AT * SECOND


def test_a_refund_of_what_was_no_session_is_nothing() -> None:
    assert read(make("charge.refunded", payment_intent=None)) is None


URL = "https://buy.stripe.com/r/live_x"
RECOVERY = {"recovery": {"enabled": True, "url": URL, "expires_at": AT + 2_592_000}}


def test_an_expired_session_is_a_basket_that_can_be_picked_up() -> None:
    found = read(make("checkout.session.expired", after_expiration=RECOVERY))
    assert found is not None
    name = payload.name_delivery("expired", "cs_live_a1")
    properties = {"url": URL, "total": 19.98, "currency": "EUR"}
    clues = Clues(cart_key=h.KEY, email_hash=HASH)
    assert found.carts == (ToldCart(name, "cart_updated", properties, AT * SECOND, clues),)
    assert found.orders == ()


@pytest.mark.parametrize(
    "after", [None, {}, {"recovery": None}, {"recovery": {"url": "http://x"}}]
)
def test_without_a_way_back_there_is_nothing_to_say(after: Any) -> None:
    assert read(make("checkout.session.expired", after_expiration=after)) is None


# --- odd bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None},
        {"created": None},
        {"created": "soon"},
        {"data": None},
        {"data": {"object": 7}},
    ],
)
def test_what_is_no_event_is_said(changed: Mapping[str, Any]) -> None:
    with pytest.raises(InputError):
        read({**make(), **changed})


def test_odd_values_cost_an_order_no_more_than_themselves() -> None:
    names = ("metadata", "client_reference_id", "customer", "customer_details", "line_items")
    order = read_order(**dict.fromkeys(names, 7), discounts=[7], currency=7)
    assert order == ToldOrder("pi_3Pk", State.PAID, None, None, (), AT * SECOND, Clues())

"""2Checkout's notifications: the order that one is about, and nothing else of the buyer."""

import datetime
import json
from typing import Any

import pytest

from pushctl.errors import InputError
from pushctl.rules import limits
from pushctl.rules.money import Money
from pushctl.rules.shops import told, twocheckout
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.told import Clues, Told, ToldOrder
from pushctl.rules.shops.twocheckout import Options
from tests.support import twocheckout as vendor

CART_KEY = "Qk3xV0aZ9_-bcdEFGH1234"
HOUR = 3_600_000
NOON = 1_777_377_600_000  # 2026-04-28 12:00:00 UTC


def hash_email(address: str) -> str:
    return "e" * 64 if address == vendor.CANARY["CUSTOMEREMAIL"] else "f" * 64


def read_all(
    changes: dict[str, Any] | None = None, options: Options | None = None
) -> Told | None:
    body = vendor.encode(vendor.build(changes))
    return twocheckout.read(body, {}, options or Options(), hash_email)


def read(changes: dict[str, Any] | None = None, options: Options | None = None) -> ToldOrder:
    """Return the order of an IPN with *changes*, as the import will have it."""
    found = read_all(changes, options)
    assert found is not None
    (order,) = told.decode(told.encode(found)).orders
    return order


def test_an_order_is_read_whole() -> None:
    assert read({"IPN_PROMOCODE[]": ["SPRING15", ""], "REFNOEXT": CART_KEY}) == ToldOrder(
        number="211000001",
        state=State.PAID,
        total=Money(7400, 2, "EUR"),
        refunded=None,
        lines=(
            Line("LAMP", "Ayşe's “Lamp” & Co", 1.0, Money(4900, 2, "EUR")),
            Line("40898001", "مصباح", 2.0, Money(1250, 2, "EUR")),
        ),
        at=NOON - 3 * HOUR,
        clues=Clues(cart_key=CART_KEY, email_hash="e" * 64),
        codes=("SPRING15",),
    )


def test_nothing_else_of_the_buyer_is_in_it() -> None:
    found = read_all({"EXTERNAL_CUSTOMER_REFERENCE": "customer-7"})
    assert found is not None
    text = told.encode(found) + json.dumps(json.loads(told.encode(found)), ensure_ascii=False)
    for value in vendor.CANARY.values():
        assert value.lower() not in text.lower()
    assert "68.11" not in text
    assert "customer-7" in text


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PENDING", State.PENDING),
        ("PURCHASE_PENDING", State.PENDING),
        ("PENDING_APPROVAL", State.PENDING),
        ("PAYMENT_AUTHORIZED", State.PAID),
        ("PAYMENT_RECEIVED", State.PAID),
        ("PENDING_ORDER_APPROVAL", State.PAID),
        ("AUTHRECEIVED", State.PAID),
        ("COMPLETE", State.PAID),
        ("complete", State.PAID),
        ("REFUND", State.REFUNDED),
        ("CANCELED", State.CANCELLED),
        ("REVERSED", State.CANCELLED),
    ],
)
def test_each_state_has_its_meaning(status: str, state: State) -> None:
    assert read({"ORDERSTATUS": status}).state is state


@pytest.mark.parametrize("name", ["ORDERSTATUS", "REFNO"])
def test_a_field_that_is_not_ticked_is_named(name: str) -> None:
    pairs = [one for one in vendor.build() if one[0] != name]
    with pytest.raises(InputError, match=f"it has no {name}: tick that field"):
        twocheckout.read(vendor.encode(pairs), {}, Options(), hash_email)


@pytest.mark.parametrize("status", ["TEST", "PROCESSING", "SHIPPED", "PAID"])
def test_an_unknown_state_says_nothing(status: str) -> None:
    assert read_all({"ORDERSTATUS": status}) is None


@pytest.mark.parametrize("status", ["PENDING", "PAYMENT_AUTHORIZED", "COMPLETE"])
def test_a_fraud_is_no_purchase(status: str) -> None:
    assert read({"ORDERSTATUS": status, "FRAUD_STATUS": "DENIED"}).state is State.CANCELLED
    assert read({"ORDERSTATUS": "REFUND", "FRAUD_STATUS": "DENIED"}).state is State.REFUNDED
    waiting = read({"ORDERSTATUS": status, "FRAUD_STATUS": "PENDING"})
    assert waiting.state is (State.PENDING if status == "PENDING" else State.PAID)


def test_a_refund_of_all() -> None:
    assert read({"ORDERSTATUS": "REFUND"}).total == Money(7400, 2, "EUR")
    # Without a type it is the amounts that say whether it was all.
    for kind, refund in (("", Money(7400, 2, "EUR")), ("TOTAL", None)):
        found = read(
            {"ORDERSTATUS": "REFUND", "REFUND_TYPE": kind, "IPN_TOTALGENERAL": "-74.00"}
        )
        assert (found.state, found.total, found.refund) == (State.REFUNDED, None, refund)
        assert found.lines == ()


@pytest.mark.parametrize(
    ("total", "refund"),
    [("-12.50", Money(1250, 2, "EUR")), ("74.00", None), ("", None)],
)
def test_a_refund_of_a_part_is_that_part(total: str, refund: Money | None) -> None:
    found = read({"ORDERSTATUS": "REFUND", "REFUND_TYPE": "PARTIAL", "IPN_TOTALGENERAL": total})
    assert (found.state, found.total, found.refund) == (State.PAID, None, refund)


def test_an_amount_below_0_is_a_refund_whatever_the_state_says() -> None:
    found = read({"ORDERSTATUS": "COMPLETE", "IPN_TOTALGENERAL": "-12.50"})
    assert (found.state, found.total) == (State.REFUNDED, None)
    assert found.refund == Money(1250, 2, "EUR")


@pytest.mark.parametrize(
    ("text", "currency", "total"),
    [
        ("74.00", "EUR", Money(7400, 2, "EUR")),
        ("0.00", "EUR", Money(0, 2, "EUR")),
        ("1200", "JPY", Money(1200, 0, "JPY")),
        ("1200.00", "JPY", Money(1200, 0, "JPY")),
        ("1.250", "KWD", Money(1250, 3, "KWD")),  # never 1,250: the point is the separator
        ("1249.99", "TRY", Money(124999, 2, "TRY")),
        ("74.00", "", Money(74, 0, None)),
        ("74.00", "points", Money(74, 0, None)),
        ("", "EUR", None),
        ("1,249.00", "EUR", None),
        ("74.00 EUR", "EUR", None),
        ("nan", "EUR", None),
        ("1e3", "EUR", None),
        ("٧٤", "EUR", None),
    ],
)
def test_the_total_is_exact_or_unknown(text: str, currency: str, total: Money | None) -> None:
    assert read({"IPN_TOTALGENERAL": text, "CURRENCY": currency}).total == total


def test_the_payout_is_never_the_total() -> None:
    pairs = [one for one in vendor.build() if one[0] != "IPN_TOTALGENERAL"]
    found = twocheckout.read(vendor.encode(pairs), {}, Options(), hash_email)
    assert found is not None
    assert found.orders[0].total is None


@pytest.mark.parametrize(
    ("offset", "hours"),
    [
        ("GMT+03:00", 3), ("GMT-05:00", -5), ("GMT+00:00", 0), ("+02:00", 2),
        ("UTC-03:30", -3.5), ("GMT+0530", 5.5), ("GMT", 0), ("UTC", 0),
    ],
)  # fmt: skip
def test_times_are_in_the_zone_that_the_notification_names(offset: str, hours: float) -> None:
    assert read({"TIMEZONE_OFFSET": offset}).at == NOON - hours * HOUR


@pytest.mark.parametrize("offset", ["", "Europe/Berlin", "GMT+99:00", "GMT+3", "+3:00 h"])
def test_without_a_zone_the_time_is_unknown(offset: str) -> None:
    assert read({"TIMEZONE_OFFSET": offset}).at == 0
    berlin = Options(timezone="Europe/Berlin")
    assert read({"TIMEZONE_OFFSET": offset}, berlin).at == NOON - 2 * HOUR


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({}, "12:00:00"),
        ({"PAYMENTDATE": "0000-00-00 00:00:00"}, "11:58:00"),
        ({"PAYMENTDATE": "", "COMPLETE_DATE": "2026-04-28 12:30:00"}, "12:30:00"),
        ({"ORDERSTATUS": "PENDING"}, "11:58:00"),
        ({"ORDERSTATUS": "PENDING", "SALEDATE": "soon"}, "12:00:03"),
        ({"ORDERSTATUS": "REFUND"}, "12:00:03"),
        ({"ORDERSTATUS": "CANCELED"}, "12:00:03"),
    ],
)
def test_each_state_has_its_own_time(changes: dict[str, Any], at: str) -> None:
    expected = datetime.datetime.fromisoformat(f"2026-04-28T{at}+03:00").timestamp() * 1000
    assert read(changes).at == expected


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"REFNOEXT": CART_KEY}, CART_KEY),
        ({"REFNOEXT": "order 17"}, None),  # a number of the shop's own
        ({"REFNOEXT": "jo@buyers.example"}, None),
        ({"REFNOEXT": "", "ORIGINAL_REFNOEXT[]": [CART_KEY]}, CART_KEY),  # a renewal
        ({"REFNOEXT": CART_KEY[:-1]}, None),
        ({"REFNOEXT": CART_KEY + "\n"}, CART_KEY),
    ],
)
def test_the_cart_key_comes_back(given: dict[str, Any], key: str | None) -> None:
    assert read(given).clues.cart_key == key


@pytest.mark.parametrize(
    ("reference", "address", "clues"),
    [
        ("customer-7", "", Clues(alias="customer-7")),
        ("0", "", Clues()),  # a guest, as a form has it
        ("customer-7", "Zeynep.Canary@buyers.example", Clues(None, "customer-7", "e" * 64)),
        ("", "", Clues()),
        ("null", "no address", Clues()),
        # An address as the reference is hashed like one, and kept nowhere.
        ("Zeynep.Canary@buyers.example", "", Clues(email_hash="e" * 64)),
        ("jo@buyers.example", "Zeynep.Canary@buyers.example", Clues(email_hash="e" * 64)),
        ("x" * 300, "", Clues()),
    ],
)
def test_whose_it_is(reference: str, address: str, clues: Clues) -> None:
    found = read({"EXTERNAL_CUSTOMER_REFERENCE": reference, "CUSTOMEREMAIL": address})
    assert found.clues == clues


def test_without_a_secret_for_hashes_there_is_none() -> None:
    body = vendor.encode(vendor.build())
    found = twocheckout.read(body, {}, Options(), lambda address: None)
    assert found is not None
    assert found.orders[0].clues == Clues()
    assert read({}, Options(email=False)).clues == Clues()


@pytest.mark.parametrize(("value", "test"), [("1", True), ("0", False), ("", False)])
def test_a_test_order_is_marked(value: str, test: bool) -> None:
    assert read({"TEST_ORDER": value}).test is test


def test_codes_come_once_each() -> None:
    given = ["A", "", "B", "A", "x" * 300, " C "]
    assert read({"IPN_PROMOCODE[]": given}).codes == ("A", "B", "C")
    many = [f"CODE{number}" for number in range(50)]
    assert len(read({"IPN_PROMOCODE[]": many}).codes) == limits.MAX_ORDER_CODES


def test_hostile_texts_of_products_are_harmless() -> None:
    found = read({"IPN_PNAME[]": ["\x1b[31mred\x00", "x" * 900], "IPN_QTY[]": ["-1", "many"]})
    assert found.lines[0].name == "\ufffd[31mred\ufffd"
    assert found.lines[1].name == "x" * limits.MAX_CART_TEXT_CHARACTERS
    assert [line.quantity for line in found.lines] == [None, None]


def test_a_body_in_another_encoding_loses_letters_and_nothing_else() -> None:
    body = vendor.encode(vendor.build()).replace(b"Ay%C5%9Fe", b"Ay%FEe")
    found = twocheckout.read(body, {}, Options(), hash_email)
    assert found is not None
    assert found.orders[0].lines[0].name == "Ay\ufffde's “Lamp” & Co"


@pytest.mark.parametrize("number", ["", "x" * 101, "7\x1b"])
def test_without_a_number_it_is_no_order(number: str) -> None:
    if number.endswith("\x1b"):
        assert read({"REFNO": number}).number == "7\ufffd"
        return
    with pytest.raises(InputError):
        read({"REFNO": number})


def test_a_delivery_is_named_by_its_message() -> None:
    names = [
        found.delivery
        for changes in (
            {}, {"CITY": "x"}, {"MESSAGE_ID": "2"}, {"ORDERSTATUS": "PENDING"}, {"REFNO": "2"},
            {"MESSAGE_ID": ""},
        )
        if (found := read_all(changes))
    ]  # fmt: skip
    assert names[0] == names[1] == "211000001 COMPLETE 254510700124"
    assert len(set(names)) == len(names) - 1


# --- INS -----------------------------------------------------------------------------------

INS = {
    "message_type": "ORDER_CREATED",
    "message_id": "12",
    "timestamp": "2026-04-28 15:00:00 GMT+03:00",
    "md5_hash": "0" * 32,
    "sale_id": "9093717691821",
    "order_ref": "211000001",
    "vendor_order_id": CART_KEY,
    "invoice_status": "approved",
    "invoice_list_amount": "74.00",
    "list_currency": "EUR",
    "fraud_status": "wait",
    "customer_email": vendor.CANARY["CUSTOMEREMAIL"],
    "customer_name": "Zeynep-Canary Kanarya",
    "item_count": "2",
    "item_name_1": "Lamp",
    "item_id_1": "LAMP",
    "item_name_2": "Cup",
}


def read_ins(**changes: str) -> Told | None:
    body = vendor.encode(list({**INS, **changes}.items()))
    found = twocheckout.read(body, {}, Options(md5=True), hash_email)
    return found and told.decode(told.encode(found))


def test_the_order_of_an_ins_is_that_of_the_ipn() -> None:
    found = read_ins()
    assert found is not None
    assert found.orders == (
        ToldOrder(
            "211000001", State.PAID, Money(7400, 2, "EUR"), None,
            (Line("LAMP", "Lamp", None, None), Line(None, "Cup", None, None)), NOON,
            Clues(cart_key=CART_KEY, email_hash="e" * 64),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"invoice_status": "pending"}, State.PENDING),
        ({"invoice_status": "deposited"}, State.PAID),
        ({"invoice_status": "declined"}, State.CANCELLED),
        ({"message_type": "FRAUD_STATUS_CHANGED", "fraud_status": "pass"}, State.PAID),
        ({"message_type": "FRAUD_STATUS_CHANGED", "fraud_status": "fail"}, State.CANCELLED),
        ({"message_type": "INVOICE_STATUS_CHANGED", "invoice_status": "deposited"}, State.PAID),
        ({"invoice_status": ""}, None),
        ({"message_type": "SHIP_STATUS_CHANGED"}, None),
        ({"message_type": "RECURRING_STOPPED"}, None),
    ],
)
def test_states_of_ins(changes: dict[str, str], state: State | None) -> None:
    found = read_ins(**changes)
    assert (found.orders[0].state if found else None) == state


def test_a_refund_of_ins_is_what_it_names() -> None:
    amounts = {"item_list_amount_1": "5.00", "item_type_1": "refund", "item_type_2": "bill"}
    found = read_ins(message_type="REFUND_ISSUED", **amounts, item_list_amount_2="9.00")
    assert found is not None
    assert found.orders[0].refund == Money(500, 2, "EUR")
    assert found.orders[0].total is None
    unknown = read_ins(message_type="REFUND_ISSUED", item_type_1="refund")
    assert unknown is not None
    assert unknown.orders[0].refund is None

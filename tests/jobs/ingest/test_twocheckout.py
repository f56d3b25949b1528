"""
2Checkout end to end: from a notification to a real receiver to the order and its buyer.
"""

import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from pushctl import config as configs
from pushctl import source_secrets
from pushctl.jobs.subscribers.restore_links import RestoreLinks
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from pushctl.store.subscriptions import Registration
from tests.support import auth, endpoint, p256dh, project
from tests.support import receiving as r
from tests.support import twocheckout as vendor
from tests.support.twocheckout import KEY, MD5, SHA2, SHA3
from tests.support.twocheckout_shop import SOURCES, TOML, Shop, build

MORE = """
md5 = true

[sites.shop.twocheckout]
merchant = "2COLNC"
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = project.make(tmp_path_factory.mktemp("shop") / "project")
    project.add(folder, TOML + MORE)
    source_secrets.set_secret(folder / "keys", "checkout2", KEY.decode(), 0, 0)
    source_secrets.set_word(folder / "keys", "checkout2", "buy-link", "tango")
    with r.running(
        folder, sources={"checkout2": {**SOURCES["checkout2"], "md5": True}}
    ) as port:
        yield Shop(folder, port)


def test_only_the_first_genuine_delivery_makes_an_order(shop: Shop) -> None:
    pairs = build("31")
    forged = vendor.encode(vendor.sign(build("31", IPN_TOTALGENERAL="0.01"), key=b"forged"))
    assert shop.send(forged).status == 401
    assert shop.orders("31") == []
    for fields in ((SHA2, SHA3), (SHA2,), (SHA3,), (MD5, SHA2)):
        shop.take(pairs, *fields)
    (order,) = shop.orders("31")
    assert (order["amount"], order["currency"], order["state"]) == ("74.00", "EUR", "paid")
    assert (order["source"], order["subscriber"]) == ("checkout2", None)
    shop.take(pairs)
    assert shop.orders("31") == [order]


def test_states_may_come_late_and_out_of_order(shop: Shop) -> None:
    steps = ["COMPLETE", "PENDING", "PAYMENT_AUTHORIZED", "PAYMENT_RECEIVED"]
    for number, status in enumerate(steps):
        shop.take(build("32", ORDERSTATUS=status, MESSAGE_ID=f"32-{number}"))
    (order,) = shop.orders("32")
    assert (order["state"], order["amount"]) == ("paid", "74.00")
    refund = {"ORDERSTATUS": "REFUND", "REFUND_TYPE": "TOTAL", "IPN_TOTALGENERAL": "-74.00"}
    shop.take(build("32", MESSAGE_ID="32-9", **refund))
    shop.take(build("32", ORDERSTATUS="COMPLETE", MESSAGE_ID="32-10"))
    (order,) = shop.orders("32")
    assert (order["state"], order["refunded"]) == ("refunded", "74.00")


def test_refunds_of_parts_add_up_once_each(shop: Shop) -> None:
    def refund(message: str, amount: str, kind: str = "PARTIAL") -> None:
        changes = {"ORDERSTATUS": "REFUND", "REFUND_TYPE": kind, "IPN_TOTALGENERAL": amount}
        shop.take(build("33", MESSAGE_ID=message, **changes))

    refund("33-b", "-12.50")  # before the order itself
    refund("33-b", "-12.50")
    shop.take(build("33"))
    (order,) = shop.orders("33")
    assert (order["state"], order["amount"], order["refunded"]) == ("paid", "74.00", "12.50")
    refund("33-c", "-12.50")  # another one of the same amount
    refund("33-b", "-12.50")
    (order,) = shop.orders("33")
    assert (order["state"], order["refunded"]) == ("paid", "25.00")
    refund("33-d", "-60.00", kind="")  # more than there is, and of no type
    (order,) = shop.orders("33")
    assert (order["state"], order["refunded"]) == ("refunded", "74.00")


def test_what_is_not_paid_and_what_is_a_test(shop: Shop) -> None:
    told = {
        "34": ("CANCELED", "", "cancelled"),
        "35": ("REVERSED", "", "cancelled"),
        "36": ("PAYMENT_AUTHORIZED", "DENIED", "cancelled"),
        "37": ("PENDING", "PENDING", "pending"),
        "38": ("COMPLETE", "APPROVED", "paid"),
    }
    for number, (status, fraud, _) in told.items():
        test = "1" if number == "38" else "0"
        shop.take(build(number, ORDERSTATUS=status, FRAUD_STATUS=fraud, TEST_ORDER=test))
    orders = {one["number"]: one for one in shop.orders()}
    assert {number: orders[number]["state"] for number in told} == {
        number: state for number, (_, _, state) in told.items()
    }
    assert [orders[number]["test"] for number in ("37", "38")] == [False, True]


def test_ins_and_ipn_tell_of_one_order(shop: Shop) -> None:
    body = vendor.encode(vendor.ins("39", KEY))
    assert shop.send(body).status == 200
    shop.take(build("39"))
    (order,) = shop.orders("39")
    assert (order["amount"], order["state"]) == ("74.00", "paid")


def subscribe(store: Store, number: int, alias: str | None = None) -> int:
    site = store.sites.sync({"shop": "https://shop.example"})["shop"]
    now = time.time_ns() // 1_000_000
    address = endpoint(number)
    made = Registration(
        site, address, endpoint_hash(address), p256dh(number), auth(number), "key"
    )
    row = store.subscriptions.add(made, {"language": "en"}, now)
    if alias:
        with store.write() as connection:
            connection.execute(
                "UPDATE subscriptions SET alias = ?, alias_trusted = 1 WHERE id = ?",
                (alias, row),
            )
    return row


def test_who_comes_back_by_a_reminder_is_recognised(shop: Shop) -> None:
    key, alias = "Qk3xV0aZ9_-bcdEFGH1234", "customer-63"
    cart = {"items": [{"id": "LAMP", "quantity": 1}], "count": 1}
    now = time.time_ns() // 1_000_000
    with Store(shop.folder / "pushctl.db") as store:
        rows = [subscribe(store, number) for number in (61, 62)] + [subscribe(store, 63, alias)]
        people = store.subscriptions.get_many(rows, now)
        site = store.sites.sync({"shop": "https://shop.example"})["shop"]
        store.matches.learn_cart_key(site, key, rows[0], now)
        links = RestoreLinks(store, configs.load(shop.folder / "pushctl.toml", {}))
        made = [urlsplit(str(links.make_for(who, cart)(""))) for who in people]
    sent = [dict(parse_qsl(one.query)) for one in made]
    assert [one["order-ext-ref"] for one in sent] == [key, *[it.public_id for it in people[1:]]]

    # 2Checkout gives back what the link had.
    shop.take(build("61", REFNOEXT=sent[0]["order-ext-ref"]))
    shop.take(build("62", REFNOEXT=sent[1]["order-ext-ref"]))
    shop.take(build("63", EXTERNAL_CUSTOMER_REFERENCE=sent[2]["customer-ext-ref"]))

    orders = {one["number"]: one["subscriber"] for one in shop.orders()}
    assert [orders[number] for number in ("61", "62", "63")] == [it.public_id for it in people]

"""Any program's webhooks: signatures of two schemes, paths, and what they find."""

import hmac
import subprocess
import sys
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules.money import Money
from pushctl.rules.shops import mapped, sources, told
from pushctl.rules.shops.mapped import Options
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.signatures import Refused
from pushctl.rules.shops.told import Clues, Told, ToldOrder, ToldProduct
from pushctl.rules.units import SECOND
from tests.support import NOON, ROOT
from tests.support import hooks as h

HASH = "ab" * 32

ORDERS = [
    {
        "when": "type == 'order'",
        "number": "data.id",
        "state": "data.status",
        "states": {"settled": "paid", "open": "pending"},
        "total": "data.sum",
        "refunded": "data.back",
        "currency": "data.currency",
        "at": "data.when",
        "codes": "data.coupons[].code",
        "test": "data.sandbox",
        "cart_key": "data.extra.pushctl",
        "alias": "data.buyer.number",
        "email": "data.buyer.mail",
        "items": "data.lines",
        "item_id": "sku",
        "item_name": "title",
        "item_quantity": "count",
        "item_price": "price",
    }
]
BODY: dict[str, Any] = {
    "type": "order",
    "id": "evt-1",
    "data": {
        "id": 1007,
        "status": "settled",
        "sum": 74.5,
        "back": "0.50",
        "currency": "EUR",
        "when": "2026-04-28T10:00:00+02:00",
        "coupons": [{"code": "SPRING"}],
        "sandbox": False,
        "extra": {"pushctl": h.KEY, "note": "canary-note"},
        "buyer": {"number": 7, "mail": "Canary.Buyer@mail.example", "name": "Vogelsang"},
        "lines": [{"sku": "lamp", "title": "Brass lamp", "count": 2, "price": 37.25}],
    },
}


def make(**settings: Any) -> Options:
    table = {"kind": "mapped", "site": "shop", **settings}
    found, faults = sources.parse_all({"erp": table}, ["shop"])
    assert faults == []
    options: Options = found["erp"].options
    return options


def list_faults(**settings: Any) -> list[str]:
    table = {"kind": "mapped", "site": "shop", **settings}
    _, faults = sources.parse_all({"erp": table}, ["shop"])
    return [f"{'.'.join(one.path)}: {one.text}" for one in faults]


def read(body: Any, **settings: Any) -> Told | None:
    found = mapped.read(h.dump(body), {}, make(**settings), lambda _: HASH)
    if found is not None:
        assert told.decode(told.encode(found)) == found
        assert not [canary for canary in h.CANARIES if canary in told.encode(found).lower()]
    return found


def read_order(mapping: dict[str, Any] | None = None, **changed: Any) -> ToldOrder:
    body = {**BODY, "data": {**BODY["data"], **changed}}
    found = read(body, orders=[{**ORDERS[0], **(mapping or {})}])
    assert found is not None
    (order,) = found.orders
    return order


# --- who is believed -----------------------------------------------------------------------

RAW = h.dump(BODY)
MAC = hmac.digest(h.SECRET.encode(), RAW, "sha256")


def is_believed(raw: bytes, heads: dict[str, str], now: Millis = NOON, **settings: Any) -> bool:
    try:
        mapped.verify(raw, h.lower(heads), [b"new", h.SECRET.encode()], now, make(**settings))
    except Refused as refused:
        assert (refused.status, refused.text) == (401, "The signature is missing or wrong.")
        return False
    return True


@pytest.mark.parametrize(
    ("settings", "heads"),
    [
        ({}, {"X-Signature": MAC.hex()}),
        ({}, {"X-Signature": MAC.hex().upper()}),
        ({"header": "X-Hub-Signature-256", "prefix": "sha256="},
         {"x-hub-signature-256": f"sha256={MAC.hex()}"}),
        ({"encoding": "base64", "header": "X-Erp"}, {"X-Erp": b64encode(MAC).decode()}),
    ],
)  # fmt: skip
def test_a_signature_is_where_and_how_the_settings_say(
    settings: dict[str, str], heads: dict[str, str]
) -> None:
    assert is_believed(RAW, heads, **settings)
    assert not is_believed(RAW + b" ", heads, **settings)
    assert not is_believed(RAW, {}, **settings)


@pytest.mark.parametrize(
    "given", ["", "sha256=" + MAC.hex(), MAC.hex()[:-1], "é", MAC.hex()[:32]]
)
def test_all_others_are_refused(given: str) -> None:
    assert not is_believed(RAW, {"X-Signature": given})


def test_a_prefix_is_part_of_the_form() -> None:
    assert not is_believed(RAW, {"X-Signature": MAC.hex()}, prefix="sha256=")


@pytest.mark.parametrize(
    ("off", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_signed_time_is_good_for_five_minutes(off: int, good: bool) -> None:
    seconds = str(NOON // SECOND)
    mac = hmac.digest(h.SECRET.encode(), seconds.encode() + b"." + RAW, "sha256").hex()
    heads = {"X-Signature": mac, "X-Time": seconds}
    now = NOON // SECOND * SECOND + off * SECOND
    assert is_believed(RAW, heads, now, timestamp_header="X-Time") is good
    for other in ("", str(NOON // SECOND + 1), "soon", f"+{seconds}", "9" * 30, "１"):
        assert not is_believed(RAW, {**heads, "X-Time": other}, timestamp_header="X-Time")


WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def is_standard(raw: bytes, heads: dict[str, str], now: int, *secrets: str) -> bool:
    given = [one.encode() for one in secrets or (WHSEC,)]
    options = make(signature="standard-webhooks")
    try:
        mapped.verify(raw, h.lower(heads), given, now * SECOND, options)
    except Refused:
        return False
    return True


def test_the_standard_s_own_library_signs_and_believes_the_same() -> None:
    """The library looks at this machine's clock."""
    judge, now = Webhook(WHSEC), int(time.time())

    def sign(at: int, raw: bytes = RAW) -> dict[str, str]:
        mac = judge.sign("msg_1", datetime.fromtimestamp(at, UTC), raw.decode())
        return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": mac}

    good = sign(now)
    cases = [
        (RAW, good, True),
        (RAW, {**good, "webhook-signature": f"v1,AAAA {good['webhook-signature']}"}, True),
        (RAW, {**good, "webhook-signature": f"v1a,AAAA {good['webhook-signature']}"}, True),
        (
            RAW,
            {**good, "webhook-signature": good["webhook-signature"].replace("v1", "v2")},
            False,
        ),
        (RAW, {**good, "webhook-id": "msg_2"}, False),
        (RAW, {**good, "webhook-timestamp": str(now + 1)}, False),
        (RAW, {**good, "webhook-timestamp": ""}, False),
        (RAW, sign(now - 290), True),
        (RAW, sign(now - 310), False),
        (RAW, sign(now + 310), False),
        (RAW + b" ", good, False),
        ('{"name":"Ayşe 🧺"}'.encode(), sign(now, '{"name":"Ayşe 🧺"}'.encode()), True),
    ]
    for raw, heads, expected in cases:
        assert is_standard(raw, heads, now) is expected, heads
        try:
            judge.verify(raw, heads)
            assert expected, heads
        except WebhookVerificationError:
            assert not expected, heads
    assert is_standard(RAW, good, now, "whsec_b3RoZXI=", WHSEC)
    assert not is_standard(RAW, good, now, "whsec_b3RoZXI=", "whsec_", "no base64")


# --- what is found -------------------------------------------------------------------------


def test_paths_find_an_order() -> None:
    assert read_order() == ToldOrder(
        number="1007",
        state=State.PAID,
        total=Money(7450, 2, "EUR"),
        refunded=Money(50, 2, "EUR"),
        lines=(Line("lamp", "Brass lamp", 2, Money(3725, 2, "EUR")),),
        at=1_777_363_200_000,
        clues=Clues(cart_key=h.KEY, alias="7", email_hash=HASH),
        codes=("SPRING",),
    )


@pytest.mark.parametrize(
    ("found", "at"),
    [
        (1_777_363_200, 1_777_363_200_000),
        (1_777_363_200_123, 1_777_363_200_123),
        (1_777_363_200.5, 1_777_363_200_500),
        ("2026-04-28T08:00:00Z", 1_777_363_200_000),
        ("2026-04-28T08:00:00", 1_777_363_200_000),
        ("today", 0),
        (True, 0),
        (-5, 0),
        (1e300, 0),
        (None, 0),
    ],
)
def test_a_time_is_read_as_programs_write_it(found: Any, at: Millis) -> None:
    assert read_order(when=found).at == at


@pytest.mark.parametrize(
    ("sum_", "currency", "minor", "expected"),
    [
        (0.1 + 0.2, "EUR", False, Money(30, 2, "EUR")),
        (19.99, "EUR", False, Money(1999, 2, "EUR")),
        ("12.750", "KWD", False, Money(12750, 3, "KWD")),
        (5400, "JPY", False, Money(5400, 0, "JPY")),
        (1999, "EUR", True, Money(1999, 2, "EUR")),
        ("1999", "eur", True, Money(1999, 2, "EUR")),
        (12750, "KWD", True, Money(12750, 3, "KWD")),
        (19.5, "EUR", True, None),
        (-1, "EUR", True, None),
        (10**30, "EUR", True, None),
        (1999, "?", True, None),
        ([19], "EUR", False, None),
    ],
)
def test_amounts_are_units_or_minor_units(
    sum_: Any, currency: str, minor: bool, expected: Any
) -> None:
    order = read_order({"minor": minor}, sum=sum_, currency=currency, back=None)
    assert order.total == expected


def test_a_literal_may_stand_for_a_path() -> None:
    assert read_order({"state": "'paid'", "currency": "'USD'"}).total == Money(7450, 2, "USD")


def test_a_word_that_is_no_state_is_said() -> None:
    with pytest.raises(InputError, match=r"orders.states doesn't name") as caught:
        read_order(status="canary")
    assert "canary" not in str(caught.value)
    with pytest.raises(InputError, match=r"orders.number finds nothing"):
        read_order(id=None)


def test_what_is_not_meant_is_nothing() -> None:
    assert read({**BODY, "type": "invoice"}, orders=ORDERS) is None
    assert read(BODY) is None


def test_a_delivery_may_have_many() -> None:
    mapping = {"each": "list", "number": "n", "state": "'paid'"}
    found = read({"list": [{"n": 1}, {"n": 2}]}, orders=[mapping])
    assert found is not None
    assert [order.number for order in found.orders] == ["1", "2"]
    assert read({"list": "none"}, orders=[mapping]) is None


def test_paths_find_a_basket() -> None:
    mapping = {
        "event": "checkout_started",
        "url": "link",
        "total": "sum",
        "currency": "cur",
        "items": "lines",
        "item_name": "t",
        "at": "at",
        "cart_key": "key",
    }
    body = {"link": "https://shop.example/b", "sum": 19.5, "cur": "EUR", "at": 1_777_363_200,
            "lines": [{"t": "Lamp"}] * 30, "key": h.KEY}  # fmt: skip
    found = read(body, carts=[mapping])
    assert found is not None
    (cart,) = found.carts
    assert (cart.event, cart.at, cart.clues) == (
        "checkout_started",
        1_777_363_200_000,
        Clues(h.KEY),
    )
    assert cart.properties == {
        "items": [{"name": "Lamp"}] * 20,
        "total": 19.5,
        "currency": "EUR",
        "url": "https://shop.example/b",
    }


def test_paths_find_a_product() -> None:
    mapping = {
        "id": "sku",
        "price": "p",
        "currency": "c",
        "available": "stock > `0`",
        "name": "n",
    }
    found = read(
        {"sku": "lamp", "p": "1.799", "c": "EUR", "stock": 3, "n": "Oil"}, products=[mapping]
    )
    assert found is not None
    assert found.products == (
        ToldProduct("lamp", Money(1799, 3, "EUR"), True, {"name": "Oil"}),
    )


def test_paths_find_an_event_of_any_name() -> None:
    mapping = {
        "name": "bonus_credited",
        "when": "kind == 'bonus'",
        "id": "id",
        "at": "at",
        "alias": "who",
        "properties": {"points": "p.points", "note": "missing"},
    }
    body = {"kind": "bonus", "id": 5, "at": 1_777_363_200, "who": 7, "p": {"points": 50}}
    found = read(body, events=[mapping])
    again = read({**body, "attempt": 2}, events=[mapping])
    assert found is not None
    assert again is not None
    (event,) = found.carts
    assert (event.event, event.properties) == ("bonus_credited", {"points": 50})
    assert (event.at, event.clues) == (1_777_363_200_000, Clues(alias="7"))
    assert event.id == again.carts[0].id
    options = make(events=[mapping])
    assert mapped.list_unfound(h.dump(body), options) == ["events.1.properties.note"]


def test_a_delivery_is_named_by_its_path_or_its_body() -> None:
    def name(body: Any, **settings: Any) -> str:
        found = read(body, orders=ORDERS, **settings)
        assert found is not None
        return found.delivery

    other = {**BODY, "attempt": 2}
    assert name(BODY) != name(other)
    assert name(BODY, delivery="id") == name(other, delivery="id")
    assert name(BODY) == name(BODY)


def test_a_function_that_fails_finds_nothing() -> None:
    assert read_order({"total": "length(data.sum)"}).total is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000, b'{"a": NaN}', b"\xff"])
def test_what_is_not_json_is_said(raw: bytes) -> None:
    with pytest.raises(InputError, match="not JSON"):
        mapped.read(raw, {}, make(orders=ORDERS), lambda _: HASH)


# --- mistakes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"orders": [{"number": "a.[", "state": "s"}]},
            "sources.erp.orders.1.number: is no path",
        ),
        ({"orders": [{"state": "s"}]}, "sources.erp.orders.1.number: is missing"),
        ({"orders": [{"number": "n", "state": "s", "totl": "x"}]}, "there is no such setting"),
        ({"orders": [{"number": "n", "state": "s", "states": {"a": "payd"}}]}, "'a' = 'payd'"),
        ({"carts": [{"event": "cart_emptied"}]}, "event: is 'cart_emptied'"),
        ({"events": [{"name": "Purchase"}]}, "pushctl makes itself"),
        ({"events": [{"name": "x", "properties": {"a": "b["}}]}, "properties.a: is no path"),
        ({"events": [{}]}, "sources.erp.events.1.name: is missing"),
        ({"signature": "md5"}, "signature: is 'md5'"),
        ({"encoding": "base32"}, "encoding: is 'base32'"),
        ({"header": "X Y"}, "header: is 'X Y'"),
        ({"delivery": ""}, "delivery: is a path of 0 characters"),
        ({"delivery": "a" * 2000}, "delivery: is a path of 2000 characters"),
        ({"delivery": "nofunction(a)"}, ""),
        ({"orders": [{"number": "n", "state": "s"}] * 21}, "has 21 tables"),
    ],
)
def test_a_wrong_mapping_has_its_place(settings: dict[str, Any], expected: str) -> None:
    assert expected in " | ".join(list_faults(**settings))


def test_paths_that_find_nothing_are_named() -> None:
    options = make(orders=[{**ORDERS[0], "total": "data.totl", "item_name": "name"}])
    assert mapped.list_unfound(RAW, options) == ["orders.1.item_name", "orders.1.total"]
    assert mapped.list_unfound(h.dump({"type": "x"}), options) == ["orders.1.when"]


def test_without_the_package_the_command_is_named() -> None:
    code = """
import sys
sys.modules["jmespath"] = None
from pushctl.rules.shops import sources
_, faults = sources.parse_all({"erp": {"kind": "mapped", "site": "shop"}}, ["shop"])
print(faults[0].text, "|", faults[0].remedy)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.strip() == (
        "needs the Python package jmespath, which is not installed | "
        "Run: pip install 'pushctl[mapped]'"
    ), done.stderr

"""
People of a shop, their baskets and orders, and all that is told of them, made of a seed.

Of each buyer it is known what is true: what was paid, what given back, whose order it is.
What pages, sources and servers tell of it comes late, twice and out of order; ``Telling`` is
one such request, due at a minute of the day.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pushctl.model import Millis
from tests.support import HOUR, MINUTE, SECOND, hooks, shopify, twocheckout

# 08:00 in Berlin, where all of them live: nobody is in their quiet hours till 21:00.
MORNING: Millis = 1_777_356_000_000
CURRENCIES = {"EUR": 2, "USD": 2, "TRY": 2, "JPY": 0, "KWD": 3}
SOURCES = {"2checkout": 30, "shopify": 25, "woocommerce": 15, "api": 20, "page": 10}
FATES = {
    "paid": 55, "paid after a while": 15, "never paid": 5, "cancelled": 5,
    "given back in parts": 10, "given back": 8, "test": 2,
}  # fmt: skip
CANARY = "canary"  # in all that is known of a buyer and may be in no file
BOUGHT = ("paid", "refunded")  # states that say so


class Device(NamedTuple):
    number: int
    buyer: int


@dataclass
class Order:
    number: str
    source: str
    fate: str
    currency: str
    minor: int
    at: Millis
    refunds: tuple[int, ...] = ()
    clues: Mapping[str, str] = field(default_factory=dict)  # cart, alias, email: as told
    by_page: bool = False  # a page of the buyer reports its number, too

    @property
    def state(self) -> str:
        if sum(self.refunds) == self.minor:
            return "refunded"
        return {"never paid": "pending", "cancelled": "cancelled"}.get(self.fate, "paid")

    @property
    def given_back(self) -> int:
        return sum(self.refunds)

    def write(self, minor: int) -> str:
        """Return an amount as a program writes it."""
        return f"{Decimal(minor).scaleb(-CURRENCIES[self.currency]):f}"


@dataclass
class Buyer:
    number: int
    devices: tuple[Device, ...]  # none: not subscribed
    cart_at: Millis
    key: str | None = None  # of the basket, which the first device has
    alias: str | None = None
    hashed: bool = False  # the shop gave the hash of the address at identify
    known_at: Millis = 0  # when the pages told who it is
    checkout: bool = False
    order: Order | None = None

    @property
    def email(self) -> str:
        return f"Buyer.{self.number}@{CANARY}-mail.example"

    @property
    def is_named(self) -> bool:
        """Whether something that the order brings names a subscriber."""
        clues = self.order.clues if self.order else {}
        return bool(self.devices) and (
            "cart" in clues
            or ("alias" in clues and clues["alias"] == self.alias)
            or ("email" in clues and self.hashed)
            or bool(self.order and self.order.by_page)
        )


class Telling(NamedTuple):
    due: Millis  # the end of its minute
    at: Millis
    buyer: Buyer
    kind: str  # the source, or the page's route
    body: Any
    device: Device | None = None
    says: str = ""  # the state that it tells, of an order
    heads: Mapping[str, str] = {}


def make_buyers(count: int, span: Millis, chance: random.Random) -> list[Buyer]:
    """Return *count* people who leave a basket within *span*, and a tenth as many strangers."""
    devices = iter(range(1, 10 * count + 10))
    buyers = []
    for number in range(count):
        owned = tuple(
            Device(next(devices), number) for _ in range(_pick(chance, {1: 80, 2: 20}))
        )
        at = MORNING + 5 * MINUTE + chance.randrange(span // SECOND) * SECOND
        one = Buyer(number, owned, at, checkout=chance.random() < 0.3)
        named = _pick(chance, {"": 20, "alias": 40, "email": 20, "both": 20})
        if len(owned) > 1 and not named:
            named = "alias"
        one.alias = str(700_000 + number) if named in ("alias", "both") else None
        one.hashed = named in ("email", "both")
        one.key = f"{number:07}".rjust(22, "k") if chance.random() < 0.6 else None
        # Some log in only after they have bought.
        one.known_at = at + (
            2 * HOUR if chance.random() < 0.05 and len(owned) == 1 else -MINUTE
        )
        if chance.random() < 0.55:
            one.order = _make_order(one, chance)
        buyers.append(one)
    for number in range(count, count + count // 10):
        at = MORNING + chance.randrange(span // SECOND) * SECOND
        stranger = Buyer(number, (), at)
        stranger.order = _make_order(stranger, chance)
        buyers.append(stranger)
    return buyers


def _make_order(buyer: Buyer, chance: random.Random) -> Order:
    source = _pick(chance, SOURCES)
    if source == "page" and not buyer.devices:
        source = "api"
    fate = "paid" if source == "page" else _pick(chance, FATES)
    if fate == "test" and source not in ("2checkout", "shopify"):
        fate = "paid"
    currency = chance.choice(list(CURRENCIES))
    minor = chance.randrange(10, 99_999)
    wait = chance.choice((2, 5, 20, 60, 100)) * MINUTE
    order = Order(
        str(5_000_000 + buyer.number), source, fate, currency, minor,
        buyer.cart_at + wait + chance.randrange(60) * SECOND,
    )  # fmt: skip
    if fate == "given back":
        order.refunds = (minor,)
    elif fate == "given back in parts":
        first = chance.randrange(1, minor // 2)
        second = chance.choice((0, minor // 3, minor - first))
        order.refunds = (first, second) if second else (first,)
    order.clues = _choose_clues(buyer, source, chance)
    whole = fate in ("paid", "given back")
    order.by_page = bool(buyer.devices) and (
        source == "page" or (whole and source != "api" and chance.random() < 0.1)
    )
    return order


def _choose_clues(buyer: Buyer, source: str, chance: random.Random) -> dict[str, str]:
    """Return what comes back with an order; on another device the basket's key does not."""
    known = {"cart": buyer.key, "alias": buyer.alias, "email": buyer.email}
    told = {name: it for name, it in known.items() if it and chance.random() < 0.7}
    if "email" not in told and source != "api":
        told["other"] = f"Guest.{buyer.number}@{CANARY}-guest.example"
    if source == "api":
        told = told or {"alias": f"nobody-{buyer.number}"}
        name = chance.choice(list(told))
        return {name: told[name]}
    return told


def _pick(chance: random.Random, weights: Mapping[Any, int]) -> Any:
    return chance.choices(list(weights), list(weights.values()))[0]


# --- what is told --------------------------------------------------------------------------


def tell_all(buyer: Buyer, latest: Millis, chance: random.Random) -> Iterator[Telling]:
    """Yield every request about *buyer*, at the latest at *latest*, in no order."""
    yield from _tell_pages(buyer, chance)
    if buyer.order is None or buyer.order.source == "page":
        return
    for says, at, body, heads in _TELL[buyer.order.source](buyer, buyer.order):
        for _ in range(_pick(chance, {1: 60, 2: 30, 3: 10})):
            late = _pick(chance, {"at once": 60, "soon": 25, "late": 15})
            most = {"at once": MINUTE, "soon": 15 * MINUTE, "late": 3 * HOUR}[late]
            due = min(_round_up(at + chance.randrange(most)), max(latest, _round_up(at)))
            yield Telling(due, at, buyer, buyer.order.source, body, None, says, heads)


def _tell_pages(buyer: Buyer, chance: random.Random) -> Iterator[Telling]:
    def page(at: Millis, device: Device, route: str, says: str = "", **body: Any) -> Telling:
        return Telling(_round_up(at), at, buyer, route, body, device, says)

    def event(
        at: Millis, device: Device, name: str, says: str = "", **properties: Any
    ) -> Telling:
        told = {"id": f"{name}-{device.number}".rjust(22, "e"), "name": name, "at": at}
        body = {"events": [{**told, "properties": properties}]}
        if buyer.key and name == "cart_updated":
            body["cart"] = buyer.key
        return page(at, device, "/v1/events", says, **body)

    for device in buyer.devices:
        yield page(buyer.cart_at - 3 * MINUTE, device, "/v1/subscribe")
        if buyer.alias or buyer.hashed:
            yield page(buyer.known_at, device, "/v1/identify")
    items = [{"id": "lamp", "name": "Brass lamp", "price": 49, "quantity": 1}]
    if buyer.devices:
        first = buyer.devices[0]
        worth = {"items": items, "total": 49, "currency": "EUR", "url": "/cart"}
        yield event(buyer.cart_at, first, "cart_updated", **worth)
        if buyer.checkout:
            yield event(buyer.cart_at + MINUTE, first, "checkout_started")
        if buyer.order and buyer.order.by_page:
            order = buyer.order
            worth = {"total": float(order.write(order.minor)), "currency": order.currency}
            where = chance.choice(buyer.devices)
            # A page that is loaded again reports it again.
            for _ in range(_pick(chance, {1: 70, 2: 30})):
                yield event(order.at, where, "purchase", "paid", order=order.number, **worth)


_Told = Iterator[tuple[str, Millis, Any, Mapping[str, str]]]


def _list_states(order: Order) -> Iterator[tuple[str, Millis, int]]:
    """Yield each state of an order, when it got it, and how much a refund gave back."""
    first = order.at - (10 * MINUTE if order.fate == "paid after a while" else 0)
    if order.fate in ("paid after a while", "never paid", "cancelled"):
        yield "pending", first, 0
    if order.fate == "cancelled":
        yield "cancelled", order.at + 5 * MINUTE, 0
    elif order.fate != "never paid":
        yield "paid", order.at, 0
    for number, part in enumerate(order.refunds, 1):
        yield "refunded", order.at + number * 20 * MINUTE, part


def find_failure(buyer: Buyer) -> Millis | None:
    """Return when an order of theirs counts as not paid in time, if it may."""
    order = buyer.order
    states = {says: at for says, at, _ in _list_states(order)} if order else {}
    return states["pending"] + 30 * MINUTE if "pending" in states else None


def _tell_2checkout(buyer: Buyer, order: Order) -> _Told:
    names = {"pending": "PENDING", "paid": "PAYMENT_AUTHORIZED", "cancelled": "CANCELED"}
    for says, at, part in _list_states(order):
        status = names.get(says, "REFUND")
        whole = part == order.minor
        kind = {"REFUND_TYPE": "TOTAL" if whole else "PARTIAL"} if part else {}
        yield says, at, _build_ipn(buyer, order, status, at, part, kind), {}
        if says == "paid":
            yield says, at, _build_ipn(buyer, order, "COMPLETE", at, 0, {}), {}


def _build_ipn(
    buyer: Buyer, order: Order, status: str, at: Millis, part: int, more: Mapping[str, str]
) -> bytes:
    local = datetime.fromtimestamp((at + 3 * HOUR) // SECOND, UTC)
    amount = f"-{order.write(part)}" if part else order.write(order.minor)
    fields: dict[str, str | list[str]] = {
        "REFNO": order.number, "ORDERSTATUS": status, "MESSAGE_ID": f"{status}{at}",
        "SALEDATE": f"{local:%Y-%m-%d %H:%M:%S}", "PAYMENTDATE": f"{local:%Y-%m-%d %H:%M:%S}",
        "IPN_DATE": f"{local:%Y%m%d%H%M%S}", "CURRENCY": order.currency,
        "IPN_TOTALGENERAL": amount, "CUSTOMEREMAIL": _get_address(order),
        "REFNOEXT": order.clues.get("cart", ""), "IPN_PRICE[]": ["1", "2"],
        "EXTERNAL_CUSTOMER_REFERENCE": order.clues.get("alias", ""),
        "TEST_ORDER": str(int(order.fate == "test")),
        "LASTNAME": f"{CANARY}-{buyer.number}", **more,
    }  # fmt: skip
    algorithms = (twocheckout.SHA2, twocheckout.SHA3)[: 1 + buyer.number % 2]
    return twocheckout.ipn(fields, *algorithms)


def _tell_shopify(buyer: Buyer, order: Order) -> _Told:
    given: list[dict[str, Any]] = []
    for says, at, part in _list_states(order):
        if part:
            given.append(_build_refund(order, at, part, len(given)))
            raw = hooks.dump({**given[-1], "order_id": int(order.number)})
            # It has the order's number, and no buyer: who is meant is known from the others.
            yield "", at, raw, shopify.heads(raw, "refunds/create")
        raw = _build_shopify(buyer, order, says, at, given)
        topics = {"pending": "orders/create", "paid": "orders/paid"}
        yield says, at, raw, shopify.heads(raw, topics.get(says, "orders/updated"))


def _build_refund(order: Order, at: Millis, part: int, number: int) -> dict[str, Any]:
    move = {"kind": "refund", "status": "success", "amount": order.write(part)}
    return {
        "id": 10 * int(order.number) + number,
        "created_at": _write_time(at),
        "refund_line_items": [],
        "transactions": [{**move, "currency": order.currency}],
    }


def _build_shopify(
    buyer: Buyer, order: Order, says: str, at: Millis, given: list[dict[str, Any]]
) -> bytes:
    back = sum(order.refunds[: len(given)])
    state = {"cancelled": "voided", "refunded": "partially_refunded"}.get(says, says)
    alias = order.clues.get("alias")
    address = _get_address(order)
    key = order.clues.get("cart")
    return hooks.dump(
        {
            **shopify.ORDER,
            "id": int(order.number),
            "financial_status": "refunded" if back == order.minor else state,
            "currency": order.currency,
            "total_price": order.write(order.minor),
            "created_at": _write_time(min(at, order.at)),
            "processed_at": _write_time(min(at, order.at)),
            "updated_at": _write_time(at),
            "cancelled_at": _write_time(at) if says == "cancelled" else None,
            "email": address,
            "contact_email": address,
            "customer": {
                "id": int(alias) if alias else None,
                "email": address,
                "last_name": f"{CANARY}-{buyer.number}",
            },
            "note_attributes": [{"name": "_pushctl", "value": key}] if key else [],
            "refunds": given,
            "test": order.fate == "test",
        }
    )


def _tell_woocommerce(buyer: Buyer, order: Order) -> _Told:
    back: list[int] = []
    for says, at, part in _list_states(order):
        back += [part] if part else []
        whole = sum(back) == order.minor
        names = {"paid": "processing", "refunded": "refunded" if whole else "processing"}
        key = order.clues.get("cart")
        raw = hooks.dump(
            {
                **hooks.WOO_ORDER,
                "id": int(order.number),
                "number": order.number,
                "status": names.get(says, says),
                "currency": order.currency,
                "total": order.write(order.minor),
                "date_created_gmt": _write_time(min(at, order.at))[:19],
                "date_modified_gmt": _write_time(at)[:19],
                "date_paid_gmt": _write_time(order.at)[:19] if says in BOUGHT else None,
                "customer_id": int(order.clues.get("alias", 0)),
                "billing": {
                    "email": _get_address(order),
                    "last_name": f"{CANARY}-{buyer.number}",
                },
                "meta_data": [{"key": "_pushctl", "value": key}] if key else [],
                "refunds": [{"total": f"-{order.write(one)}"} for one in back],
            }
        )
        yield says, at, raw, hooks.woo_heads(raw)


def _tell_api(buyer: Buyer, order: Order) -> _Told:
    names = {"pending": "order_pending", "paid": "purchase", "cancelled": "order_cancelled"}
    for says, at, part in _list_states(order):
        told: dict[str, Any] = {"order": order.number, "currency": order.currency}
        if part != order.minor:  # else: without an amount all of it is given back
            told["value"] = float(order.write(part or order.minor))
        item = {"name": names.get(says, "refund"), "at": at, "properties": told}
        yield says, at, {**item, "id": f"{says}-{order.number}-{at}"}, {}


_TELL: Mapping[str, Callable[[Buyer, Order], _Told]] = {
    "2checkout": _tell_2checkout,
    "shopify": _tell_shopify,
    "woocommerce": _tell_woocommerce,
    "api": _tell_api,
}


def _get_address(order: Order) -> str:
    return order.clues.get("email") or order.clues["other"]


def _write_time(at: Millis) -> str:
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%dT%H:%M:%S}+00:00"


def _round_up(at: Millis) -> Millis:
    return -(-at // MINUTE) * MINUTE

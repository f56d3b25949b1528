"""
WooCommerce's webhooks: orders with their refunds, and products.

Headers and topics: WooCommerce's REST API documentation, "Webhooks". The signature covers
the body alone, so no header is believed: the body shows what it is. There are no topics for
baskets and refunds; a refund comes as an updated order.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules.money import Money
from pushctl.rules.shops import payload, signatures
from pushctl.rules.shops.options import PeopleOptions
from pushctl.rules.shops.order import State
from pushctl.rules.shops.sources import Headers
from pushctl.rules.shops.told import Told, ToldOrder, ToldProduct

_SIGNATURE = "x-wc-webhook-signature"
TOPIC = "X-WC-Webhook-Topic: order.updated"
_TOPIC = "x-wc-webhook-topic"
# WC_Webhook::deliver_ping, when a webhook is saved: it is not signed.
_PING = re.compile(rb"webhook_id=\d{1,12}")

# A refused payment ("failed") holds no reminder back: the basket still waits.
_STATES = {
    "pending": State.PENDING,
    "on-hold": State.PENDING,
    "processing": State.PAID,
    "completed": State.PAID,
    "refunded": State.REFUNDED,
    "cancelled": State.CANCELLED,
    "failed": State.CANCELLED,
    "trash": State.CANCELLED,
}
# Only while a person still writes it: not an order yet.
_DRAFTS = ("checkout-draft", "auto-draft", "draft")


@dataclass(frozen=True)
class Options(PeopleOptions):
    pass


def is_ping(raw: bytes, headers: Headers) -> bool:
    return _SIGNATURE not in headers and _PING.fullmatch(raw) is not None


def verify(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Options
) -> None:
    """Raise Refused unless the header has the base64 of HMAC-SHA256 over the body."""
    signatures.check_body(headers.get(_SIGNATURE, ""), secrets, raw)


def read(
    raw: bytes, headers: Headers, options: Options, email: Callable[[str], str | None]
) -> Told | None:
    """Return the order or product of a delivery; None for other topics."""
    resource, _, event = headers.get(_TOPIC, "").partition(".")
    if resource not in ("order", "product"):
        return None
    body = payload.parse(raw)
    number = payload.read_id(body.get("id"))
    if number is None:
        raise InputError("it has no id")
    told = Told("woocommerce", payload.name_delivery("woocommerce", raw))
    if event == "deleted":
        return told._replace(orders=(_cancel(number),)) if _is_deleted(resource, body) else None
    if "line_items" in body:
        order = _read_order(body, number, options, email)
        return told._replace(orders=(order,)) if order else None
    if "stock_status" in body:
        return told._replace(products=_read_product(body, number))
    return None


def _is_deleted(resource: str, body: Mapping[str, Json]) -> bool:
    # {"id": 7} is all that such a delivery has, so another body is none.
    return resource == "order" and set(body) == {"id"}


def _cancel(number: str) -> ToldOrder:
    """Return the end of an order that never was paid; a paid one stays what it is."""
    return ToldOrder(number, State.CANCELLED, None, None, (), payload.BEFORE_ALL)


def _read_order(
    body: Mapping[str, Json],
    number: str,
    options: Options,
    email: Callable[[str], str | None],
) -> ToldOrder | None:
    status = str(body.get("status"))
    paid_at = payload.read_time(body.get("date_paid_gmt"))
    # Plug-ins add states of their own ("shipped"): what has been paid is paid.
    state = _STATES.get(status) or (State.PAID if paid_at else None)
    if state is None or status in _DRAFTS:
        return None
    currency = payload.read_currency(body.get("currency"))
    total = payload.read_amount(body.get("total"), currency)
    refunded = _sum_refunds(body.get("refunds"), currency)
    if state is State.REFUNDED and not (refunded and refunded.minor):
        refunded = total
    billing = payload.read_table(body.get("billing"))
    pairs = (
        (one.get("key"), one.get("value")) for one in payload.list_tables(body.get("meta_data"))
    )
    coupons = payload.list_tables(body.get("coupon_lines"))
    return ToldOrder(
        number=payload.read_id(body.get("number")) or number,
        state=state,
        total=total,
        refunded=refunded,
        lines=payload.read_lines(body.get("line_items"), currency, "name"),
        at=_find_time(body, state, paid_at),
        clues=options.make_clues(
            payload.find_key(pairs), body.get("customer_id"), billing.get("email"), email
        ),
        codes=payload.read_codes(one.get("code") for one in coupons),
    )


def _sum_refunds(refunds: Json, currency: str | None) -> Money | None:
    """Return what was paid back so far; None where the delivery doesn't say."""
    if not isinstance(refunds, list):
        return None
    totals = (payload.read_number(one.get("total")) for one in payload.list_tables(refunds))
    # They are written as what the shop loses: "-10.00".
    amounts = [
        None if one is None else payload.read_amount(abs(one), currency) for one in totals
    ]
    return payload.add_up(amounts, currency)


def _find_time(body: Mapping[str, Json], state: State, paid_at: Millis | None) -> Millis:
    names = ("date_modified_gmt", "date_created_gmt")
    changed, created = (payload.read_time(body.get(name)) for name in names)
    if state is State.PAID:
        return (
            paid_at
            or payload.read_time(body.get("date_completed_gmt"))
            or changed
            or created
            or payload.NOW
        )
    if state is State.PENDING:
        return created or changed or payload.NOW
    return changed or created or payload.NOW


def _read_product(body: Mapping[str, Json], number: str) -> tuple[ToldProduct, ...]:
    """Return what is sold now; a variation's parent has no price of its own to compare."""
    pictures = payload.list_tables(body.get("images"))
    about = {
        "name": payload.read_text(body.get("name")),
        "url": payload.read_text(body.get("permalink")),
        "image": payload.read_text(pictures[0].get("src")) if pictures else None,
    }
    here = body.get("status", "publish") == "publish"
    told = ToldProduct(
        id=number,
        price=payload.read_amount(body.get("price"), None),
        available=here and body.get("stock_status") != "outofstock",
        about={name: value for name, value in about.items() if value},
    )
    return (told,)

"""
2Checkout's INS: older notifications of the same orders, as a form or as JSON.

Their MD5 covers three numbers and no content, so they are believed only where the settings
say so. How their SHA form (``hash``) is made is not published.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

import orjson

from pushctl.rules import limits
from pushctl.rules.money import Money
from pushctl.rules.shops import payload
from pushctl.rules.shops import twocheckout_orders as orders
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.signatures import Refused, refuse_signature
from pushctl.rules.shops.told import Clues, Told, ToldOrder
from pushctl.rules.shops.twocheckout_ipn import parse
from pushctl.rules.shops.twocheckout_orders import Email
from pushctl.rules.web import fields as forms

# invoice_status: approved is authorised, deposited is captured.
STATES = {
    "pending": State.PENDING,
    "approved": State.PAID,
    "deposited": State.PAID,
    "declined": State.CANCELLED,
}
_TYPES = ("ORDER_CREATED", "INVOICE_STATUS_CHANGED", "FRAUD_STATUS_CHANGED", "REFUND_ISSUED")

Values = Mapping[str, str]


def read(raw: bytes) -> Values | None:
    """Return the values of an INS by name; None for what is none, such as an IPN."""
    text = raw.lstrip()
    if text.startswith(b"{"):
        return _read_json(text)
    if b"message_type=" not in raw and b"sale_id=" not in raw:
        return None
    fields = parse(raw)
    if "ORDERSTATUS" in fields or "REFNO" in fields or "message_type" not in fields:
        return None
    return {name: orders.decode(values[0]) for name, values in fields.items()}


def _read_json(text: bytes) -> Values:
    try:
        told = orjson.loads(text)
    except ValueError:
        raise Refused(400, "json", "The body is no JSON.") from None
    if not isinstance(told, dict) or len(told) > limits.MAX_HOOK_ENTRIES:
        raise Refused(400, "json", "The body is no JSON object.")
    return {
        key: orders.decode(str(value).encode("utf-8", "replace"))
        for key, value in told.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def verify(told: Values, secrets: Sequence[bytes], *, md5: bool) -> None:
    """Raise Refused unless one of *secrets* signed the INS, and MD5 is allowed."""
    given = told.get("md5_hash", "")
    if not given:
        if not told.get("hash"):
            raise refuse_signature("unsigned")
        text = "2Checkout has not published how INS is signed with SHA: use its IPN."
        raise Refused(401, "ins sha", text)
    if not md5:
        raise Refused(401, "md5", "MD5 alone is not taken here: use 2Checkout's IPN.")
    numbers = "".join(told.get(name, "") for name in ("sale_id", "vendor_id", "invoice_id"))
    right = False
    for secret in secrets:
        digest = hashlib.md5(numbers.encode() + secret, usedforsecurity=False).hexdigest()
        right |= hmac.compare_digest(digest.encode(), given.lower().encode())
    if not right:
        raise refuse_signature()


def read_order(told: Values, account_zone: str | None, email: Email) -> Told | None:
    """Return the order of an INS; None where it is about something else."""
    kind = told.get("message_type", "").upper()
    state = STATES.get(told.get("invoice_status", "").lower())
    if kind == "REFUND_ISSUED":
        state = State.PAID
    elif told.get("fraud_status", "").lower() == "fail":
        state = State.CANCELLED
    if kind not in _TYPES or state is None:
        return None
    # The number that the same order has in its IPN.
    name = told.get("order_ref") or told.get("sale_id", "")
    number = forms.label(name, limits.MAX_ORDER_NUMBER_CHARACTERS)
    order = ToldOrder(
        number, state, None, None, (), _find_time(told, account_zone), _read_clues(told, email)
    )
    currency = payload.read_currency(told.get("list_currency"))
    if kind == "REFUND_ISSUED":
        order = order._replace(refund=_add_refunds(told, currency))
    else:
        total = payload.read_amount(told.get("invoice_list_amount"), currency)
        order = order._replace(total=total, lines=_read_lines(told))
    message = told.get("message_id") or told["md5_hash"]
    return Told(orders.SOURCE, f"INS {number[:60]} {kind} {message[:60]}", orders=(order,))


def _find_time(told: Values, account_zone: str | None) -> int:
    date, _, zone = told.get("timestamp", "").partition(" ")
    clock, _, zone = zone.partition(" ")
    return orders.read_time([f"{date} {clock}"], orders.find_zone(zone, account_zone))


def _read_clues(told: Values, email: Email) -> Clues:
    _, hashed = orders.read_person(told.get("customer_email", ""), "", email)
    return Clues(payload.read_key(told.get("vendor_order_id")), None, hashed)


def _list_numbers(told: Values) -> range:
    count = told.get("item_count", "")
    most = int(count) if count.isascii() and count.isdecimal() and len(count) < 6 else 0
    return range(1, min(most, limits.MAX_ORDER_LINES) + 1)


def _read_lines(told: Values) -> tuple[Line, ...]:
    most = limits.MAX_CART_TEXT_CHARACTERS
    return tuple(
        Line(
            payload.read_id(told.get(f"item_id_{number}")),
            payload.read_text(told.get(f"item_name_{number}"), most),
            None,
            None,  # of one: the amount is that of all of them
        )
        for number in _list_numbers(told)
    )


def _add_refunds(told: Values, currency: str | None) -> Money | None:
    """Return what was given back; None where an amount is not known."""
    parts = [
        payload.read_amount(told.get(f"item_list_amount_{number}", "").lstrip("-"), currency)
        for number in _list_numbers(told)
        if told.get(f"item_type_{number}") == "refund"
    ]
    return payload.add_up(parts, currency) if parts else None

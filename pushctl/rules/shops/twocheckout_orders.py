"""
2Checkout's IPN -> the order that it is about.

An IPN has the buyer's name, addresses, phone and IP address; nothing of it is read here
but the e-mail address, for its hash.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import zip_longest

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import limits, timing, wording
from pushctl.rules.money import Money
from pushctl.rules.shops import payload
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.told import Clues, Told, ToldOrder
from pushctl.rules.shops.twocheckout_ipn import Fields
from pushctl.rules.units import SECOND
from pushctl.rules.web import fields as forms

SOURCE = "2checkout"

Email = Callable[[str], str | None]  # hashes an address; None where there is no secret for it

# ORDERSTATUS: the vendor's page "IPN triggers". One that is not here says nothing for us.
STATES = {
    "PENDING": State.PENDING,
    "PURCHASE_PENDING": State.PENDING,
    "PENDING_APPROVAL": State.PENDING,
    "PAYMENT_AUTHORIZED": State.PAID,
    "PAYMENT_RECEIVED": State.PAID,
    "PENDING_ORDER_APPROVAL": State.PAID,  # paid, the merchant is to confirm the delivery
    "AUTHRECEIVED": State.PAID,
    "COMPLETE": State.PAID,
    "REFUND": State.REFUNDED,
    "CANCELED": State.CANCELLED,
    "REVERSED": State.CANCELLED,  # the bank's authorisation was given back
}

_OFFSET = re.compile(r"(?:GMT|UTC)?\s*([+-])(\d{2}):?([0-5]\d)", re.ASCII)
# A zero of the field's type stands for a date that there is not: "0000-00-00 00:00:00".
_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S")


def read(fields: Fields, account_zone: str | None, email: Email) -> Told | None:
    """
    Return the order of an IPN, None where its state is none that we know.

    *account_zone* is the IANA zone of times where the IPN names none. Raises InputError
    without a state or a usable number: the merchant has not ticked those fields.
    """
    for name in ("ORDERSTATUS", "REFNO"):
        if not _first(fields, name):
            raise InputError(f"it has no {name}: tick that field in 2Checkout's IPN settings")
    status = _first(fields, "ORDERSTATUS").upper()
    state = STATES.get(status)
    if state is None:
        return None
    number = forms.label(_first(fields, "REFNO"), limits.MAX_ORDER_NUMBER_CHARACTERS)
    if state in (State.PENDING, State.PAID) and _first(fields, "FRAUD_STATUS") == "DENIED":
        state = State.CANCELLED
    named = _first(fields, "MESSAGE_ID") or _first(fields, "IPN_DATE")
    currency = payload.read_currency(_first(fields, "CURRENCY"))
    told = ToldOrder(
        number,
        state,
        payload.read_amount(_first(fields, "IPN_TOTALGENERAL"), currency),
        None,
        _read_lines(fields, currency),
        _find_time(fields, state, account_zone),
        _read_clues(fields, email),
        payload.read_codes(map(decode, fields.get("IPN_PROMOCODE", ()))),
        _first(fields, "TEST_ORDER") == "1",
    )
    back = _first(fields, "IPN_TOTALGENERAL").removeprefix("-")
    if state is State.REFUNDED or back != _first(fields, "IPN_TOTALGENERAL"):
        told = _read_refund(told, fields, payload.read_amount(back, currency))
    return Told(SOURCE, f"{number[:60]} {status} {named[:60]}".strip(), orders=(told,))


def read_person(address: str, reference: str, email: Email) -> tuple[str | None, str | None]:
    """Return alias and e-mail hash. A *reference* that is an address is only hashed."""
    if "@" in reference:
        address, reference = address or reference, ""
    return payload.read_alias(reference), payload.hash_email(address, email)


def read_time(texts: Sequence[str], zone: tzinfo | None) -> Millis:
    """Return the first of *texts* that is a time, in *zone*; payload.NOW without them."""
    for text in texts if zone else ():
        for form in _FORMS:
            try:
                found = datetime.strptime(text, form).replace(tzinfo=zone)
            except ValueError:
                continue
            at = int(found.timestamp()) * SECOND
            if at > 0:
                return at
    return payload.NOW


def find_zone(text: str, otherwise: str | None) -> tzinfo | None:
    """Return the zone of "GMT+03:00", else that of the account; None where neither is known."""
    if text in ("GMT", "UTC"):
        return UTC
    if found := _OFFSET.fullmatch(text):
        length = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if length < timedelta(days=1):
            return timezone(-length if found[1] == "-" else length)
    return timing.zone(otherwise) if otherwise else None


def decode(value: bytes) -> str:
    """Return a value's text; what is not UTF-8, or would command a terminal, is U+FFFD."""
    return wording.clean(value.decode("utf-8", "replace").strip())


def _first(fields: Fields, name: str) -> str:
    return decode(next(iter(fields.get(name, ())), b""))


def _read_refund(told: ToldOrder, fields: Fields, amount: Money | None) -> ToldOrder:
    """
    Return the order with its refund. Amounts of a refund are below 0 (as the vendor's own
    plug-ins expect), and are then those of this refund alone.
    """
    back = amount if told.total is None else None
    kind = _first(fields, "REFUND_TYPE").upper()
    lost = told._replace(state=State.REFUNDED, lines=(), codes=())
    if kind == "PARTIAL":
        return lost._replace(state=State.PAID, total=None, refund=back)
    return lost if kind else lost._replace(refund=back)


def _read_lines(fields: Fields, currency: str | None) -> tuple[Line, ...]:
    names = ("IPN_PCODE", "IPN_PID", "IPN_PNAME", "IPN_QTY", "IPN_PRICE")
    columns = [list(fields.get(name, ()))[: limits.MAX_ORDER_LINES] for name in names]
    found = []
    for values in zip_longest(*columns, fillvalue=b""):
        code, own, name, quantity, price = map(decode, values)
        found.append(
            Line(
                payload.read_id(code) or payload.read_id(own),
                payload.read_text(name, limits.MAX_CART_TEXT_CHARACTERS),
                payload.read_quantity(quantity),
                payload.read_amount(price, currency, fine=True),
            )
        )
    return tuple(found)


def _read_clues(fields: Fields, email: Email) -> Clues:
    alias, hashed = read_person(
        _first(fields, "CUSTOMEREMAIL"), _first(fields, "EXTERNAL_CUSTOMER_REFERENCE"), email
    )
    # A renewal names the reference of the order that it renews.
    texts = (_first(fields, name) for name in ("REFNOEXT", "ORIGINAL_REFNOEXT"))
    key = next(filter(None, map(payload.read_key, texts)), None)
    return Clues(key, alias, hashed)


def _find_time(fields: Fields, state: State, account_zone: str | None) -> Millis:
    """Return when the order got its state."""
    names = {
        State.PENDING: ("SALEDATE",),
        State.PAID: ("PAYMENTDATE", "COMPLETE_DATE", "SALEDATE"),
    }.get(state, ())
    zone = find_zone(_first(fields, "TIMEZONE_OFFSET"), account_zone)
    return read_time([_first(fields, name) for name in (*names, "IPN_DATE")], zone)

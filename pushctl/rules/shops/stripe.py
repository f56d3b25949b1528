"""
Stripe's webhooks: checkout sessions and refunds.

Facts: Stripe's documentation, "Verify events", "Fulfill orders", "Recover abandoned carts"
and "Supported currencies". The signature covers the time and the body.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import limits
from pushctl.rules.money import Money
from pushctl.rules.shops import cart, payload, signatures
from pushctl.rules.shops.order import Line, State
from pushctl.rules.shops.sources import Headers
from pushctl.rules.shops.told import Clues, Told, ToldCart, ToldOrder
from pushctl.rules.units import MINUTE, SECOND

_HEADER = "stripe-signature"
_TOLERANCE = 5 * MINUTE
_TIME = re.compile(r"\d{1,12}", re.ASCII)
_MOST_SIGNATURES = 20
# Amounts are whole units in these, thousandths in those, hundredths in all others: ISK and
# UGX too, though they have no smaller coin (Stripe's "special cases").
_WHOLE = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

_ALIASES = ("client_reference_id", "customer")
_Email = Callable[[str], str | None]
_Body = Mapping[str, Json]


def _check_alias(value: str) -> tuple[str, str] | None:
    if value in _ALIASES or value.removeprefix("metadata.").isidentifier():
        return None
    return f"is {value!r}", 'Write "client_reference_id", "customer" or "metadata.NAME".'


@dataclass(frozen=True)
class Options:
    # where the session has the alias of the person
    alias: str | None = field(default=None, metadata={"check": _check_alias})
    # recognise buyers by the hash of their e-mail address
    email: bool = True


def verify(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Options
) -> None:
    """Raise Refused unless a ``v1`` of the header is right, and not five minutes off."""
    pairs = [part.strip().partition("=") for part in headers.get(_HEADER, "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1"]
    if (
        len(times) != 1
        or not _TIME.fullmatch(times[0])
        or not 0 < len(given) <= _MOST_SIGNATURES
    ):
        raise signatures.refuse_signature()
    signed = times[0].encode() + b"." + raw
    found = [one.encode("latin-1", "replace") for one in given]
    right = [one.hex().encode() for one in signatures.sign(secrets, signed)]
    if not signatures.is_any(found, right):
        raise signatures.refuse_signature()
    signatures.check_time(int(times[0]) * SECOND, now, _TOLERANCE)


def read(raw: bytes, headers: Headers, options: Options, email: _Email) -> Told | None:
    """Return the order or basket of an event; None for events that say nothing for us."""
    event = payload.parse(raw)
    reader = _READERS.get(str(event.get("type")))
    if reader is None:
        return None
    name = payload.read_id(event.get("id"))
    at = payload.read_number(event.get("created"))
    thing = payload.read_table(payload.read_table(event.get("data")).get("object"))
    if name is None or at is None or at <= 0 or not thing:
        raise InputError("it is no event with id, time and object")
    told = Told("stripe", name)
    return reader(told, thing, int(at) * SECOND, _People(options, email))


@dataclass(frozen=True)
class _People:
    options: Options
    email: _Email

    def make_clues(self, thing: _Body, address: Json) -> Clues:
        metadata = payload.read_table(thing.get("metadata"))
        reference = thing.get("client_reference_id")
        alias = self.options.alias
        place, _, key = (alias or "").partition(".")
        known = metadata.get(key) if place == "metadata" and key else thing.get(place)
        return Clues(
            cart_key=payload.find_key(metadata.items()) or payload.read_key(reference),
            alias=payload.read_alias(known) if alias and isinstance(known, str) else None,
            email_hash=payload.hash_email(address, self.email) if self.options.email else None,
        )


def _read_session(told: Told, session: _Body, at: Millis, people: _People) -> Told | None:
    if session.get("mode") == "setup":
        return None  # keeps a card, sells nothing
    # A bank transfer or a debit is "unpaid" when the session is completed.
    unpaid = session.get("payment_status") == "unpaid"
    return _tell_order(told, session, State.PENDING if unpaid else State.PAID, at, people)


def _read_failure(told: Told, session: _Body, at: Millis, people: _People) -> Told | None:
    return _tell_order(told, session, State.CANCELLED, at, people)


def _tell_order(told: Told, session: _Body, state: State, at: Millis, people: _People) -> Told:
    # A refund names the payment, not the session.
    number = payload.read_id(session.get("payment_intent")) or payload.read_id(
        session.get("id")
    )
    if number is None:
        raise InputError("a session has no id")
    currency = payload.read_currency(session.get("currency"))
    order = ToldOrder(
        number=number,
        state=state,
        total=_read_amount(session.get("amount_total"), currency),
        refunded=None,
        lines=tuple(_read_lines(session, currency)),
        at=at,
        clues=people.make_clues(session, _find_address(session)),
        codes=payload.read_codes(_list_codes(session)),
        test=session.get("livemode") is False,
    )
    return told._replace(orders=(order,))


def _read_expired(told: Told, session: _Body, at: Millis, people: _People) -> Told | None:
    after = payload.read_table(session.get("after_expiration"))
    url = payload.read_text(payload.read_table(after.get("recovery")).get("url"))
    clues = people.make_clues(session, _find_address(session))
    if url is None or not url.startswith("https://") or clues == Clues():
        return None
    currency = payload.read_currency(session.get("currency"))
    total = _read_amount(session.get("amount_total"), currency)
    properties: dict[str, Json] = {"url": url, "total": total and total.number}
    if currency:
        properties["currency"] = currency
    if lines := _read_lines(session, currency)[: limits.MAX_CART_ITEMS]:
        properties["items"] = [_make_item(one) for one in lines]
    name = payload.name_delivery("expired", str(session.get("id")))
    basket = ToldCart(name, cart.UPDATED, properties, at, clues)
    # Without a total and items it would say nothing of a basket.
    return told._replace(carts=(basket,)) if total or lines else None


def _read_refund(told: Told, charge: _Body, at: Millis, people: _People) -> Told | None:
    number = payload.read_id(charge.get("payment_intent"))
    if number is None:
        return None  # not of a checkout session
    currency = payload.read_currency(charge.get("currency"))
    whole = charge.get("refunded") is True
    begun = payload.read_number(charge.get("created"))
    order = ToldOrder(
        number=number,
        state=State.REFUNDED if whole else State.PAID,
        total=_read_amount(charge.get("amount"), currency),
        refunded=_read_amount(charge.get("amount_refunded"), currency),
        lines=(),
        at=at if whole or not begun else int(begun) * SECOND,
        clues=people.make_clues(charge, _find_address(charge)),
        test=charge.get("livemode") is False,
    )
    return told._replace(orders=(order,))


_READERS: Mapping[str, Callable[[Told, _Body, Millis, _People], Told | None]] = {
    "checkout.session.completed": _read_session,
    "checkout.session.async_payment_succeeded": _read_session,
    "checkout.session.async_payment_failed": _read_failure,
    "checkout.session.expired": _read_expired,
    "charge.refunded": _read_refund,
}


def _find_address(thing: _Body) -> Json:
    details = payload.read_table(thing.get("customer_details") or thing.get("billing_details"))
    return details.get("email") or thing.get("customer_email")


def _read_amount(value: Json, currency: str | None) -> Money | None:
    """Return an amount in Stripe's smallest unit, which is not always ISO 4217's."""
    if isinstance(value, bool) or not isinstance(value, int) or currency is None:
        return None
    digits = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    return payload.read_amount(Decimal(value).scaleb(-digits), currency)


def _read_lines(session: _Body, currency: str | None) -> list[Line]:
    """Return the lines of a session; events have them only where an account adds them."""
    lines = payload.list_tables(payload.read_table(session.get("line_items")).get("data"))
    return [
        Line(
            id=payload.read_id(payload.read_table(one.get("price")).get("product")),
            name=payload.read_text(one.get("description")),
            quantity=payload.read_quantity(one.get("quantity")),
            price=_read_amount(
                payload.read_table(one.get("price")).get("unit_amount"), currency
            ),
        )
        for one in lines
    ]


def _make_item(line: Line) -> dict[str, Json]:
    price = line.price and line.price.number
    item = {"id": line.id, "name": line.name, "quantity": line.quantity, "price": price}
    return {name: value for name, value in item.items() if value is not None}


def _list_codes(session: _Body) -> list[Json]:
    """Return the buyer's codes where the event has them, else the ids of the coupons."""
    codes: list[Json] = []
    for one in payload.list_tables(session.get("discounts")):
        typed = payload.read_table(one.get("promotion_code")).get("code")
        coupon = one.get("coupon")
        codes.append(typed or (coupon.get("id") if isinstance(coupon, dict) else coupon))
    return codes

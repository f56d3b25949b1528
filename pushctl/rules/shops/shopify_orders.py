"""Shopify's orders and checkouts, as the REST resources describe them."""

from collections.abc import Callable, Mapping

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules.limits import MAX_CART_ITEMS
from pushctl.rules.money import Money
from pushctl.rules.shops import cart, payload
from pushctl.rules.shops.options import PeopleOptions
from pushctl.rules.shops.order import State
from pushctl.rules.shops.told import Clues, ToldCart, ToldOrder

# The address that opens a checkout again; a body that has it is a checkout.
RECOVERY = ("abandoned_checkout_url", "abandonedCheckoutUrl")

# Money that is reserved or partly there counts: the buyer has bought.
_STATES = {
    "pending": State.PENDING,
    "authorized": State.PAID,
    "partially_paid": State.PAID,
    "paid": State.PAID,
    "partially_refunded": State.PAID,
    "refunded": State.REFUNDED,
    "voided": State.CANCELLED,
    "expired": State.CANCELLED,
}
_Email = Callable[[str], str | None]


def read_order(body: Mapping[str, Json], options: PeopleOptions, email: _Email) -> ToldOrder:
    """Return an order; its number is Shopify's id, by which refunds and erasures name it."""
    number = payload.read_id(body.get("id"))
    if number is None:
        raise InputError("an order has no id")
    currency = payload.read_currency(body.get("currency"))
    total = payload.read_amount(body.get("total_price"), currency)
    state = _find_state(body)
    refunds = payload.list_tables(body.get("refunds"))
    refunded = _sum_refunds(refunds, currency)
    if state is State.REFUNDED and not (refunded and refunded.minor):
        refunded = total
    codes = payload.list_tables(body.get("discount_codes"))
    return ToldOrder(
        number=number,
        state=state,
        total=total,
        refunded=refunded,
        lines=payload.read_lines(body.get("line_items"), currency, "title"),
        at=_find_time(body, state, refunds),
        clues=_make_clues(body, options, email),
        codes=payload.read_codes(one.get("code") for one in codes),
        test=body.get("test") is True,
    )


def read_refund(body: Mapping[str, Json]) -> ToldOrder | None:
    """Return one refund of an order; None where no money went back."""
    number = payload.read_id(body.get("order_id"))
    moves = payload.list_tables(body.get("transactions"))
    codes = {payload.read_currency(one.get("currency")) for one in moves}
    if number is None or "refund_line_items" not in body or len(codes) != 1:
        return None
    given = _sum_refunds([body], codes.pop())
    if given is None or not given.minor:
        return None
    # Whether it was all of it shows the sum: the body has nothing of the order itself.
    at = payload.read_time(body.get("created_at")) or payload.NOW
    return ToldOrder(number, State.REFUNDED, None, None, (), at, refund=given)


def read_checkout(
    body: Mapping[str, Json], options: PeopleOptions, email: _Email
) -> ToldCart | None:
    """Return a checkout that was begun or changed; None where nothing tells whose it is."""
    clues = _make_clues(body, options, email)
    token = payload.read_id(body.get("token")) or payload.read_id(body.get("id"))
    if clues == Clues() or token is None:
        return None
    currency = payload.read_currency(body.get("presentment_currency") or body.get("currency"))
    tables = payload.list_tables(body.get("line_items"))
    total = payload.read_amount(body.get("total_price"), currency)
    items = [_read_item(one, currency) for one in tables[:MAX_CART_ITEMS]]
    counts = [payload.read_quantity(one.get("quantity")) for one in tables]
    properties = {
        "items": items,
        "count": None if None in counts else sum(one for one in counts if one is not None),
        "total": total and total.number,
        "currency": currency,
        "url": _find_url(body),
    }
    at = payload.read_time(body.get("updated_at"))
    return ToldCart(
        id=payload.name_delivery("checkout", token, str(body.get("updated_at"))),
        # A checkout that was emptied is a basket without items.
        event=cart.CHECKOUT if items else cart.UPDATED,
        properties={name: value for name, value in properties.items() if value is not None},
        at=at or payload.NOW,
        clues=clues,
    )


def _make_clues(body: Mapping[str, Json], options: PeopleOptions, email: _Email) -> Clues:
    pairs = (
        (one.get("name"), one.get("value"))
        for one in payload.list_tables(body.get("note_attributes"))
    )
    customer = payload.read_table(body.get("customer"))
    addresses = (body.get("email"), body.get("contact_email"), customer.get("email"))
    address = next((one for one in addresses if one), None)
    return options.make_clues(payload.find_key(pairs), customer.get("id"), address, email)


def _find_state(body: Mapping[str, Json]) -> State:
    state = _STATES.get(str(body.get("financial_status")), State.PENDING)
    if state is State.PENDING and payload.read_time(body.get("cancelled_at")):
        return State.CANCELLED
    return state


def _find_time(
    body: Mapping[str, Json], state: State, refunds: list[Mapping[str, Json]]
) -> Millis:
    names = ("processed_at", "created_at", "updated_at")
    begun, created, changed = (payload.read_time(body.get(name)) for name in names)
    if state is State.CANCELLED:
        return payload.read_time(body.get("cancelled_at")) or changed or payload.NOW
    if state is State.REFUNDED:
        times = [payload.read_time(one.get("created_at")) for one in refunds]
        return max((one for one in times if one), default=changed or payload.NOW)
    return begun or created or changed or payload.NOW


def _sum_refunds(refunds: list[Mapping[str, Json]], currency: str | None) -> Money | None:
    """Return the money that went back; None where it did so in another currency."""
    moves = [
        one
        for refund in refunds
        for one in payload.list_tables(refund.get("transactions"))
        if one.get("kind") == "refund" and one.get("status") == "success"
    ]
    amounts = [
        payload.read_amount(one.get("amount"), payload.read_currency(one.get("currency")))
        if one.get("currency")
        else payload.read_amount(one.get("amount"), currency)
        for one in moves
    ]
    return payload.add_up(amounts, currency)


def _read_item(one: Mapping[str, Json], currency: str | None) -> dict[str, Json]:
    price = payload.read_amount(one.get("price"), currency, fine=True)
    item = {
        "id": payload.read_id(one.get("product_id")),
        "name": payload.read_text(one.get("title")),
        "price": price and price.number,
        "quantity": payload.read_quantity(one.get("quantity")),
    }
    return {name: value for name, value in item.items() if value is not None}


def _find_url(body: Mapping[str, Json]) -> str | None:
    found = (payload.read_text(body.get(name)) for name in RECOVERY)
    return next((url for url in found if url and url.startswith("https://")), None)

"""
Shopify's webhooks: orders, checkouts, products, and the three about privacy.

Facts: shopify.dev, "Verify webhook deliveries" and "Privacy law compliance"; bodies are
those of the REST resources. The signature covers the body alone, so no header is believed:
a body is what it looks like, and a topic that does not fit it gives nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules.limits import MAX_TOLD_PARTS
from pushctl.rules.shops import payload, shopify_orders, shopify_products, signatures
from pushctl.rules.shops.options import PeopleOptions
from pushctl.rules.shops.sources import Headers
from pushctl.rules.shops.told import Clues, Told, ToldErasure

_SIGNATURE = "x-shopify-hmac-sha256"
TOPIC = "X-Shopify-Topic: orders/paid"
_TOPIC = "x-shopify-topic"
_SHOP = "x-shopify-shop-domain"
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com", re.ASCII)


def _check_shop(value: str) -> tuple[str, str] | None:
    if _DOMAIN.fullmatch(value):
        return None
    return f"is {value!r}", 'Write the shop\'s own domain: shop = "NAME.myshopify.com".'


@dataclass(frozen=True, kw_only=True)
class Options(PeopleOptions):
    # an app's secret signs for every shop that has the app
    shop: str = field(
        metadata={"check": _check_shop, "remedy": 'Write shop = "NAME.myshopify.com".'}
    )


def verify(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Options
) -> None:
    """Raise Refused unless the header has the base64 of HMAC-SHA256 over the body."""
    signatures.check_body(headers.get(_SIGNATURE, ""), secrets, raw)
    if headers.get(_SHOP, "").lower() != options.shop:
        raise signatures.refuse_signature("other shop")


def read(
    raw: bytes, headers: Headers, options: Options, email: Callable[[str], str | None]
) -> Told | None:
    """Return what a delivery says; None for topics that say nothing for us."""
    reader = _READERS.get(headers.get(_TOPIC, "").lower())
    if reader is None:
        return None
    told = Told("shopify", payload.name_delivery("shopify", raw))
    return reader(told, payload.parse(raw), options, email)


def note(raw: bytes, headers: Headers, options: Options) -> str | None:
    """Return what a person has to do after a delivery, without naming anybody."""
    topic = headers.get(_TOPIC, "").lower()
    if topic == "customers/data_request":
        asked = payload.read_table(payload.parse(raw).get("data_request"))
        number = payload.read_id(asked.get("id")) or "without a number"
        return (
            f"a customer asks for their data, Shopify's request {number}. Run: pushctl "
            "subscribers export --alias ALIAS -o FILE (docs/shops.md)"
        )
    if topic == "shop/redact":
        return "Shopify asks to erase what is known of the shop; docs/shops.md says how"
    return None


_Email = Callable[[str], str | None]
_Body = Mapping[str, Json]


def _read_order(told: Told, body: _Body, options: Options, email: _Email) -> Told | None:
    if "financial_status" not in body:
        return None
    return told._replace(orders=(shopify_orders.read_order(body, options, email),))


def _read_refund(told: Told, body: _Body, options: Options, email: _Email) -> Told | None:
    refund = shopify_orders.read_refund(body)
    return told._replace(orders=(refund,)) if refund else None


def _read_checkout(told: Told, body: _Body, options: Options, email: _Email) -> Told | None:
    if not body.keys() & shopify_orders.RECOVERY or payload.read_time(body.get("completed_at")):
        return None  # the order says the rest
    cart = shopify_orders.read_checkout(body, options, email)
    return told._replace(carts=(cart,)) if cart else None


def _read_product(told: Told, body: _Body, options: Options, email: _Email) -> Told | None:
    product = shopify_products.read(body)
    return told._replace(products=(product,)) if product else None


def _read_erasure(told: Told, body: _Body, options: Options, email: _Email) -> Told | None:
    # A request for data looks much alike, and nobody signs the topic.
    if body.get("shop_domain") != options.shop or body.keys() & {"id", "orders_requested"}:
        raise InputError("it is no erasure of this shop")
    customer = payload.read_table(body.get("customer"))
    clues = options.make_clues(None, customer.get("id"), customer.get("email"), email)
    given = body.get("orders_to_redact")
    orders = [payload.read_id(one) for one in given] if isinstance(given, list) else []
    numbers = tuple(one for one in orders if one)[:MAX_TOLD_PARTS]
    if clues == Clues() and not numbers:
        return None
    return told._replace(erasures=(ToldErasure(clues, numbers),))


_READERS: Mapping[str, Callable[[Told, _Body, Options, _Email], Told | None]] = {
    "orders/create": _read_order,
    "orders/paid": _read_order,
    "orders/updated": _read_order,
    "orders/cancelled": _read_order,
    "checkouts/create": _read_checkout,
    "checkouts/update": _read_checkout,
    "refunds/create": _read_refund,
    "products/create": _read_product,
    "products/update": _read_product,
    "products/delete": _read_product,
    "customers/redact": _read_erasure,
}

"""
Links that fill a basket at 2Checkout's checkout (ConvertPlus), signed where there is a secret.

Source: the vendor's page on signatures of buy links for catalogue products.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from pushctl.model import Json
from pushctl.rules.limits import MAX_RESTORE_URL_CHARACTERS

ORIGIN = "https://secure.2checkout.com"
KIND = "2checkout"  # of the sources that have the secret, under this name:
WORD = "buy-link"

# These are refused without a signature. "merchant" is never signed.
_REFERENCES = frozenset(
    {"order-ext-ref", "customer-ref", "customer-ext-ref", "item-ext-ref", "return-url",
     "return-type", "expiration", "lock"}
)  # fmt: skip
# The newest page signs these, too; earlier ones sign them for products without a catalogue.
_PRODUCTS = frozenset({"prod", "qty", "price", "currency", "opt", "coupon"})
_MOST_OF_ONE = 9_999


@dataclass(frozen=True)
class Seller:
    """Who sells at 2Checkout, and how links are to be made."""

    merchant: str
    secret: bytes | None = field(default=None, repr=False)  # the Buy Link Secret Word
    return_url: str | None = None
    sign_products: bool = True
    unsigned: bool = True  # whether links without a signature are made at all


@dataclass(frozen=True)
class Buyer:
    """What is to come back with the order; None where it is not known."""

    cart_key: str | None = None
    alias: str | None = None  # signed by the shop


def build(
    seller: Seller, cart: Mapping[str, Json], buyer: Buyer, coupon: str = ""
) -> str | None:
    """
    Return the link that fills a *cart* of ``cart.read`` again, or None where it can't.

    It can't where an item has no id or no whole quantity, where the cart has more than it
    lists, and where the link is too long for a message.
    """
    if seller.secret is None and not seller.unsigned:
        return None
    counts = _count_products(cart)
    if not counts:
        return None
    parameters = {"prod": ";".join(counts), "qty": ";".join(map(str, counts.values()))}
    if _is_plain(coupon):
        parameters["coupon"] = coupon
    if seller.secret is not None:
        parameters |= _list_references(seller, buyer)
        parameters["signature"] = sign(parameters, seller.secret, products=seller.sign_products)
    pairs = {"merchant": seller.merchant, **parameters}.items()
    query = "&".join(f"{name}={quote(value, safe=';')}" for name, value in pairs)
    link = f"{ORIGIN}/checkout/buy?{query}"
    return link if len(link) <= MAX_RESTORE_URL_CHARACTERS else None


def sign(parameters: Mapping[str, str], secret: bytes, *, products: bool) -> str:
    """
    Return the signature of a link's *parameters*, in hex.

    Values are signed as they are before they are encoded, by the order of their names.
    """
    signed = _REFERENCES | _PRODUCTS if products else _REFERENCES
    values = [parameters[name].encode() for name in sorted(signed & parameters.keys())]
    source = b"".join(b"%d%b" % (len(value), value) for value in values)
    return hmac.digest(secret, source, "sha256").hex()


def _list_references(seller: Seller, buyer: Buyer) -> dict[str, str]:
    found = {}
    if _is_plain(buyer.cart_key):
        found["order-ext-ref"] = str(buyer.cart_key)
    # An address as the alias would stand in histories and logs of others.
    if _is_plain(buyer.alias) and "@" not in str(buyer.alias):
        found["customer-ext-ref"] = str(buyer.alias)
    if seller.return_url:
        found |= {"return-url": seller.return_url, "return-type": "redirect"}
    return found


def _count_products(cart: Mapping[str, Json]) -> dict[str, int] | None:
    """Return product code -> quantity, None where one of them is not known."""
    counts: dict[str, int] = {}
    for item in cart.get("items") or ():
        code, quantity = item.get("id"), item.get("quantity")
        if not _is_plain(code) or not isinstance(quantity, int):
            return None
        if not 0 <= quantity <= _MOST_OF_ONE:
            return None
        if quantity:
            counts[code] = counts.get(code, 0) + quantity
    return counts if sum(counts.values()) == cart.get("count") else None


def _is_plain(text: Json) -> bool:
    """
    Return whether *text* can stand in a signed link.

    Whether the signature counts bytes or characters of other letters is not published; a
    semicolon parts products.
    """
    if not isinstance(text, str) or not text:
        return False
    return text.isascii() and text.isprintable() and ";" not in text and " " not in text

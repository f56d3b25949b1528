"""
Promo codes are worth money: only the beginning of one is shown.

Shops compare codes without case (Shopify, WooCommerce, Stripe, 2Checkout), so we do.
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import limits

_SHOWN = 3
_CUTS = ("", "'", '"', "…")  # what stands behind a code that was cut

# In a campaign's options: the name of the pool that its codes come from.
POOL = "promo_pool"

# Where a page's, a server's or a file's ``purchase`` tells of codes.
TOLD = frozenset((
    "promo", "promo_code", "promo_codes", "coupon", "coupons", "coupon_code", "codes",
    "discount_code", "discount_codes",
))  # fmt: skip

# Without 0, O, 1, I, L, U and V, which are taken for each other or for nothing good.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTWXYZ"
LENGTH = 10


def mask(code: str) -> str:
    """Return the first three characters of *code*, of a short one less than half."""
    return f"{code[: min(_SHOWN, len(code) // 2)]}..."


def hide(text: str, code: str) -> str:
    """
    Return *text* with *code* masked: in any case, as it stands in a URL, and where it was cut.

    An error quotes what a text made of the code, and only so much of it.
    """
    for form in dict.fromkeys((code, quote(code, safe=""))) if code else ():
        text = _hide_form(text, form, mask(code))
    return text


def _hide_form(text: str, form: str, instead: str) -> str:
    least = min(_SHOWN, len(form) // 2) + 1  # one more than may be shown
    made = at = 0
    found = ""
    for start in re.finditer(re.escape(form[:least]), text, re.IGNORECASE):
        at = start.end()
        while at - start.start() < len(form) and _is_alike(
            text[at : at + 1], form[at - start.start()]
        ):
            at += 1
        whole = at - start.start() == len(form)
        if start.start() >= made and (whole or text[at : at + 1] in _CUTS):
            found, made = f"{found}{text[made : start.start()]}{instead}", at
    return found + text[made:]


def _is_alike(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def sample(length: int) -> str:
    """Return a code that none is, of the *length* of the longest."""
    return ("PROMOCODE" * (length // 9 + 1))[: max(length, 1)]


def list_told(properties: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the codes that a ``purchase`` tells of, each once."""
    told: list[Json] = []
    for name in TOLD.intersection(properties):
        value = properties[name]
        told += value if isinstance(value, list) else [value]
    named = (one.get("code") if isinstance(one, dict) else one for one in told)
    texts = (one.strip() for one in named if isinstance(one, str))
    most = limits.MAX_PROMO_CODE_CHARACTERS
    found = dict.fromkeys(one for one in texts if 0 < len(one) <= most)
    return tuple(found)[: limits.MAX_ORDER_CODES]


def hide_told(properties: Mapping[str, Json], codes: Collection[str]) -> dict[str, Json]:
    """Return the properties of a ``purchase`` with these of its codes masked."""
    folded = {one.casefold() for one in codes}

    def hide_in(value: Json) -> Json:
        if isinstance(value, str):
            return mask(value.strip()) if value.strip().casefold() in folded else value
        if isinstance(value, list):
            return [hide_in(one) for one in value]
        if isinstance(value, dict) and "code" in value:
            return {**value, "code": hide_in(value["code"])}
        return value

    return {key: hide_in(it) if key in TOLD else it for key, it in properties.items()}


def read(text: str) -> str:
    """Return a code as it is sent; raises InputError, without the code in it."""
    code = text.strip().strip("\ufeff")
    if not code:
        raise InputError("a promo code is empty")
    if len(code) > limits.MAX_PROMO_CODE_CHARACTERS:
        most = limits.MAX_PROMO_CODE_CHARACTERS
        raise InputError(f"a promo code has more than {most} characters")
    if not code.isprintable() or any(one.isspace() for one in code):
        raise InputError("a promo code has a space or an unprintable character in it")
    return code


def check_pool_name(name: str) -> str:
    """Return the name of a pool; raises InputError."""
    plain = name.strip()
    allowed = all(one.isalnum() or one in "-_." for one in plain)
    if not plain or not allowed or len(plain) > limits.MAX_POOL_NAME_CHARACTERS:
        raise InputError(
            f"{name[:60]!r} can't name a pool: up to {limits.MAX_POOL_NAME_CHARACTERS} "
            "letters, digits, '-', '_' and '.'"
        )
    return plain

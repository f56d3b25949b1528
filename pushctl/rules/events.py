"""The names of events that pages and pushctl itself send; all others are the shop's own."""

KNOWN = (
    "cart_updated", "cart_emptied", "checkout_started", "purchase", "subscribed",
    "product_viewed", "wishlisted", "stock_awaited", "price_dropped", "back_in_stock",
    "page_view",
)  # fmt: skip

_BY_FOLDED = {name.casefold(): name for name in KNOWN}


def name_event(name: str) -> str:
    """Return a known event's name for any case of it (Purchase), others as they are."""
    return _BY_FOLDED.get(name.casefold(), name)

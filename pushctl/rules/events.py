"""The names of events that pages and pushctl itself send; all others are the shop's own."""

# Told by pushctl itself: a code that somebody got and has not used lapses soon.
PROMO_EXPIRING = "promo_expiring"

KNOWN = (
    "cart_updated", "cart_emptied", "checkout_started", "purchase", "subscribed",
    "product_viewed", "wishlisted", "stock_awaited", "price_dropped", "back_in_stock",
    "page_view", "payment_failed", "order_pending", "order_cancelled", "refund",
    PROMO_EXPIRING, "form_filled", "channel_revoked",
)  # fmt: skip

# A form gives consent to a channel beside push, or takes it back.
FORM_FILLED, CHANNEL_REVOKED = "form_filled", "channel_revoked"

_BY_FOLDED = {name.casefold(): name for name in KNOWN}


def name_event(name: str) -> str:
    """Return a known event's name for any case of it (Purchase), others as they are."""
    return _BY_FOLDED.get(name.casefold(), name)

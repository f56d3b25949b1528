"""Views that figures are counted of: what no table has as rows, or has as counts alone."""

from pushctl.rules.figures.views.view import Field, View, integer, time, yes

_SUBSCRIBER = integer("subscriber_id", "the id in `people`")
_SITE = Field("site", "the site's name")

LIVES = View(
    "lives",
    "one stretch of time in which a subscriber could be reached",
    (
        _SUBSCRIBER,
        _SITE,
        yes("first", "whether it began by subscribing, not by coming back"),
        time("began_at", "when it began"),
        time("ended_at", "when it ended; empty: it goes on"),
        Field("ended_by", "unsubscribed, gone or quarantined; empty: it goes on"),
    ),
    moment="began_at",
)

CREDITS = View(
    "credits",
    "one order, or one event of a goal, with the message that it is counted for",
    (
        Field("goal", "purchase, or a goal of pushctl.toml"),
        integer("source_id", "the id in `orders`; of other goals in `events`"),
        Field("kind", "direct or influenced"),
        Field("basis", "click, code or shown"),
        integer("delivery_id", "the id in `deliveries`"),
        integer("campaign_id", "the id in `campaigns`"),
        integer("person", "the id in `people` of the person's first subscription"),
        time("touched_at", "when the message was clicked or shown, or got its code"),
    ),
    moment="touched_at",
)

CODES = View(
    "codes",
    "one promo code, without the code itself",
    (
        Field("pool", "the pool's name"),
        integer("code_id", "its number"),
        Field("state", "free, bound, set_aside or shared: everybody may have that one"),
        Field("site", "the site of the person who got it; empty: erased, or nobody"),
        yes("accepted", "whether a push service took a message with it"),
        yes("redeemed", "whether a paid order has used it"),
        time("given_at", "when a message got it first, but those of tests; empty: never"),
    ),
    moment="given_at",
)

REDEMPTIONS = View(
    "redemptions",
    "one promo code that an order has used",
    (
        integer("order_id", "the id in `orders`"),
        integer("code_id", "the number in `codes`"),
        Field("pool", "the pool's name"),
        yes("shared", "whether everybody may have that code"),
    ),
    moment="order_id",
)

SEGMENT_SIZES = View(
    "segment_sizes",
    "how large a segment was when the sweep counted it; who was in it is not kept",
    (
        Field("segment", "its name in pushctl.toml, or the one that it had"),
        integer("subscribers", "active subscribers in it"),
        integer("everybody", "all active subscribers"),
        time("at", "when that was counted"),
    ),
)

ALL = (LIVES, CREDITS, CODES, REDEMPTIONS, SEGMENT_SIZES)

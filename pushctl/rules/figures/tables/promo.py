"""Figures of pools of promo codes: given out, redeemed, and what the orders are worth."""

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit

POOL = Figure("pool", "the pool's name", Unit.TEXT)
CODES = Figure("codes", "codes of the pool that are for one person each", spare=True)
FREE = Figure("free", "of them, those that no message has had yet", spare=True)
BOUND = Figure("bound", "codes that a message carries, or carried")
GIVEN = Figure(
    "given", "of the bound ones, those whose message a push service took", heading="Given out"
)
REDEEMED = Figure("redeemed", "of those given out, those that a paid order has used")
RATE = Rate("rate", numerator=REDEEMED, denominator=GIVEN, heading="Rate", bounds=Bounds.GIVEN)
ORDERS = Figure("orders", "paid orders that have used a code of the pool")
SHARED = Figure("shared", "of them, those that used the code which everybody may have", usual=0)
REVENUE = Figure(
    "revenue", "what the orders are worth, less what was given back", Unit.MONEY, usual=()
)
REFUNDED = Figure("refunded", "what was given back", Unit.MONEY, spare=True, usual=())

PROMO = Table(
    "stats promo",
    (POOL,),
    (CODES, FREE, BOUND, GIVEN, REDEEMED, RATE, ORDERS, SHARED, REVENUE, REFUNDED),
)

"""The table of `replay --outcome`: what came, and what other rules would have brought."""

from pushctl.rules.figures.figure import Bounds, Figure, Table, Unit

TRIGGER = Figure("trigger", "the trigger, or the broadcasts whose hours were drawn", Unit.TEXT)
PEOPLE = Figure("people", "different people who were drawn")
EFFECTIVE = Figure(
    "effective",
    "how many equally weighted people say as much: (sum w)^2 / sum w^2; below 100 no number is "
    "given",
)
CLICKED_DID = Figure(
    "clicked_did",
    "people who clicked; of broadcasts messages that were clicked",
    heading="Clicked",
)
CLICKED = Figure(
    "clicked",
    "the same under the other rules: people times sum(w r) / sum(w)",
    heading="Would",
    bounds=Bounds.GIVEN,
)
ORDERS_DID = Figure(
    "orders_did", "orders of the last click within its window", heading="Orders"
)
ORDERS = Figure(
    "orders", "the same under the other rules", heading="Would be", bounds=Bounds.GIVEN
)
REVENUE_DID = Figure("revenue_did", "what they brought, less refunds", Unit.MONEY, "Revenue")
REVENUE = Figure(
    "revenue",
    "the same under the other rules; its interval is that of the first currency, none below 20 "
    "buyers",
    Unit.MONEY,
    "Would be",
    bounds=Bounds.GIVEN,
)
WHY = Figure("why", "why there is no number", Unit.TEXT, "No number, because", usual=None)

OUTCOME = Table(
    "replay --outcome",
    (TRIGGER,),
    (
        PEOPLE,
        EFFECTIVE,
        CLICKED_DID,
        CLICKED,
        ORDERS_DID,
        ORDERS,
        REVENUE_DID,
        REVENUE,
        WHY,
    ),
)

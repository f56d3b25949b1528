"""Figures of all tests' arms side by side, with what they have brought."""

from dataclasses import replace

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit
from pushctl.rules.figures.tables import experiments

TEST = Figure("test", "the campaign's name, or trigger and step: basket/1", Unit.TEXT)
WINS = Figure("wins", "yes: it was chosen", Unit.TEXT, "Chosen", spare=True, usual=None)
RATE = Rate(
    "ctr",
    numerator=experiments.CLICKED,
    denominator=experiments.ACCEPTED,
    heading="CTR",
    bounds=Bounds.WILSON,
)
ORDERS = Figure("orders", "orders that its messages have brought about directly", usual=0)
REVENUE = Figure(
    "revenue", "what these orders are worth, less what was given back", Unit.MONEY, usual=()
)
PER_PERSON = Figure(
    "per_thousand",
    "revenue of a thousand people whose message was accepted. Its interval (Fay and Feuer) "
    "needs 20 orders in one currency, and is rough below 60",
    Unit.MONEY,
    "Per thousand",
    spare=True,
    usual=(),
    bounds=Bounds.GIVEN,
)
LOSS_SPARE = replace(experiments.LOSS, spare=True)
STATE_SPARE = replace(experiments.STATE, spare=True)
ASSIGNED_SPARE = replace(experiments.ASSIGNED, spare=True)
STATS = Table(
    "stats ab",
    (TEST, experiments.ARM),
    (STATE_SPARE, WINS, experiments.WEIGHT, ASSIGNED_SPARE, experiments.ACCEPTED,
     experiments.SHOWN, experiments.CLICKED, RATE, experiments.BEST, LOSS_SPARE, ORDERS,
     REVENUE, PER_PERSON),
)  # fmt: skip

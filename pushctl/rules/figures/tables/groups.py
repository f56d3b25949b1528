"""
Figures of messages in groups: by campaign, topic, site, language, hour and more.

``jobs/figures/breakdown/group_counts.py`` counts them. Direct and influenced orders stand
beside each other and are never added: an order is one of the two.
"""

from dataclasses import replace

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit
from pushctl.rules.figures.tables import campaigns
from pushctl.rules.figures.tables.campaigns import (
    ACCEPTED,
    CLICKED,
    CLICKS,
    NAME,
    REPORTED,
    SHOWN,
)

TOPIC = Figure("topic", "what it is about, in a word", Unit.TEXT, spare=True, usual=None)
BY = Figure("by", "what the messages are grouped by", Unit.TEXT, spare=True)
OF_CAMPAIGN = Figure(
    "by",
    "language, browser, country, site, os, device, variant, hour (of sending, on the "
    "receiver's clock), age (how long they had been a subscriber), button or reason",
    Unit.TEXT,
)
VALUE = Figure("value", "which of them; empty where nobody knows", Unit.TEXT)
SITE = Figure("site", "the site's name", Unit.TEXT)

CAMPAIGNS_COUNT = Figure("campaigns", "campaigns that have such messages", spare=True)
PLANNED = Figure("planned", campaigns.PLANNED.meaning, spare=True)
GONE = campaigns.GONE
UNREPORTED = campaigns.UNREPORTED
BOUGHT = campaigns.BOUGHT
SHOWN_SPARE = Figure("shown", SHOWN.meaning, spare=True)
CTR = Rate(
    "ctr",
    numerator=CLICKED,
    denominator=REPORTED,
    heading="CTR",
    bounds=Bounds.GIVEN,
)
CTR_SHOWN = Rate(
    "ctr_shown",
    numerator=CLICKED,
    denominator=SHOWN,
    heading="CTR shown",
    bounds=Bounds.GIVEN,
    spare=True,
)
CASE = Figure(
    "ctr_case",
    "the CTR of the published cases for such messages: promotion, news or trigger",
    Unit.SHARE,
    "Cases",
    spare=True,
)
BASELINE = Figure(
    "ctr_baseline", "your own, from `[baseline]`", Unit.SHARE, "Yours", spare=True, usual=None
)

ORDERS = Figure(
    "orders", "orders that the messages have brought about directly (attribution.md)", usual=0
)
REVENUE = Figure(
    "revenue", "what these orders are worth, less what was given back", Unit.MONEY, usual=()
)
REFUNDED = Figure("refunded", "what of them was given back", Unit.MONEY, spare=True, usual=())
PER_THOUSAND = Figure(
    "per_thousand",
    "revenue of a thousand accepted messages. Its interval (Fay and Feuer) needs 20 orders in "
    "one currency, and is rough below 60",
    Unit.MONEY,
    "Per thousand",
    spare=True,
    usual=(),
    bounds=Bounds.GIVEN,
)
INFLUENCED = Figure(
    "influenced",
    "orders of people who were shown a message and did not click; never added to orders",
    spare=True,
    usual=0,
)
INFLUENCED_REVENUE = Figure(
    "influenced_revenue", "what those are worth", Unit.MONEY, spare=True, usual=()
)

_REACH = (PLANNED, ACCEPTED, GONE, UNREPORTED, BOUGHT, SHOWN_SPARE, CLICKED, CLICKS)
_RATES = (CTR, CTR_SHOWN)
_WORTH = (ORDERS, REVENUE, PER_THOUSAND, REFUNDED, INFLUENCED, INFLUENCED_REVENUE)

CAMPAIGNS = Table(
    "stats campaigns",
    (NAME, TOPIC, campaigns.STARTED),
    (*_REACH, *_RATES, CASE, BASELINE, *_WORTH),
)
GROUPS = Table(
    "stats campaigns --by", (BY, VALUE), (CAMPAIGNS_COUNT, *_REACH, *_RATES, *_WORTH)
)
_REVENUE_SPARE = replace(REVENUE, spare=True)
DETAILS = Table(
    "stats campaign",
    (OF_CAMPAIGN, VALUE),
    (campaigns.PLANNED, *_REACH[1:], *_RATES, ORDERS, _REVENUE_SPARE, *_WORTH[2:]),
)
TIMES = Table("stats times", (BY, VALUE), (CAMPAIGNS_COUNT, *_REACH, *_RATES, *_WORTH))

SUBSCRIBERS = Figure("subscribers", "active subscriptions now", heading="Active")
SITES = Table("stats sites", (SITE,), (SUBSCRIBERS, CAMPAIGNS_COUNT, *_REACH, *_RATES, *_WORTH))

# What messages are counted by.
COUNTS = (
    "planned", "accepted", "gone", "unreported", "bought", "reported", "shown", "clicked",
    "clicks", "campaigns",
)  # fmt: skip

# What --sort takes, and what --best ranks by the lower bound of.
SORTS = (
    "accepted", "clicked", "shown", "clicks", "ctr", "ctr_shown", "orders", "revenue",
    "per_thousand", "influenced",
)  # fmt: skip
RANKED = ("ctr", "ctr_shown", "per_thousand")

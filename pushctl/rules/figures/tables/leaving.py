"""The table of `pushctl stats leaving`: after which messages people unsubscribe."""

import math

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Row, Table, Unit
from pushctl.rules.figures.statistics.rate_ratio import Blame, compare

# A message answers for what happens within so many days, unless another one follows.
WINDOW_DAYS = 2
# Messages that a person got in the week up to the last one, it among them.
FREQUENCIES = ((1, "1 a week"), (3, "2-3 a week"), (6, "4-6 a week"), (10**9, "7 or more"))
# Characters of a title.
LENGTHS = ((20, "to 20"), (35, "21-35"), (50, "36-50"), (10**9, "over 50"))
# The first hour of each stretch of the receiver's day.
HOURS = (0, 6, 9, 12, 15, 18, 21)
# What is told where nobody asks for one kind.
USUAL = ("message", "frequency", "form", "length", "hour", "language", "browser")
KINDS = (*USUAL, "campaign", "topic", "segment", "site", "country", "os", "device", "variant")

# A browser whose messages are ignored, as Chrome sees it: so many in 30 days, one a week.
MANY = 4
# As Safari sees it: so many in a row that were not shown.
UNSHOWN = 3

BY = Figure("by", f"the kind of the group: {', '.join(KINDS)}", Unit.TEXT, "By")
VALUE = Figure(
    "value",
    "the group: frequency has how many messages the person got in 7 days up to the last one, "
    "form whether its title asks (question) or says (statement), length its characters, hour "
    "the receiver's clock. A segment is who belongs to it now",
    Unit.TEXT,
    "Last message",
)
UNSUBSCRIBED = Figure(
    "unsubscribed",
    f"who unsubscribed within {WINDOW_DAYS} days of such a message, with no other in between",
    heading="Left",
)
DAYS = Figure("days", "person-days in which such a message was the last one")
RATE = Figure("rate", "unsubscribed in 1,000 person-days", heading="In 1,000")
RATIO = Figure(
    "ratio",
    "rate / that of all other person-days (mid-P); n: people with such days",
    heading="Times",
    bounds=Bounds.GIVEN,
)
EXCESS = Figure(
    "excess",
    "how many more left than at the rate of all other days",
    heading="More",
    spare=True,
    bounds=Bounds.GIVEN,
)
P = Figure("p", "how often chance alone makes such a ratio", Unit.SHARE, "p", spare=True)
GONE = Figure(
    "gone",
    "browsers whose last message this was before a push service answered 404 or 410 to a "
    "later one. When they left nobody knows, so no rate has them",
    spare=True,
)

LEAVING = Table(
    "stats leaving", (BY, VALUE), (UNSUBSCRIBED, DAYS, RATE, RATIO, EXCESS, P, GONE)
)

BROWSER = Figure("browser", "Chrome or Safari", Unit.TEXT)
BROWSERS = Figure("browsers", "active browsers with a message in 30 days")
MESSAGES = Figure("messages", "messages that they accepted in 30 days")
IGNORED = Figure(
    "ignored",
    "Chrome: browsers with 4 messages or more in 30 days and no click, and none closed by "
    "hand. Safari: browsers whose last 3 messages (a day old or more) were not shown",
    heading="At risk",
)
IGNORED_SHARE = Rate(
    "ignored_share",
    heading="Share",
    numerator=IGNORED,
    denominator=BROWSERS,
    bounds=Bounds.WILSON,
)
PENALTIES = Table(
    "stats leaving --penalties", (BROWSER,), (BROWSERS, MESSAGES, IGNORED, IGNORED_SHARE)
)


def describe(counts: Row, events: int, days: float, others: int, other_days: float) -> Row:
    """Return *counts* as a row of ``LEAVING``; days are person-days."""
    found = compare(events, days, others, other_days)
    row = {**counts, "unsubscribed": events, "days": round(days)}
    row["rate"] = round(1000 * events / days, 2) if days > 0 else None
    return LEAVING.fill({**row, **(_write(found) if found else {})})


def _write(found: Blame) -> Row:
    def write(value: float, digits: int) -> float | None:
        return round(value, digits) if math.isfinite(value) else None

    return {
        "ratio": write(found.ratio, 2),
        "ratio_low": write(found.low, 2),
        "ratio_high": write(found.high, 2),
        "excess": write(found.excess, 1),
        "excess_low": write(found.excess_low, 1),
        "excess_high": write(found.excess_high, 1),
        "p": found.p,
    }

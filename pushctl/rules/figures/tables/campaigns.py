"""Figures of campaigns and of their messages; their SQL stands in store/reports.py."""

from pushctl.rules.figures.figure import Figure, Rate, Row, Table, Unit
from pushctl.states import CampaignStatus, DeliveryStatus

NAME = Figure("name", "the campaign's name", Unit.TEXT, "Campaign")
STARTED = Figure(
    "at", "when it started, or when it was frozen", Unit.MOMENT, "Started", spare=True
)
STATUS = Figure("status", ", ".join(CampaignStatus), Unit.TEXT)

PLANNED = Figure("planned", "receivers that were frozen, one message each")
ACCEPTED = Figure("accepted", "messages that a push service took")
GONE = Figure(
    "gone", "messages whose subscription no longer exists (404, 410)", spare=True, usual=0
)
WAITING = Figure("waiting", "messages that are not sent yet", usual=0)
REJECTED = Figure("rejected", "messages that failed for good", usual=0)
IN_DOUBT = Figure("in_doubt", "messages that may or may not have left", usual=0)
SHOWN = Figure("shown", "messages that the browser reported as shown, clicked or closed")
CLICKED = Figure("clicked", "messages with at least one click: people, not clicks")
CLICKS = Figure("clicks", "all clicks, buttons included", spare=True)
UNREPORTED = Figure(
    "unreported",
    "accepted messages in the form of another service's worker, which reports to nobody here: "
    "whether they were shown or clicked is unknown",
    spare=True,
    usual=0,
)
REPORTED = Figure(
    "reported",
    "accepted messages but for the unreported ones",
    heading="(accepted - unreported)",
)
BOUGHT = Figure(
    "bought",
    "accepted messages in whose place the browser thanked: the person had bought meanwhile. "
    "They are neither shown nor clicked",
    spare=True,
    usual=0,
)
# Two rates that are never mixed: accepted is all that a push service reports.
CTR = Rate("ctr", numerator=CLICKED, denominator=REPORTED, heading="CTR accepted")
CTR_SHOWN = Rate("ctr_shown", numerator=CLICKED, denominator=SHOWN, heading="CTR shown")

_FIGURES = (PLANNED, ACCEPTED, GONE, UNREPORTED, BOUGHT, SHOWN, CLICKED, CLICKS, CTR, CTR_SHOWN)
STATS = Table("stats", (NAME, STARTED), _FIGURES)
LIST = Table(
    "campaigns list",
    (NAME, STATUS, STARTED),
    (PLANNED, WAITING, ACCEPTED, REJECTED, IN_DOUBT),
)


def hide_unknown(row: Row) -> Row:
    """Return *row* without zeros of reports where no message could be reported."""
    if row.get("unreported") and not row.get("reported") and not row.get("shown"):
        return {**row, **dict.fromkeys(("shown", "clicked", "clicks"))}
    return row


STATE = Figure("status", f"{', '.join(DeliveryStatus)}, left_out", Unit.TEXT, "State")
REASON = Figure("reason", "why; empty where the state says it all", Unit.TEXT)
MESSAGES = Figure("count", "messages in this state for this reason", heading="Messages")
STATES = Table("campaigns show", (STATE, REASON), (MESSAGES,))

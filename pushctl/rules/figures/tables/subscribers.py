"""How subscribers come, leave and age; jobs/figures/tables/subscribers.py counts."""

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit

# What people are grouped by; "month" is that of subscribing.
GROUPS = (
    "site",
    "country", "city", "browser", "os", "device", "language", "source", "landing", "month",
)  # fmt: skip

PERIODS = {"hour": 24, "day": 14, "week": 8, "month": 12}  # and how many are shown

START = Figure("start", "the period's first day, or hour", Unit.TEXT, "From")

ACTIVE = Figure("active", "subscribers that could be reached when the period began")
NEW = Figure("new", "registered for the first time, as active ones")
SHOWN = Figure("shown", "of the new ones, shown a message since", heading="Of them shown")
BACK = Figure("back", "active again: registered anew, or tried again after a refusal")
UNSUBSCRIBED = Figure("unsubscribed", "lost from the active ones at their own wish")
GONE = Figure("gone", "lost from them, as the subscription no longer exists")
QUARANTINED = Figure("quarantined", "lost for now: refused", heading="Set aside")
LOST = Figure("lost", "unsubscribed + gone + set aside")
NET = Figure("net", "new + back - lost")
CHURNED = Figure("churned", "of those who were active when the period began, lost in it")
CHURN = Rate("churn", numerator=CHURNED, denominator=ACTIVE, bounds=Bounds.GIVEN)

LOSSES = (UNSUBSCRIBED, GONE, QUARANTINED)
GROWTH = Table("stats subscribers", (START,), (ACTIVE, NEW, SHOWN, BACK, *LOSSES, NET, CHURN))

# --by: the same counts over one time, for each value.
VALUE = Figure("value", "the value of what `--by` names; `month`: of subscribing", Unit.TEXT)
REACHED = Figure("reached", "active now", heading="Now")
SPLIT = Table(
    "stats subscribers --by",
    (VALUE,),
    (REACHED, ACTIVE, NEW, SHOWN, BACK, *LOSSES, NET, CHURN),
)

# --show reach: what becomes of messages, by the age of the subscription that gets them.
AGE = Figure("age", "how long ago the subscription was made when the message left", Unit.TEXT)
SENT = Figure("sent", "messages that left for a push service, and their time is known")
TAKEN = Figure("accepted", "of them, taken by the push service")
LOST_SENT = Figure("gone", "of them, the push service knew the subscription no longer")
REPORTED = Figure("reported", "accepted, and in a form that tells when it is shown", spare=True)
SEEN = Figure("shown", "of them, shown")
CLICKED = Figure("clicked", "of them, clicked")
REACH = Table(
    "stats subscribers --show reach",
    (AGE,),
    (
        SENT, TAKEN, LOST_SENT, REPORTED, SEEN, CLICKED,
        Rate("shown_rate", numerator=SEEN, denominator=REPORTED, bounds=Bounds.GIVEN,
             heading="Shown of accepted"),
        Rate("click_rate", numerator=CLICKED, denominator=TAKEN, bounds=Bounds.GIVEN,
             heading="CTR accepted", spare=True),
    ),
)  # fmt: skip

# --show cohorts: who is still there, by Kaplan and Meier.
HORIZONS = (1, 7, 30, 90, 180, 365)  # days after subscribing
COHORT = Figure("cohort", "the month of subscribing, or what `--by` names", Unit.TEXT)
JOINED = Figure("joined", "subscribed as active ones")
FROM_AGE = Figure(
    "from_days",
    "the age in days from which shares count: ten are watched; later than 0 with `--since`",
    spare=True,
    usual=0,
)
COHORTS = Table(
    "stats subscribers --show cohorts",
    (COHORT,),
    (
        JOINED,
        FROM_AGE,
        *(
            Figure(
                f"day_{days}",
                f"the share that is still active {days} days after subscribing",
                Unit.SHARE,
                f"{days} d",
                bounds=Bounds.GIVEN,
                spare=days in (1, 180),
            )
            for days in HORIZONS
        ),
    ),
)

"""The table of `pushctl best-time`."""

from pushctl.rules.figures.figure import Bounds, Figure, Table, Unit

KIND = Figure("kind", "block or hour", Unit.TEXT, "By")
SLOT = Figure(
    "slot",
    "before work, at work, after work, weekend ([best_time] says when that is), or an hour; of "
    "sending, on the receiver's own clock",
    Unit.TEXT,
    "Sent",
)
SENDS = Figure(
    "sends",
    "accepted messages but for the unreported ones; where hours were drawn, only those whose "
    "hour was",
)
PEOPLE = Figure("people", "different people among them", spare=True)
CAMPAIGNS = Figure("campaigns", "different campaigns among them")
CTR = Figure(
    "ctr",
    "clicked / sends. Where hours were drawn: each send counts 1 / its probability, against "
    "the mean of its campaign; the mean of all times the ratio",
    Unit.SHARE,
    "CTR",
    bounds=Bounds.GIVEN,
)
EXPECTED = Figure(
    "expected",
    "the same without what is chance: drawn to the mean by how few the sends are. All alike: "
    "no difference is seen. Where nothing was drawn a campaign is one observation",
    Unit.SHARE,
)
BEST = Figure("best", "the slot that --at best takes", Unit.TEXT, usual=None)

BEST_TIME = Table("best-time", (KIND, SLOT), (SENDS, PEOPLE, CAMPAIGNS, CTR, EXPECTED, BEST))

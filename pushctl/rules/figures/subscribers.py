"""How the base of subscribers grows; the SQL of its counts stands in store/reports.py."""

from pushctl.rules.figures.figure import Figure, Rate, Table, Unit

START = Figure("start", "the period's first day", Unit.TEXT, "From")

ACTIVE = Figure("active", "subscribers that could be reached when the period began")
NEW = Figure("new", "registered for the first time, as active ones")
SHOWN = Figure("shown", "of the new ones, shown a message since", heading="Of them shown")
BACK = Figure("back", "active again: registered anew, or tried again after a refusal")
UNSUBSCRIBED = Figure("unsubscribed", "lost from the active ones at their own wish")
GONE = Figure("gone", "lost from them, as the subscription no longer exists")
QUARANTINED = Figure("quarantined", "lost for now: refused", heading="Set aside")
LOST = Figure("lost", "unsubscribed + gone + set aside")
NET = Figure("net", "new + back - lost")
CHURN = Rate("churn", numerator=LOST, denominator=ACTIVE)

LOSSES = (UNSUBSCRIBED, GONE, QUARANTINED)
GROWTH = Table("stats subscribers", (START,), (ACTIVE, NEW, SHOWN, BACK, *LOSSES, NET, CHURN))

"""How large segments were; jobs/subscribers/segment_sizes.py notes it."""

from pushctl.rules.figures.figure import Figure, Rate, Table, Unit
from pushctl.rules.figures.tables.subscribers import START

SEGMENT = Figure("segment", "its name in pushctl.toml, or the one that it had", Unit.TEXT)
SIZE = Figure(
    "subscribers", "active subscribers in it, as last counted in the period by the sweep"
)
EVERYBODY = Figure("everybody", "all active subscribers at that moment", spare=True)
CHANGE = Figure("change", "more than in the period before")
SHARE = Rate("share", numerator=SIZE, denominator=EVERYBODY)
SEGMENTS = Table("stats segments", (SEGMENT, START), (SIZE, CHANGE, EVERYBODY, SHARE))

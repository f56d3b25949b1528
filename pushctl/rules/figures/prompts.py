"""How far people go with the invitation; its stages are counted by store/prompts.py."""

from pushctl.rules.figures.figure import Figure, Rate, Table, Unit

DIMENSIONS = (
    Figure("variant", "the invitation's variant, else its kind", Unit.TEXT),
    Figure("language", "the invitation's language", Unit.TEXT),
    Figure("browser", "the visitor's browser", Unit.TEXT),
)

SEEN = Figure("seen", "invitations that were shown")
ACCEPTED = Figure("accepted", "agreed to our own question")
ALLOWED = Figure("allowed", "agreed to the browser's question")
DENIED = Figure("denied", "refused the browser's question")
DISMISSED = Figure("dismissed", "put off, closed, or gave the browser's question no answer")
FAILED = Figure("failed", "agreed to both, but the browser had no subscription to give")
RATE = Rate("rate", numerator=ALLOWED, denominator=SEEN, heading="Allowed of seen")

_FIGURES = (SEEN, ACCEPTED, ALLOWED, DENIED, DISMISSED, FAILED, RATE)
PROMPTS = {each.name: Table("stats prompts", (each,), _FIGURES) for each in DIMENSIONS}

"""How far people go with the invitation; its stages are counted by store/prompts.py."""

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit

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

# stats optin: the funnel from a new visitor on. Rates of visits are over the days since visits
# are counted; the first of these days is left out, as it may be a part of one.
VISIT = Figure("visit", "browsers that came for the first time and could be asked")
_VISIT_SEEN = Figure("visit_seen", "invitations shown on those days", spare=True)
_VISIT_ALLOWED = Figure("visit_allowed", "agreed to the browser's question on those days")
OPTIN = {
    each.name: Table(
        "stats optin",
        (each,),
        (
            VISIT,
            SEEN,
            ACCEPTED,
            ALLOWED,
            Rate("allowed_of_visit", numerator=_VISIT_ALLOWED, denominator=VISIT,
                 heading="Allowed of visits", bounds=Bounds.WILSON),
            Rate("seen_of_visit", numerator=_VISIT_SEEN, denominator=VISIT,
                 heading="Seen of visits", spare=True),
            Rate("accepted_of_seen", numerator=ACCEPTED, denominator=SEEN,
                 heading="Accepted of seen", bounds=Bounds.WILSON, spare=True),
            Rate("allowed_of_accepted", numerator=ALLOWED, denominator=ACCEPTED,
                 heading="Allowed of accepted", bounds=Bounds.WILSON, spare=True),
        ),
    )
    for each in DIMENSIONS
}  # fmt: skip

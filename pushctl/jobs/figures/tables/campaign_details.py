"""One campaign: as a whole, and by language, country, hour of sending, button, reason."""

from collections.abc import Iterator

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.breakdown import group_counts, group_revenue
from pushctl.jobs.figures.breakdown.dimensions import ORDERED
from pushctl.jobs.figures.breakdown.group_codes import Grouping
from pushctl.jobs.figures.breakdown.group_counts import Loaded
from pushctl.jobs.figures.columns import message_cache
from pushctl.jobs.figures.columns.messages import STATUSES
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import breakdowns
from pushctl.jobs.figures.tables.breakdowns import Answer
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.figures.tables.groups import CAMPAIGNS, DETAILS
from pushctl.store import Store

# Always there, and where there are several.
_ALWAYS = ("language", "browser")
_SPLITS = (*_ALWAYS, "country", "site", "os", "device", "variant", "hour", "age")


def load_details(
    store: Store, config: Config, name: str, asked: Filter | None = None
) -> tuple[Answer, list[Row]]:
    """
    Return the campaign's own row of ``CAMPAIGNS``, and rows of ``DETAILS``.

    Of *asked* count site and time. Raises NotFoundError for an unknown *name*.
    """
    one = store.campaigns.describe(name)
    kinds = ("campaign", "reason", *_SPLITS)
    loaded = group_counts.load(store, config, asked or Filter(), kinds, only=one)
    credits = group_revenue.place(group_revenue.load_credits(store, config, [one.id]), loaded)

    def split(grouping: Grouping) -> list[Row]:
        rows = group_counts.count(loaded, grouping)
        return group_revenue.describe_all(rows, loaded, grouping, credits)

    whole = split(loaded.grouper.group("campaign", loaded.messages))
    rows: list[Row] = []
    for by in _SPLITS:
        part = split(loaded.grouper.group(by, loaded.messages))
        if by not in ORDERED:
            part.sort(key=lambda row: (-read_count(row, "planned"), row["value"] or ""))
        if len(part) > 1 or by in _ALWAYS:
            rows += [{"by": by, **row} for row in part]
    rows += _count_buttons(store, one.id, loaded)
    rows += _count_reasons(loaded)
    summary = breakdowns.describe_campaigns(config, [one], whole)
    details = [DETAILS.fill(row) for row in rows]
    return summary._replace(rows=[CAMPAIGNS.fill(row) for row in summary.rows]), details


def _count_buttons(store: Store, campaign: int, loaded: Loaded) -> Iterator[Row]:
    """Yield clicks by button, the most first; without one it is the message itself."""
    ((_, part),) = message_cache.load(store, [campaign], ("click_row", "click_button"))
    asked = loaded.kept & loaded.messages.clicked
    # Unless messages have come since the others were read.
    rows, buttons = part["click_row"].values, part["click_button"].values
    known = rows < len(asked)
    rows, buttons = rows[known], buttons[known]
    rows, buttons = rows[asked[rows]], buttons[asked[rows]]
    found: list[tuple[int, str, int]] = []
    for code, action in enumerate(part["click_button"].words or ()):
        own = rows[buttons == code]
        if len(own):
            found.append((-len(np.unique(own)), action or "the message", len(own)))
    for clicked, button, clicks in sorted(found):
        yield {"by": "button", "value": button, "clicked": -clicked, "clicks": clicks}


def _count_reasons(loaded: Loaded) -> Iterator[Row]:
    """Yield how many messages have which state for which reason, the most first."""
    messages, kept = loaded.messages, loaded.kept
    width = len(messages.reasons)
    codes = messages.status[kept].astype(np.int64) * width + messages.reason[kept]
    counts = np.bincount(codes, minlength=len(STATUSES) * width)
    found: list[tuple[int, str]] = []
    for code in np.flatnonzero(counts).tolist():
        status, reason = STATUSES[code // width].value, messages.reasons[code % width]
        value = status if reason is None else f"{status}: {reason}"
        found.append((-int(counts[code]), value))
    for count, value in sorted(found):
        yield {"by": "reason", "value": value, "planned": -count}

"""
What became of messages by the age of the subscription when each left.

Millions are read a few campaigns at a time; of each person are kept the tries of an age, and
what came of them.
"""

from collections.abc import Sequence
from typing import Any

from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.breakdown.kept_breakdowns import decode_rows, encode_rows
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Plain, Sources
from pushctl.rules.figures.figure import Row
from pushctl.store import Store

ANSWER = "reach"  # as it is kept


def load_reach(store: Store, asked: Filter) -> list[Row]:
    """Return a row of ``REACH`` an age; without a filter the answer is kept."""
    campaigns = store.message_rows.list_campaigns()

    def count() -> Sequence[Row]:
        from pushctl.jobs.figures.breakdown import age_counts

        return age_counts.count(store, asked, campaigns)

    if not asked.is_empty:
        return list(count())
    sources = find_sources(campaigns)
    found: Any = kept_answers.load(store, ANSWER, sources, lambda: _encode(count()))
    return decode_rows(found)


def find_sources(campaigns: Sequence[int]) -> Sources:
    """Return what the kept answer is counted from: *campaigns* are all of push but tests."""
    return Sources(campaigns, ("subscribed_at", "site"))


def _encode(rows: Sequence[Row]) -> Plain:
    return list(encode_rows(rows))

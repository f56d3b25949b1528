"""
All tests, arm by arm, with the orders that each has brought; ``arm_counts.py`` counts them.

The table is kept (``answers.py``): each test is counted over the rows of its messages.
"""

from typing import Any

from pushctl.config import Config
from pushctl.jobs.figures import answers
from pushctl.jobs.figures.answers import Sources
from pushctl.jobs.figures.attribution import load_brought
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.totals import decode_rows, encode_rows
from pushctl.rules.figures.figure import Row
from pushctl.store import Store

ANSWER = "tests"  # as it is kept


def list_arms(store: Store, config: Config, asked: Filter) -> list[Row]:
    """
    Return a row of ``STATS`` for each arm of each test, the newest test first.

    Of *asked* count the time at which a test began, and *last*: so many tests.
    """
    tests = [
        one
        for one in store.experiments.list_all()
        if (asked.since is None or one.created_at >= asked.since)
        and (asked.until is None or one.created_at < asked.until)
    ][: asked.last]
    campaigns = {test.id: store.experiments.list_campaigns(test.id) for test in tests}
    numbers = sorted({number for mine in campaigns.values() for number in mine})
    brought = load_brought(store, config, numbers)

    def count() -> list[Row]:
        from pushctl.jobs.figures import arm_counts

        return [
            row
            for test in tests
            for row in arm_counts.list_arms(store, test, campaigns[test.id], brought)
        ]

    # Who left after a message is in the rows of subscriptions.
    told = [tests, list(campaigns.values()), list(brought)]
    sources = Sources(numbers, ("site",), told, others=("subscriptions",))
    found: Any = answers.load(store, ANSWER, sources, lambda: encode_rows(count()))
    return decode_rows(found)

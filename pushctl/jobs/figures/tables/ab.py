"""
All tests, arm by arm, with the orders that each has brought; ``arm_counts.py`` counts them.

The table is kept (``kept_answers.py``): each test is counted over the rows of its messages.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pushctl.config import Config
from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.attribution.credits import load_brought
from pushctl.jobs.figures.breakdown.kept_breakdowns import decode_rows, encode_rows
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Sources
from pushctl.rules.figures.figure import Row
from pushctl.store import Store
from pushctl.store.experiments import Experiment
from pushctl.store.orders import Credited

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
    told = tell(store, config, tests)

    def count() -> list[Row]:
        from pushctl.jobs.figures.experiments import arm_counts

        return [
            row
            for test, campaigns in zip(tests, told.campaigns, strict=True)
            for row in arm_counts.list_arms(store, test, campaigns, told.brought)
        ]

    found: Any = kept_answers.load(
        store,
        ANSWER,
        find_sources(told),
        lambda: {"tests": [one.id for one in tests], "rows": encode_rows(count())},
    )
    return decode_rows(found["rows"])


class Told(NamedTuple):
    """What is known of tests before they are counted; *campaigns* of each."""

    tests: Sequence[Experiment]
    campaigns: Sequence[Sequence[int]]
    brought: Sequence[Credited]


def tell(store: Store, config: Config, tests: Sequence[Experiment]) -> Told:
    """Return what is known of *tests*: their campaigns, and what those have brought about."""
    campaigns = [store.experiments.list_campaigns(test.id) for test in tests]
    numbers = sorted({number for mine in campaigns for number in mine})
    return Told(tests, campaigns, load_brought(store, config, numbers))


def find_sources(told: Told) -> Sources:
    """Return what the kept answer is counted from."""
    numbers = sorted({number for mine in told.campaigns for number in mine})
    rest = list(told.tests), list(told.campaigns), list(told.brought)
    # Who left after a message is in the rows of subscriptions.
    return Sources(numbers, ("site",), rest, others=("subscriptions",))

"""The arms of one test, counted over the rows of its messages, with what each has brought."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from pushctl.jobs.figures.breakdown.group_revenue import Worth, describe_worth
from pushctl.jobs.figures.experiments.results import describe_arms
from pushctl.rules.figures.experiments.decision import describe
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables.ab import STATS
from pushctl.store import Store
from pushctl.store.experiments import Experiment
from pushctl.store.orders import Credited


def list_arms(
    store: Store, test: Experiment, campaigns: Collection[int], brought: Sequence[Credited]
) -> list[Row]:
    """Return a row of ``STATS`` an arm; *brought*: orders, those of *campaigns* among them."""
    arms = store.experiments.list_counted(test)
    mine = [one for one in brought if one[0] in campaigns]
    variants = store.experiments.find_arms(test.id, {delivery for _, delivery, *_ in mine})
    worth: dict[str, Worth] = defaultdict(Worth)
    for one in mine:
        if one[1] in variants:
            worth[variants[one[1]]].add(one)
    rows = describe_arms(test, arms, describe(arms))
    return [
        STATS.fill(
            {
                **describe_worth(row, worth[arm.variant]),
                "test": test.name,
                "state": test.state.value,
                "wins": "yes" if arm.variant == test.winner else None,
            }
        )
        for arm, row in zip(arms, rows, strict=True)
    ]

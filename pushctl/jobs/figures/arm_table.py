"""All tests, arm by arm, with the orders that each has brought."""

from collections import defaultdict

from pushctl.config import Config
from pushctl.jobs.figures.attribution import Credit, load_credits
from pushctl.jobs.figures.experiments import describe_arms
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.worth import Worth, describe_worth
from pushctl.rules.figures.arm_table import STATS
from pushctl.rules.figures.experiments import describe
from pushctl.rules.figures.figure import Row
from pushctl.store import Store
from pushctl.store.experiments import Experiment


def list_arms(store: Store, config: Config, asked: Filter) -> list[Row]:
    """
    Return a row of ``STATS`` for each arm of each test, the newest test first.

    Of *asked* count the time at which a test began, and *last*: so many tests.
    """
    credits: dict[int, list[Credit]] = defaultdict(list)
    for credit in load_credits(store, config):
        credits[credit.campaign].append(credit)
    tests = [
        one
        for one in store.experiments.list_all()
        if (asked.since is None or one.created_at >= asked.since)
        and (asked.until is None or one.created_at < asked.until)
    ]
    return [row for one in tests[: asked.last] for row in _list_arms(store, one, credits)]


def _list_arms(store: Store, test: Experiment, credits: dict[int, list[Credit]]) -> list[Row]:
    arms = store.experiments.list_counted(test)
    campaigns = store.experiments.list_campaigns(test.id)
    mine = [credit for campaign in campaigns for credit in credits.get(campaign, ())]
    variants = store.experiments.find_arms(test.id, {one.delivery for one in mine})
    worth: dict[str, Worth] = defaultdict(Worth)
    for credit in mine:
        if credit.delivery in variants:
            worth[variants[credit.delivery]].add(credit)
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

"""Tests and their arms, person by person."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from pushctl.jobs.figures.experiments.results import describe_arms
from pushctl.jobs.figures.recount.shares import Bought, describe_money, read_order
from pushctl.jobs.figures.recount.world import World
from pushctl.rules.figures.experiments.decision import Arm, describe
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables.ab import STATS
from pushctl.store.experiments import Experiment
from pushctl.store.orders import Credited

_ACCEPTED, _SHOWN, _CLICKED = 1, 2, 4
# What is counted of a person, by the marks that one message of theirs has.
_COUNTS = {
    "accepted": _ACCEPTED,
    "shown": _ACCEPTED | _SHOWN,
    "clickers": _ACCEPTED | _CLICKED,
}


def describe_test(
    world: World, test: Experiment, campaigns: Collection[int], brought: Sequence[Credited]
) -> dict[tuple[int, str], Row]:
    """Return the rows of the arms of *test* by its number and theirs."""
    counts: dict[str, Counter[str]] = {arm.variant: Counter() for arm in test.arms}
    variants: dict[int, str] = {}
    for (variant, _), known in _look_at_people(world, test, campaigns, variants).items():
        if variant in counts:
            counts[variant].update(["assigned", *known])
    arms = [
        Arm(
            variant=arm.variant, weight=arm.weight, assigned=own["assigned"],
            accepted=own["accepted"], clickers=own["clickers"], shown=own["shown"],
            unsubscribed=own["unsubscribed"], gone=own["gone"],
        )
        for arm in test.arms
        for own in (counts[arm.variant],)
    ]  # fmt: skip
    orders: Mapping[str, list[Bought]] = defaultdict(list)
    for one in brought:
        if one[0] in campaigns and one[1] in variants:
            orders[variants[one[1]]].append(read_order(one))
    about: Row = {"test": test.name, "state": test.state.value}
    return {
        (test.id, arm.variant): STATS.fill(
            {
                **row,
                **describe_money(orders[arm.variant], arm.accepted),
                **about,
                "wins": "yes" if arm.variant == test.winner else None,
            }
        )
        for arm, row in zip(arms, describe_arms(test, arms, describe(arms)), strict=True)
    }


def _look_at_people(
    world: World, test: Experiment, campaigns: Collection[int], variants: dict[int, str]
) -> dict[tuple[str, int], set[str]]:
    """Return what is true of each arm's people; note the arm of each message."""
    people: dict[tuple[str, int], set[str]] = {}
    for campaign in sorted(campaigns):
        rows = world.store.recounts.read_arms(campaign, test.after_delivery)
        for row, subscription, variant, marks, since in rows:
            variants[row] = variant
            (place,) = world.find_places((subscription,))
            # Each of the erased is somebody else.
            own = people.setdefault((variant, world.person[place] or -row), set())
            own.update(name for name, mask in _COUNTS.items() if marks & mask == mask)
            if marks & _ACCEPTED and since in ("unsubscribed", "gone"):
                own.add(since)
    return people

"""The share of a broadcast's people that get it at another hour: `send --explore`."""

from collections.abc import Sequence

from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.subscribers.person_lots import find_lots
from pushctl.model import Millis
from pushctl.rules import random_hours, timing
from pushctl.rules.messages.arms import Differ, read_share
from pushctl.rules.random_hours import Hours
from pushctl.store import Store


def read_explored(draft: Draft) -> float | None:
    """Return the share of people who get another hour; None: nobody does."""
    if draft.explore is None:
        if draft.explore_days != 1:
            raise UsageError("--explore-days belongs to --explore: which share of the people?")
        return None
    if draft.over:
        raise UsageError("--explore and --over don't go together: both choose the times")
    if draft.to:
        raise UsageError("--explore is for an audience, not for single people (--to)")
    if not 1 <= draft.explore_days <= random_hours.MOST_DAYS:
        raise UsageError(f"--explore-days is 1 to {random_hours.MOST_DAYS}")
    return read_share(draft.explore, "--explore")


def refuse_test(differ: Differ, share: float) -> None:
    """Raise UsageError for a test whose times are not free."""
    if differ is Differ.TIME:
        raise UsageError(
            "--explore and times as --variants don't go together: the variants are such a test"
        )
    if share < 1:
        raise UsageError(
            "--explore and --test-share don't go together: who waits for the winner has no "
            "free hour. Test on all people, or leave --explore out."
        )


def spread(
    store: Store,
    config: Config,
    draft: Draft,
    receivers: Sequence[int],
    at: Sequence[Millis],
    *,
    seed: str,
    now: Millis,
) -> tuple[Sequence[Millis], Sequence[float]]:
    """
    Return when each of *receivers* is due, and the probability of that hour.

    Without --explore *at* stays, and there are no probabilities. *at* empty: now.
    """
    share = read_explored(draft)
    if share is None or not receivers:
        return at, ()
    usual = dict(zip(receivers, at or [now] * len(receivers), strict=True))
    words = dict(zip(receivers, find_lots(store, receivers), strict=True))
    sites = {name: site.timezone for name, site in config.sites.items()}
    known: dict[tuple[Millis, str | None, str], Hours] = {}
    drawn: dict[int, tuple[Millis, float]] = {}
    for row, timezone, site in store.schedules.list_zones(receivers):
        key = usual[row], timezone, site
        if key not in known:
            zone = timing.zone(timezone, sites.get(site, "UTC"))
            quiet = config.contact_policy.quiet.get(site)
            known[key] = random_hours.list_hours(usual[row], zone, quiet, draft.explore_days)
        drawn[row] = known[key].draw(share, seed, words[row])
    # Who was erased since has no time zone; they get no row either.
    times = [drawn.get(row, (usual[row], 1.0)) for row in receivers]
    return [due for due, _ in times], [probability for _, probability in times]


def describe(hours: Sequence[float]) -> str | None:
    """Return how many people get it at another hour; None: nothing was drawn."""
    if not hours:
        return None
    usual = max(hours)
    others = sum(each < usual for each in hours)
    return f"hours by lots: {others:,} of {len(hours):,} people get it at another hour"

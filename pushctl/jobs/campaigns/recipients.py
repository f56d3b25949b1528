"""Whom a broadcast reaches, and when each of them is due."""

from array import array
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from pushctl.config import Config
from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.campaigns import random_hours
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.subscribers import audience, suppression
from pushctl.model import Millis, Subscription, SubscriptionState
from pushctl.rules import moments, schedule, timing
from pushctl.store import Store


def find_receivers(
    store: Store, config: Config, draft: Draft, now: Millis
) -> tuple[str, Sequence[int]]:
    if draft.to:
        found = {it.id: it for ref in draft.to for it in _find_people(store, ref, now)}
        names = ", ".join(f"'{it.public_id}'" for it in found.values())
        return f"id in ({names})", list(found)[: draft.limit]
    if not (draft.tags or draft.segments or draft.where or draft.everyone):
        raise UsageError(
            "to whom? Name an audience with --tag, --segment or --where, single people "
            "with --to, or say --everyone."
        )
    typed, expression = audience.build(
        config, tags=draft.tags, segments=draft.segments, where=draft.where
    )
    without = suppression.find_suppressed(store, expression, now)
    if not without:
        return typed, store.audience.list_ids(expression, now, limit=draft.limit)
    wanted = (one for one in store.audience.list_ids(expression, now) if one not in without)
    return typed, array("q", islice(wanted, draft.limit))


def _find_people(store: Store, ref: str, now: Millis) -> list[Subscription]:
    """Return the active subscriptions of one --to: an id, or a signed alias."""
    try:
        found = store.subscriptions.find(ref, now)
    except NotFoundError as error:
        try:
            found = store.subscriptions.find(f"alias:{ref}", now)
        except NotFoundError:
            raise error from None
    active = [one for one in found if one.state is SubscriptionState.ACTIVE]
    if not active:
        raise UsageError(f"{ref} can't be reached: {found[0].state.value}")
    return active


class Times(NamedTuple):
    """
    Receivers, when each of them is due (none: at once), and how probable that hour was.

    No *hours*: nothing was drawn.
    """

    receivers: Sequence[int]
    at: Sequence[Millis]
    hours: Sequence[float] = ()


def set_times(
    store: Store,
    config: Config,
    draft: Draft,
    receivers: Sequence[int],
    now: Millis,
    *,
    seed: str,
) -> Times:
    """
    Return the due times: one for all, or each in their time zone; some at another hour.

    *seed* is a word of the lots of --explore.
    """
    receivers, at = _set_usual(store, config, draft, receivers, now)
    at, hours = random_hours.spread(store, config, draft, receivers, at, seed=seed, now=now)
    return Times(receivers, at, hours)


def find_first_due(config: Config, draft: Draft, now: Millis) -> Millis:
    """
    Return a time before which nobody gets the message: *now*, or the first it may be due.

    With --local that is where the day begins first. Raises InputError for a time that is none.
    """
    if draft.at is None or draft.weekdays:
        return now
    moment, typed = moments.parse(draft.at, now, config.zone)
    zone = schedule.FIRST if draft.local else typed or config.zone
    return max(now, timing.instant(moment.date(), moment.time(), zone))


def _set_usual(
    store: Store, config: Config, draft: Draft, receivers: Sequence[int], now: Millis
) -> tuple[Sequence[int], Sequence[Millis]]:
    """Return receivers and their due times, as all would have them without lots."""
    if draft.at is None:
        if draft.local:
            raise UsageError("--local needs --at: which time on each person's clock?")
        return receivers, ()
    if draft.over:
        raise UsageError("--at and --over don't go together")
    if draft.weekdays:
        return _set_next(store, config, draft, receivers, now)
    moment, typed = moments.parse(draft.at, now, config.zone)
    if not draft.local:
        at = schedule.due(moment, typed or config.zone, now)
        if at is None or at <= now:
            clock = f"{timing.local(now, config.zone):%H:%M} ({config.zone})"
            raise UsageError(f"--at {draft.at!r} has passed; it is {clock}")
        return receivers, array("q", [at]) * len(receivers)
    if typed is not None:
        raise UsageError(
            f"--at {draft.at!r} is one moment for all, and --local means each person's own "
            "clock: leave one of them out"
        )
    if schedule.over_everywhere(moment, now):
        raise UsageError(f"--at {draft.at!r} has passed wherever people live")
    zones = {name: site.timezone for name, site in config.sites.items()}
    rows, times = array("q"), array("q")
    for row, zone, site in store.schedules.list_zones(receivers):
        local = timing.zone(zone, zones.get(site, "UTC"))
        if due := schedule.due(moment, local, now, draft.passed):
            rows.append(row)
            times.append(due)
    return rows, times


def _set_next(
    store: Store, config: Config, draft: Draft, receivers: Sequence[int], now: Millis
) -> tuple[Sequence[int], Sequence[Millis]]:
    """Return receivers, each with the next such hour on one of the draft's weekdays."""
    hour = timing.clock(draft.at or "")
    zones = {name: site.timezone for name, site in config.sites.items()}
    known: dict[tuple[str | None, str], Millis] = {}
    rows, times = array("q"), array("q")
    for row, zone, site in store.schedules.list_zones(receivers):
        key = zone, site
        if key not in known:
            local = timing.zone(zone, zones.get(site, "UTC"))
            known[key] = schedule.due_on(draft.weekdays, hour, local, now)
        rows.append(row)
        times.append(known[key])
    return rows, times

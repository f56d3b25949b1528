"""The tables that compare campaigns, and messages by topic, country, hour and the like."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple

from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.breakdown import kept_breakdowns
from pushctl.jobs.figures.breakdown.dimensions import ORDERED
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Plain, Sources
from pushctl.rules.figures.figure import Row, Table, read_count
from pushctl.rules.figures.forecasts import published_cases
from pushctl.rules.figures.tables.groups import CAMPAIGNS, COUNTS, GROUPS, RANKED, SITES, TIMES
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.store.campaigns import Described

ACTIVE = "active by site"  # an answer that is kept
OF_ACTIVE = Sources((), ("site", "state"))


class Answer(NamedTuple):
    """Rows of a table, all messages together (None: there are none), and remarks for people."""

    rows: list[Row]
    total: Row | None
    remarks: list[str]


def compare(
    store: Store,
    config: Config,
    asked: Filter,
    by: str = "campaign",
    *,
    sort: str | None = None,
    best: bool = False,
) -> Answer:
    """
    Return a row of ``CAMPAIGNS`` a campaign, or of ``GROUPS`` for each group of messages.

    *by* is one of ``dimensions.KINDS``. *sort* and *best*: see ``rank``.
    """
    if by == "campaign":
        answer = compare_campaigns(store, config, asked)
    else:
        answer = compare_groups(store, config, asked, by)
    rows, said = rank(answer.rows, sort, best)
    return Answer(rows, answer.total, [*said, *answer.remarks])


def compare_campaigns(store: Store, config: Config, asked: Filter) -> Answer:
    """Return a row a campaign, newest first; see ``describe_campaigns``."""
    answer = _compare(store, config, asked, "campaign", CAMPAIGNS)
    listed = store.campaigns.list_described(asked.topic, asked.last)
    found = describe_campaigns(config, listed, answer.rows)
    total = answer.total and {**answer.total, "name": "Total"}
    return Answer(found.rows, total, [*found.remarks, *answer.remarks])


def describe_campaigns(
    config: Config, campaigns: Sequence[Described], rows: Sequence[Row]
) -> Answer:
    """
    Return *rows*, whose ``value`` is a campaign's name, with what is known of it.

    ``ctr_case`` and ``ctr_baseline`` are what the published cases and the user's own baseline
    have for such a campaign.
    """
    baseline = asdict(config.baseline)
    described = {one.name: one for one in campaigns}
    found: list[Row] = []
    kinds: dict[str, None] = {}
    for row in rows:
        one = described[str(row["value"])]
        kind = published_cases.find_kind(one.topic, one.trigger)
        kinds[kind] = None
        known = {"name": one.name, "topic": one.topic, "at": one.at}
        beside = {
            "ctr_case": published_cases.CASES[kind].rates[-1],
            "ctr_baseline": baseline[kind],
        }
        found.append({**row, **known, **beside})
    return Answer(found, None, [published_cases.say(kind, baseline) for kind in kinds])


def compare_groups(
    store: Store, config: Config, asked: Filter, by: str, table: Table = GROUPS
) -> Answer:
    """Return a row for each group of messages by *by*, one of ``dimensions.KINDS``."""
    answer = _compare(store, config, asked, by, table)
    rows: list[Row] = [{**row, "by": by} for row in answer.rows]
    if by not in ORDERED:
        rows.sort(key=lambda row: -read_count(row, "accepted"))
    total = answer.total and {**answer.total, "value": "Total"}
    return Answer(rows, total, answer.remarks)


def compare_times(store: Store, config: Config, asked: Filter, by: str) -> Answer:
    """Return a row for each hour, weekday or hour of the week (``by`` cell) of sending."""
    answer = compare_groups(store, config, asked, by, TIMES)
    unknown = next((row for row in answer.rows if row["value"] is None), None)
    said = [
        "These compare what was sent then, not the hours. Which hour is best: pushctl best-time"
    ]
    if unknown is not None and (count := read_count(unknown, "accepted")):
        which = counted(count, "accepted message has", "accepted messages have")
        said.append(
            f"{which} no known hour (-): sent before times were kept, or to people "
            "who were erased since."
        )
    return Answer(answer.rows, answer.total, [*said, *answer.remarks])


def compare_sites(store: Store, config: Config, asked: Filter) -> Answer:
    """Return a row a site, those without a message among them."""
    answer = _compare(store, config, asked, "site", SITES)
    found = {row["value"]: row for row in answer.rows}
    subscribers: Any = kept_answers.load(store, ACTIVE, OF_ACTIVE, lambda: _count_active(store))
    nothing = SITES.fill(dict.fromkeys(COUNTS, 0))
    rows: list[Row] = []
    for name in store.sites.load_ids():
        if asked.site in (None, name):
            row = found.pop(name, nothing)
            rows.append({**row, "site": name, "subscribers": subscribers.get(name, 0)})
    # Messages of people who were erased.
    rows += [{**row, "site": row["value"], "subscribers": None} for row in found.values()]
    total = answer.total and {**answer.total, "site": "Total"}
    return Answer(rows, total, answer.remarks)


def _count_active(store: Store) -> Plain:
    import numpy as np

    from pushctl.jobs.figures.columns.people import load_people

    people = load_people(store, ("site", "active"))
    active = np.bincount(people.site[people.active], minlength=len(people.words["site"]))
    pairs = zip(people.words["site"], active.tolist(), strict=True)
    return {name: count for name, count in pairs if name is not None}


def _compare(
    store: Store,
    config: Config,
    asked: Filter,
    by: str,
    table: Table,
    progress: Progress = no_progress,
) -> Answer:
    found = kept_breakdowns.load(store, config, asked, by, progress)
    remarks = []
    if found.untimed:
        which = counted(found.untimed, "accepted message is", "accepted messages are")
        remarks.append(f"{which} left out: nobody knows any more when they were sent.")
    rows = [table.fill(row) for row in found.rows]
    return Answer(rows, found.total and table.fill(found.total), remarks)


def rank(rows: Sequence[Row], sort: str | None, best: bool) -> tuple[list[Row], list[str]]:
    """
    Return *rows* by the figure *sort*, highest first, and what to say of that.

    *best* goes by the lower bound of the interval: what is surely so good comes before what
    was lucky with few people. Raises UsageError for a sum, which has no interval.
    """
    if sort is None and not best:
        return list(rows), []
    name = sort or "ctr"
    if best and name not in RANKED:
        raise UsageError(f"--best ranks rates. Add --sort and one of: {', '.join(RANKED)}.")
    key = f"{name}_low" if best else name
    ranked = sorted(rows, key=lambda row: _read_rank(row, key), reverse=True)
    currencies = {
        amount[0].currency
        for row in rows
        if isinstance(amount := row.get(name), tuple) and amount
    }
    if len(currencies) > 1:
        return ranked, [
            "There are several currencies, and their amounts were compared as numbers. With "
            "--site, or a currency in [figures], there is one."
        ]
    if not best:
        return ranked, []
    said = (
        f"Best first by the lower bound of {name}: what it surely is, so that luck with few "
        "people does not win."
    )
    return ranked, [said]


def _read_rank(row: Row, key: str) -> tuple[bool, Decimal]:
    value = row.get(key)
    if isinstance(value, tuple):  # by its first currency
        return bool(value), value[0].exact if value else Decimal(0)
    known = isinstance(value, int | float)
    return known, Decimal(value) if isinstance(value, int | float) else Decimal(0)

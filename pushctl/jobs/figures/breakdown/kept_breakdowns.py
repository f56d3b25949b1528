"""
All messages in groups: counts, rates, orders, revenue, a row a group.

Those of KEPT are kept where nothing is filtered (``kept_answers.py``): millions take seconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pushctl.config import Config
from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.attribution.credits import load_brought
from pushctl.jobs.figures.breakdown.dimensions import list_people_columns
from pushctl.jobs.figures.breakdown.result import Added
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Plain, Sources
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.money import Money
from pushctl.store import Store
from pushctl.store.campaigns import Described
from pushctl.store.orders import Credited

# What the tables without options have.
KEPT = ("campaign", "hour", "site")
# Of the receivers' clocks, which some groups need.
_CLOCK = ("timezone", "site")


def load(
    store: Store, config: Config, asked: Filter, by: str, progress: Progress = no_progress
) -> Added:
    """
    Return what the messages that *asked* is about come to, by one of ``dimensions.KINDS``.

    Columns are those of ``group_counts.describe`` and ``group_revenue.describe_worth``.
    *progress*: see ``campaign_counts.load_counts``.
    """
    campaigns = store.campaigns.list_described(asked.topic, asked.last)
    numbers = [one.id for one in campaigns]
    brought = load_brought(store, config, numbers)

    def add_up() -> Added:
        from pushctl.jobs.figures.breakdown import batches

        return batches.add_up(store, config, asked, by, campaigns, brought, progress)

    if by not in KEPT or not asked.is_empty:
        return add_up()
    sources = find_sources(config, asked, by, campaigns, brought)
    found: Any = kept_answers.load(
        store, name_answer(by), sources, lambda: _encode(add_up()), progress
    )
    return _decode(found)


def name_answer(by: str) -> str:
    return f"messages by {by}"


def find_sources(
    config: Config, asked: Filter, by: str, campaigns: Sequence[Described],
    brought: Sequence[Credited],
) -> Sources:  # fmt: skip
    """Return what the kept answer by *by* is counted from."""
    zones = {name: site.timezone for name, site in config.sites.items()}
    people = tuple(dict.fromkeys((*list_people_columns(by), *_CLOCK)))
    told = [list(one) for one in campaigns], list(brought), zones, str(asked.zone)
    return Sources([one.id for one in campaigns], people, told)


def _encode(found: Added) -> Plain:
    total = encode_rows([] if found.total is None else [found.total])
    return {"rows": encode_rows(found.rows), "total": total, "untimed": found.untimed}


def _decode(kept: Mapping[str, Any]) -> Added:
    total = [*decode_rows(kept["total"]), None][0]
    return Added(decode_rows(kept["rows"]), total, kept["untimed"])


def encode_rows(rows: Sequence[Row]) -> list[Plain]:
    """Return *rows* as they are kept."""
    return [{name: _encode_value(value) for name, value in row.items()} for row in rows]


def _encode_value(value: Value) -> Plain:
    return [list(each) for each in value] if isinstance(value, tuple) else value


def decode_rows(kept: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return rows from what ``encode_rows`` made of them."""
    return [
        {
            name: tuple(Money(*each) for each in value) if isinstance(value, list) else value
            for name, value in row.items()
        }
        for row in kept
    ]

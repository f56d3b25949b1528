"""
Which messages people leave after; ``loss_counts.py`` counts it.

The table that nobody filters is kept (``kept_answers.py``), for the quarter of an hour that
it was asked in: days go on with the clock.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from pushctl.config import Config
from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.breakdown.kept_breakdowns import decode_rows, encode_rows
from pushctl.jobs.figures.columns import local_times
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Plain, Sources
from pushctl.rules import units
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables.leaving import USUAL
from pushctl.rules.wording import counted
from pushctl.store import Store

ANSWER = "leaving"  # as it is kept
_ENOUGH_ROWS = 20
_PEOPLE = ("site", "subscribed_at", "state", "browser", "timezone")


class Answer(NamedTuple):
    """Rows of ``LEAVING``, and remarks for people."""

    rows: list[Row]
    remarks: list[str]


def load(store: Store, config: Config, asked: Filter, kinds: Collection[str]) -> Answer:
    """
    Return a row for each group of *kinds* (of ``rules.figures.leaving.KINDS``), in that order.

    *asked*: its site and its time count. Messages from before that time answer, too, for what
    happened in it.
    """

    until = min(asked.until or asked.now, asked.now)
    span = local_times.find_first(asked.since), local_times.find_end(until)

    def count() -> tuple[list[Row], dict[str, int]]:
        from pushctl.jobs.figures.churn import loss_counts

        return loss_counts.count(store, config, asked, span, kinds)

    def encode() -> Plain:
        rows, everything = count()
        # The span is for `stats --check`.
        return {"rows": encode_rows(rows), "all": dict(everything), "span": list(span)}

    if tuple(kinds) != USUAL or asked.site is not None:
        rows, everything = count()
    else:
        sources = find_sources(store, config, asked.zone, span)
        found: Any = kept_answers.load(store, ANSWER, sources, encode)
        rows, everything = decode_rows(found["rows"]), found["all"]
    return Answer(rows, _list_remarks(everything, rows))


def find_sources(store: Store, config: Config, zone: tzinfo, span: Sequence[int]) -> Sources:
    """Return what the kept answer is counted from: the quarters *span*, days of *zone*."""
    campaigns = store.campaigns.list_described()
    numbers = [one.id for one in campaigns]
    zones = {name: site.timezone for name, site in config.sites.items()}
    texts = store.campaigns.digest_texts(numbers)
    told = [[list(one) for one in campaigns], *span, zones, str(zone), texts]
    return Sources(numbers, _PEOPLE, told, others=("changes",))


def _list_remarks(everything: Mapping[str, int], rows: Sequence[Row]) -> list[str]:
    days = everything["quarters"] * local_times.QUARTER / units.DAY
    said = [
        f"In all {counted(everything['left'], 'unsubscription')} in {days:,.0f} person-days of "
        f"{counted(everything['people'], 'person', 'people')}. Times: how many times as often "
        "as on all other days, with the bounds of 95 %."
    ]
    if len(rows) >= _ENOUGH_ROWS:
        said.append(
            f"Of {len(rows)} rows one or two look different by chance alone (p below 0.05)."
        )
    if untimed := everything["untimed"]:
        which = counted(untimed, "accepted message is", "accepted messages are")
        said.append(f"{which} left out: nobody knows any more when they were sent.")
    return said

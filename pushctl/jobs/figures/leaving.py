"""
Which messages people leave after; ``departures.py`` counts it.

The table that nobody filters is kept (``answers.py``), for the quarter of an hour that it was
asked in: days go on with the clock.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pushctl.config import Config
from pushctl.jobs.figures import answers, local_times
from pushctl.jobs.figures.answers import Plain, Sources
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.totals import decode_rows, encode_rows
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.leaving import USUAL
from pushctl.store import Store

ANSWER = "leaving"  # as it is kept
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

    def count() -> Answer:
        from pushctl.jobs.figures import departures

        return Answer(*departures.count(store, config, asked, span, kinds))

    if tuple(kinds) != USUAL or asked.site is not None:
        return count()
    campaigns = store.campaigns.list_described()
    numbers = [one.id for one in campaigns]
    zones = {name: site.timezone for name, site in config.sites.items()}
    texts = store.campaigns.digest_texts(numbers)
    told = [[list(one) for one in campaigns], *span, zones, str(asked.zone), texts]
    sources = Sources(numbers, _PEOPLE, told, others=("changes",))
    found: Any = answers.load(store, ANSWER, sources, lambda: _encode(count()))
    return _decode(found)


def _encode(found: Answer) -> Plain:
    return {"rows": encode_rows(found.rows), "remarks": list[Plain](found.remarks)}


def _decode(kept: Mapping[str, Any]) -> Answer:
    return Answer(decode_rows(kept["rows"]), kept["remarks"])

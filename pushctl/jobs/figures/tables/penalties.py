"""
Browsers that take the permission away from sites that annoy: how many are near to that.

Chrome revokes it where notifications are many and nobody reacts (its bounds are not public);
Safari ends a subscription after three pushes for which nothing was shown.
``ignored_messages.py`` counts it; the answer is kept (``kept_answers.py``) for the quarter of
an hour of the question.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.breakdown.kept_breakdowns import decode_rows, encode_rows
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Sources
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.wording import counted
from pushctl.store import Store

ANSWER = "penalties"  # as it is kept
_WARN = {"Chrome": 0.5, "Safari": 0.05}
# A campaign that began earlier has hardly a message of the last 30 days.
_LONGEST: Millis = 60 * units.DAY
_PEOPLE = ("browser", "state", "site")


def load(store: Store, asked: Filter) -> list[Row]:
    """Return the rows of ``PENALTIES``: of Chrome and Safari, those that have browsers."""
    recent = [
        one.id
        for one in store.campaigns.list_described()
        if one.trigger is not None or one.at > asked.now - _LONGEST
    ]

    def count() -> list[Row]:
        from pushctl.jobs.figures.churn import ignored_messages

        return ignored_messages.count(store, asked, recent)

    # Kept beside the rows, for `stats --check`.
    now = asked.now // (15 * units.MINUTE)
    about: dict[str, Any] = {"now": now, "site": asked.site, "campaigns": recent}
    found: Any = kept_answers.load(
        store, ANSWER, find_sources(about), lambda: {**about, "rows": encode_rows(count())}
    )
    return decode_rows(found["rows"])


def find_sources(about: Mapping[str, Any]) -> Sources:
    """Return what the kept answer is counted from: ``campaigns``, ``now`` and ``site``."""
    return Sources(about["campaigns"], _PEOPLE, [about["now"], about["site"]])


def warn(rows: Sequence[Row]) -> list[str]:
    """Return what to say where many are near to losing the permission."""
    said = []
    for row in rows:
        browser, share = str(row["browser"]), row["ignored_share"]
        if not isinstance(share, float) or share < _WARN[browser]:
            continue
        which = counted(read_count(row, "ignored"), "browser")
        of = f"{which} of {read_count(row, 'browsers'):,} ({share * 100:.0f} %)"
        said.append(_WORDS[browser].format(of=of))
    return said


_WORDS = {
    "Chrome": "Chrome: {of} got 4 messages or more in 30 days and reacted to none. Chrome "
    "takes the permission from sites whose many notifications are ignored. Write to them "
    "less: [frequency], [sunset].",
    "Safari": "Safari: {of} have shown none of their last 3 messages. Safari ends a "
    "subscription after 3 pushes without a notification. See that sw/ is up to date: "
    "pushctl check.",
}

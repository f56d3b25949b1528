"""
What an assistant may ask, as plain values.

It gets figures, plans and one person's history by public id, but no alias, attribute,
endpoint, key, promo code or free SQL. A text that comes from subscribers, shops or feeds
could be written to steer an assistant: such a text stands in a field whose name begins with
``untrusted_``, and is cut. What an assistant writes is a draft that sends nothing.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, PushctlError
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import wording
from pushctl.rules.limits import MAX_UNTRUSTED_CHARACTERS
from pushctl.rules.money import Money
from pushctl.store import Store

MOST_ROWS = 200
SMALLEST_GROUP_PEOPLE = 5
_UNTRUSTED = "untrusted_"
# Groups whose words are ours or the owner's; others come from browsers, pages and shops.
_OWN_WORDS = ("topic", "variant", "hour", "weekday", "day", "week", "month", "site")
GROUPS = ("campaign", *_OWN_WORDS, "language", "country", "browser", "os", "device")

Row = Mapping[str, object]


class Tools:
    """The tools of one session; *read_now* is asked for each call."""

    def __init__(
        self,
        config: Config,
        store: Store,
        read_now: Callable[[], Millis],
        *,
        allow_drafts: bool = False,
    ) -> None:
        self._config, self._store, self._read_now = config, store, read_now
        self._allow_drafts = allow_drafts

    def list_campaigns(self, last: int = 20) -> list[dict[str, Json]]:
        """List the latest campaigns: state, when they started, messages by state."""
        from pushctl.jobs.figures.tables import funnels
        from pushctl.rules.figures.tables.campaigns import LIST

        count = str(_bound(last))
        rows = funnels.load_latest(self._store, count, self._read_now(), LIST)
        return [_tidy(row) for row in rows]

    def read_stats(
        self,
        by: str = "campaign",
        site: str | None = None,
        since: str | None = None,
        until: str | None = None,
        topic: str | None = None,
    ) -> list[dict[str, Json]]:
        """
        Compare messages by campaign, topic, hour, country and so on.

        Rates are fractions with 95 % intervals (ctr_low, ctr_high); ctr_n is the number of
        people. Groups of fewer than five people are left out. since and until are times such
        as 30d or 2026-11-01.
        """
        from pushctl.jobs.figures import filters
        from pushctl.jobs.figures.tables import breakdowns

        if by not in GROUPS:
            raise InputError(f"by is one of {', '.join(GROUPS)}, not {_cut(by)!r}")
        asked = filters.read(
            self._config,
            self._store,
            self._read_now(),
            site=site,
            since=since,
            until=until,
            topic=topic,
        )
        answer = breakdowns.compare(self._store, self._config, asked, by)
        large = [row for row in answer.rows if _is_large(row)]
        key = "value" if by in _OWN_WORDS else f"{_UNTRUSTED}value"
        return [_tidy(row, value=key) for row in large[:MOST_ROWS]]

    def explain_person(self, public_id: str) -> dict[str, Json]:
        """
        Say what one subscriber got, when and why, by public id (``subscribers list``).

        untrusted_ fields hold texts that the subscriber's browser or a shop sent.
        """
        who = self._find(public_id)
        histories = self._store.histories
        messages = [
            {
                "at": wording.iso(row.at),
                f"{_UNTRUSTED}campaign": _cut(row.name),
                "status": row.status,
                "language": row.language,
                "variant": row.variant,
                f"{_UNTRUSTED}reason": _cut(row.reason),
            }
            for row in histories.list_ledger(who.id, MOST_ROWS)
        ]
        decisions = [
            {
                "at": wording.iso(one.at),
                "trigger": one.trigger,
                "decision": one.kind,
                "step": one.step,
                f"{_UNTRUSTED}reason": _cut(one.reason),
            }
            for one in histories.list_decisions(who.id)
        ][-MOST_ROWS:]
        reports = [
            {"at": wording.iso(at), f"{_UNTRUSTED}campaign": _cut(name), "report": kind}
            for name, kind, _, at in self._store.interactions.list_newest(who.id, MOST_ROWS)
        ]
        events = [
            {"at": wording.iso(event.at), f"{_UNTRUSTED}name": _cut(event.name)}
            for event in self._store.events.list_newest(who.id, MOST_ROWS)
        ]
        return {
            "public_id": who.public_id,
            "site": who.site,
            "state": str(who.state),
            "messages": messages,
            "decisions": decisions,
            "reports": reports,
            "events": events,
        }

    def _find(self, public_id: str) -> Subscription:
        # Parts of an id, numbers and aliases would tell who is subscribed.
        try:
            found = self._store.subscriptions.find(public_id)
        except PushctlError:
            found = []
        if len(found) != 1 or found[0].public_id != public_id:
            raise NotFoundError("no subscriber has this public id; nothing else is taken here")
        return found[0]

    def count_segments(self) -> list[dict[str, Json]]:
        """Count the active subscribers of each segment of pushctl.toml."""
        from pushctl.jobs.subscribers import audience

        found = audience.list_segments(self._config, self._store, self._read_now())
        return [
            {"segment": one.name, "subscribers": one.subscribers, "share": one.share}
            for one in found
        ]

    def list_templates(self) -> list[dict[str, Json]]:
        """List the message templates: their languages, and what a site's language lacks."""
        from pushctl.jobs.messages import overview

        return [
            {
                "template": one.name,
                "languages": list(one.languages),
                "missing": list(one.missing),
                "variants": list(one.variants),
                "problems": len(one.problems),
            }
            for one in overview.list_templates(self._config)
        ]

    def list_schedules(self) -> list[dict[str, Json]]:
        """List what is scheduled: campaigns, series and reports, the next first."""
        from pushctl.jobs.reports import schedule

        rows = schedule.list_all(self._store, self._config)
        return [
            {
                f"{_UNTRUSTED}name": _cut(row["name"]),
                "when": row["when"],
                "next_at": wording.iso(row["next_at"]) if row["next_at"] else None,
            }
            for row in rows[:MOST_ROWS]
        ]

    def write_draft(self, name: str, text: str) -> dict[str, Json]:
        """
        Write a campaign's file, as TOML, into campaigns/drafts/: it sends nothing.

        A person looks at it and sends it with ``pushctl apply --draft NAME``. docs/campaigns.md
        has the keys, such as template, tags, at. What is there is never overwritten.
        """
        from pushctl.jobs.campaigns import drafts

        if not self._allow_drafts:
            raise InputError("drafts are off: a person starts `pushctl mcp --allow-drafts`")
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"this is no TOML: {error}") from error
        file = drafts.write(self._config, name, text)
        said = f"a person looks at it and sends it: pushctl apply --draft {name}"
        return {"file": file, "next": said}


def list_tools(tools: Tools, *, allow_drafts: bool) -> list[Callable[..., Any]]:
    """Return the methods that are tools."""
    found: list[Callable[..., Any]] = [
        tools.list_campaigns,
        tools.read_stats,
        tools.explain_person,
        tools.count_segments,
        tools.list_templates,
        tools.list_schedules,
    ]
    return [*found, tools.write_draft] if allow_drafts else found


def _bound(count: int) -> int:
    return max(1, min(count, MOST_ROWS))


def _is_large(row: Row) -> bool:
    people = row.get("ctr_n")
    return isinstance(people, int) and people >= SMALLEST_GROUP_PEOPLE


def _tidy(row: Row, value: str = "value") -> dict[str, Json]:
    """
    Return *row* with plain values; its group's word is named *value*.

    Who has a key of the API names its messages' campaign.
    """
    names = {"value": value, "name": f"{_UNTRUSTED}name"}
    return {names.get(name, name): _write(found) for name, found in row.items()}


def _write(value: object) -> Json:
    if isinstance(value, Money):
        return {
            "minor": value.minor,
            "exponent": value.exponent,
            "currency": value.currency,
        }
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Sequence):
        return [_write(each) for each in value]
    return value if isinstance(value, bool | int | float) or value is None else str(value)


def _cut(text: str | None) -> str | None:
    """Return *text* without control characters, at most MAX_UNTRUSTED_CHARACTERS long."""
    return None if text is None else wording.clean(text)[:MAX_UNTRUSTED_CHARACTERS]

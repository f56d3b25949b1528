"""
Figures by queries over rows; jobs/figures/columns/campaign_counts.py has those of all messages.

Counts are requested by the names of the figures (rules/figures); others are not read.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from pushctl.rules.figures.figure import Row
from pushctl.states import DeliveryStatus, Millis
from pushctl.store.noun import Noun, as_json

# What a template reads of a subscriber; what everybody has is "'x'".
_FIELDS = {
    **{
        name: f"s.{name}"
        for name in ("language", "country", "city", "browser", "os", "timezone", "source")
    },
    "alias": "iif(s.alias_trusted, s.alias, NULL)",
    "id": "'x'",
    "subscribed_at": "'x'",
}

# Counts of messages, over deliveries.
_LEDGER = {
    **{status.value: f"sum(d.status = '{status}')" for status in DeliveryStatus},
    "planned": "count(*)",
    "waiting": "sum(d.status IN ('planned', 'sending'))",
}
# Of messages in the form of another service's worker, over foreign_deliveries.
_FOREIGN = {
    "unreported": "sum(d.status = 'accepted' AND NOT EXISTS "
    "(SELECT 1 FROM interactions AS x WHERE x.delivery_id = d.id))"
}
# Of messages in whose place the browser thanked for a purchase, over thanked.
_THANKED = {"bought": "count(*)"}
# Counts of reports, over interactions. A click or a closing proves that the message was
# shown, also where its "shown" got lost.
_REACTIONS = {
    "shown": "count(DISTINCT i.delivery_id)",
    "clicked": "count(DISTINCT iif(i.kind = 'clicked', i.delivery_id, NULL))",
    "clicks": "sum(i.kind = 'clicked')",
}

_PAGE = 50_000


class Reports(Noun):
    def list_campaigns(self, campaigns: Sequence[int]) -> list[tuple[int, str, str, Millis]]:
        """Return number, name, status and beginning of *campaigns*, newest first."""
        sql = """
            SELECT id, name, status, coalesce(started_at, created_at) FROM campaigns
             WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id DESC
        """
        return self._read(sql, ids=as_json(campaigns)).fetchall()

    def load_funnel(
        self, names: Collection[str], campaigns: Sequence[int] | None = None
    ) -> list[Row]:
        """
        Return a row of name, status, at and the counts *names* a campaign, newest first.

        *campaigns*: only these; else all of push but tests: calls on other channels are never
        shown and would spoil the rates. Raises KeyError for a name that has no SQL here.
        """
        given, counts = _build_counts(names, some=campaigns is not None)
        sql = f"""
            {given}
            SELECT c.name, c.status, coalesce(c.started_at, c.created_at), {counts}
              FROM campaigns AS c
              LEFT JOIN ledger AS l ON l.part = c.id
              LEFT JOIN reactions AS r ON r.part = c.id
              LEFT JOIN foreigners AS f ON f.part = c.id
              LEFT JOIN thanks AS k ON k.part = c.id
             WHERE :campaigns IS NULL AND c.options ->> '$.channel' IS NULL
                   AND c.is_test IS NULL
                OR c.id IN (SELECT value FROM json_each(:campaigns))
             ORDER BY c.id DESC
        """  # noqa: S608 - no text of others
        return self._list_rows(sql, ("name", "status", "at", *names), campaigns)

    def _list_rows(
        self, sql: str, names: Sequence[str], campaigns: Sequence[int] | None
    ) -> list[Row]:
        found = self._read(sql, campaigns=None if campaigns is None else as_json(campaigns))
        return [dict(zip(names, row, strict=True)) for row in found]

    def count_languages(
        self, subscriptions: Sequence[int]
    ) -> list[tuple[str, str | None, int]]:
        """Return (site, language, count) of these subscriptions."""
        sql = """
            SELECT t.name, s.language, count(*)
              FROM json_each(:ids) AS j
              JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
             GROUP BY 1, 2
        """
        found: Counter[tuple[str, str | None]] = Counter()
        # In pages: a list of a million rows would be a text of eight megabytes.
        for start in range(0, len(subscriptions), _PAGE):
            ids = json.dumps(list(subscriptions[start : start + _PAGE]))
            for site, language, count in self._read(sql, ids=ids):
                found[site, language] += count
        return [(site, language, count) for (site, language), count in found.items()]

    def count_all_languages(self) -> list[tuple[str, str | None, int]]:
        """Return (site, language, count) of all active subscriptions."""
        sql = """
            SELECT t.id, t.name, coalesce(s.language, '')
              FROM subscriptions AS s NOT INDEXED CROSS JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active'
        """
        # GROUP BY would sort all of them in memory.
        found = sorted(Counter(self._read(sql)).items())
        return [(site, language or None, count) for (_, site, language), count in found]

    def count_lacking(self, paths: Sequence[str]) -> tuple[list[int], int]:
        """
        Return how many active people lack each value of *paths*, and how many people there are.

        A path is "subscriber.city" or "attributes.first_name", as templates write it.
        Raises KeyError for a field that a subscriber has not.
        """
        lacking, values = [], {}
        for number, path in enumerate(paths):
            root, _, rest = path.partition(".")
            column = _FIELDS[rest] if root == "subscriber" else f"s.attributes ->> :p{number}"
            if root != "subscriber":
                values[f"p{number}"] = "".join(f'."{key}"' for key in rest.split("."))
                values[f"p{number}"] = "$" + values[f"p{number}"]
            lacking.append(f"sum(coalesce({column}, '') = '')")
        sql = f"""
            SELECT count(*), {", ".join(lacking) or "0"} FROM subscriptions AS s NOT INDEXED
             WHERE s.state = 'active'
        """  # noqa: S608 - our own columns
        people, *counts = self._read(sql, **values).fetchone()
        return [count or 0 for count in counts[: len(paths)]], people

    def count_active(self, site: int | None = None) -> int:
        """Return how many subscriptions are active now."""
        sql = """
            SELECT count(*) FROM subscriptions NOT INDEXED
             WHERE state = 'active' AND (:site IS NULL OR site_id = :site)
        """
        return int(self._read_value(sql, site=site))


def _build_counts(names: Collection[str], *, some: bool) -> tuple[str, str]:
    """
    Return a WITH clause of ledger (l), reactions (r), foreigners (f), thanks (k); counts.

    All are grouped by campaign; *some*: only the campaigns :campaigns.
    """
    listed = "SELECT value FROM json_each(:campaigns)"
    where = f"WHERE d.campaign_id IN ({listed})" if some else ""
    elsewhere = {**_REACTIONS, **_FOREIGN, **_THANKED, "reported": ""}
    needed = ("planned", "accepted", *names) if "reported" in names else ("planned", *names)
    ledger = {name: _LEDGER[name] for name in needed if name not in elsewhere}
    reactions = {name: _REACTIONS[name] for name in names if name in _REACTIONS}
    # Some campaigns' interactions are found from their deliveries, all of them from the
    # interactions, whose index gives them in order of delivery.
    both = ("deliveries AS d", "interactions AS i")
    joined = " CROSS JOIN ".join(both) if some else " JOIN ".join(reversed(both))

    def select(counts: Mapping[str, str], tables: str) -> str:
        columns = ", ".join(f"{sql} AS {name}" for name, sql in counts.items())
        return f"SELECT d.campaign_id AS part, {columns} FROM {tables} {where} GROUP BY 1"  # noqa: S608

    first, second = select(ledger, both[0]), "SELECT 0 AS part"
    if reactions:
        second = select(reactions, f"{joined} ON d.id = i.delivery_id")
    # Few: their own table comes first.
    third = select(
        _FOREIGN, "foreign_deliveries AS o JOIN deliveries AS d ON d.id = o.delivery_id"
    )
    fourth = select(_THANKED, "thanked AS o JOIN deliveries AS d ON d.id = o.delivery_id")
    given = {"ledger": first, "reactions": second, "foreigners": third, "thanks": fourth}
    tables = "WITH " + ", ".join(f"{name} AS ({sql})" for name, sql in given.items())
    return tables, ", ".join(map(_read_count, names))


def _read_count(name: str) -> str:
    if name == "reported":
        return "coalesce(l.accepted, 0) - coalesce(f.unreported, 0)"
    homes = (("r", _REACTIONS), ("f", _FOREIGN), ("k", _THANKED))
    table = next((letter for letter, counts in homes if name in counts), "l")
    return f"coalesce({table}.{name}, 0)"

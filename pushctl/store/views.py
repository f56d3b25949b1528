"""
The views of rules/figures/views/catalogue.py, as SQL, on a read-only connection of their own.

They are temporary views: each build brings its own, the database's file has none, and no
migration trips over one. The file is attached under a name that is a secret of the
connection, and below its tables' own names stand views that lead nowhere. So no statement of
a person can name a table, whatever it does: SQLite asks no authorizer for the columns that
NATURAL JOIN and USING compare, and tells it the name of a WITH as if it were a view's.
"""

import secrets
import sqlite3
from pathlib import Path

from pushctl.rules.figures.views.catalogue import VIEWS
from pushctl.store.connection import Connection, connect, explain

_SITE = "(SELECT t.name FROM @.sites AS t WHERE t.id = s.site_id)"
_PERSON = "LEFT JOIN @.subscriptions AS s ON s.id ="
_FOREIGN = "SELECT f.delivery_id FROM @.foreign_deliveries AS f"
_CLICKED = "FROM @.interactions AS x WHERE x.delivery_id = d.id AND x.kind = 'clicked'"
_AMOUNT = (
    "d.minor / CASE d.exponent WHEN 0 THEN 1.0 WHEN 1 THEN 10.0 WHEN 2 THEN 100.0 "
    "WHEN 3 THEN 1e3 WHEN 4 THEN 1e4 WHEN 5 THEN 1e5 WHEN 6 THEN 1e6 END"
)

# Messages but tests' that carry a code or carried it.
_BOUND = (
    "FROM @.promo_bindings AS b JOIN @.deliveries AS e ON e.id = b.delivery_id "
    "JOIN @.campaigns AS c ON c.id = e.campaign_id "
    "LEFT JOIN @.subscriptions AS s ON s.id = b.subscription_id "
    "LEFT JOIN @.sites AS t ON t.id = s.site_id "
    "WHERE b.code_id = d.id AND c.is_test IS NULL"
)
# Registering begins a life, unless somebody came here inactive; of several losses in a row the
# first one ended it.
_CHANGED = "IN ('revived', 'unsubscribed', 'gone', 'quarantined')"
_LIVES = f"""
    (SELECT v.subscription_id, v.at AS began_at, v.kind, v.kind = 'subscribed' AS first,
            lead(v.at) OVER own AS ended_at, lead(v.kind) OVER own AS ended_by
       FROM (SELECT p.id AS subscription_id, 'subscribed' AS kind, p.subscribed_at AS at,
                    0 AS number
               FROM @.subscriptions AS p
              WHERE p.subscribed_at > 0 AND coalesce(
                    (SELECT h.kind <> 'revived' FROM @.subscription_changes AS h
                      WHERE h.subscription_id = p.id AND h.kind {_CHANGED}
                      ORDER BY h.at, h.id LIMIT 1), p.state = 'active')
             UNION ALL
             SELECT w.subscription_id, w.kind, w.at, w.id
               FROM (SELECT h.subscription_id, h.kind, h.at, h.id, lag(h.kind = 'revived')
                            OVER (PARTITION BY h.subscription_id ORDER BY h.at, h.id) AS before
                       FROM @.subscription_changes AS h WHERE h.kind {_CHANGED}) AS w
              WHERE w.before IS NULL OR w.before <> (w.kind = 'revived')) AS v
     WINDOW own AS (PARTITION BY v.subscription_id ORDER BY v.number > 0, v.at, v.number)
    ) AS d {_PERSON} d.subscription_id WHERE d.kind IN ('subscribed', 'revived')
"""  # noqa: S608 - our own words

# By view: the expressions of columns that are no column of their own name, and the tables.
_SOURCES: dict[str, tuple[dict[str, str], str]] = {
    "deliveries": (
        {
            "campaign": "c.name",
            "topic": "c.topic",
            "trigger": "c.trigger",
            "step": "c.step",
            "channel": "c.options ->> '$.channel'",
            "test": "c.is_test IS NOT NULL",
            "subscriber_id": "d.subscription_id",
            "site": _SITE,
            "country": "s.country",
            "browser": "s.browser",
            "os": "s.os",
            "timezone": "s.timezone",
            "subscribed_at": "s.subscribed_at",
            "bridge": f"d.id IN ({_FOREIGN})",
            "unreported": f"d.status = 'accepted' AND d.id IN ({_FOREIGN}) "
            "AND d.shown_at IS NULL",
            "shown": "d.shown_at IS NOT NULL",
            "clicked": "d.clicked_at IS NOT NULL",
            "clicks": f"iif(d.clicked_at IS NULL, 0, (SELECT count(*) {_CLICKED}))",
            "bought": "EXISTS (SELECT 1 FROM @.thanked AS k WHERE k.delivery_id = d.id)",
        },
        f"@.deliveries AS d JOIN @.campaigns AS c ON c.id = d.campaign_id {_PERSON} "
        "d.subscription_id",
    ),
    "interactions": (
        {
            "campaign_id": "e.campaign_id",
            "campaign": "c.name",
            "subscriber_id": "e.subscription_id",
            "site": _SITE,
        },
        "@.interactions AS d JOIN @.deliveries AS e ON e.id = d.delivery_id "
        f"JOIN @.campaigns AS c ON c.id = e.campaign_id {_PERSON} e.subscription_id",
    ),
    "events": (
        {"subscriber_id": "d.subscription_id", "site": _SITE},
        f"@.events AS d {_PERSON} d.subscription_id",
    ),
    "orders": (
        {
            "site": "(SELECT t.name FROM @.sites AS t WHERE t.id = d.site_id)",
            "amount": _AMOUNT,
            "items": "json_array_length(d.lines)",
            "subscriber_id": "d.subscription_id",
        },
        "@.orders AS d",
    ),
    "people": (
        {
            "site": "(SELECT t.name FROM @.sites AS t WHERE t.id = d.site_id)",
            "reason": "d.state_reason",
            "alias_signed": "d.alias_trusted AND d.alias IS NOT NULL",
            "no_tracking": "CASE WHEN d.tracking_refused_at IS NOT NULL THEN 'consent' "
            "WHEN d.gpc_at IS NOT NULL THEN 'gpc' END",
        },
        "@.subscriptions AS d",
    ),
    "changes": (
        {"subscriber_id": "d.subscription_id", "site": _SITE},
        f"@.subscription_changes AS d {_PERSON} d.subscription_id",
    ),
    "enrolments": (
        {"subscriber_id": "d.subscription_id", "site": _SITE},
        f"@.enrolments AS d {_PERSON} d.subscription_id",
    ),
    "campaigns": (
        {"channel": "d.options ->> '$.channel'", "test": "d.is_test IS NOT NULL"},
        "@.campaigns AS d",
    ),
    "tests": ({}, "@.experiments AS d"),
    "triggers": (
        {
            "active": "(SELECT count(*) FROM @.enrolments AS e WHERE e.trigger = d.name "
            "AND e.state = 'active')"
        },
        "@.trigger_states AS d",
    ),
    "prompts": (
        {"site": "(SELECT t.name FROM @.sites AS t WHERE t.id = d.site_id)"},
        "@.prompt_counts AS d",
    ),
    "looks": (
        {
            "command": "d.summary ->> '$.command'",
            "by": "d.summary ->> '$.by'",
            "rows": "d.summary ->> '$.rows'",
            "at": "d.started_at",
        },
        "@.runs AS d WHERE d.command = 'people'",
    ),
    "lives": ({"subscriber_id": "d.subscription_id", "site": _SITE}, _LIVES),
    "credits": ({}, "@.attributions AS d"),
    "codes": (
        {
            "pool": "(SELECT p.name FROM @.promo_pools AS p WHERE p.id = d.pool_id)",
            "code_id": "d.id",
            "site": f"(SELECT max(t.name) {_BOUND})",
            "accepted": f"(SELECT max(e.status IN ('accepted', 'in_doubt')) {_BOUND}) IS 1",
            "redeemed": "EXISTS (SELECT 1 FROM @.promo_redemptions AS r "
            "JOIN @.orders AS o ON o.id = r.order_id WHERE r.code_id = d.id "
            "AND o.state IN ('paid', 'refunded') AND NOT o.test)",
            "given_at": f"(SELECT min(b.at) {_BOUND})",
        },
        "@.promo_codes AS d",
    ),
    "redemptions": (
        {
            "pool": "(SELECT p.name FROM @.promo_pools AS p WHERE p.id = k.pool_id)",
            "shared": "k.for_all",
        },
        "@.promo_redemptions AS d JOIN @.promo_codes AS k ON k.id = d.code_id",
    ),
    "segment_sizes": ({}, "@.segment_sizes AS d"),
}

# Whatever a view says, these are never read for people.
SECRETS = frozenset(
    {"endpoint", "endpoint_hash", "p256dh", "auth", "key_id", "email_hash", "cart_key",
     "attributes", "properties", "code", "codes", "dedupe_key", "location", "sources",
     "history", "sender"}
)  # fmt: skip


def open_views(path: Path, *, people: bool) -> tuple[Connection, str]:
    """
    Open *path* read-only with the views; return the connection and the file's secret name.

    *people*: with the columns that name a person. Times are milliseconds, booleans 0 and 1.
    """

    def translate(error: sqlite3.DatabaseError) -> None:
        ours = explain(error, path)
        if ours is not None:
            raise ours from error

    connection = connect("file::memory:", translate, uri=True)
    file = f"file_{secrets.token_hex(16)}"
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"ATTACH ? AS {file}", (f"{path.absolute().as_uri()}?mode=ro",))
    for name, view in VIEWS.items():
        expressions, tables = _SOURCES[name]
        columns = ", ".join(
            f'{expressions.get(field.name, f"d.{field.name}")} AS "{field.name}"'
            for field in view.list_fields(people=people)
        )
        sql = f"SELECT {columns} FROM {tables}".replace("@.", f"{file}.")  # noqa: S608
        connection.execute(f'CREATE TEMP VIEW "{name}" AS {sql}')
    _hide_tables(connection, file)
    connection.execute("PRAGMA query_only = ON")
    return connection, file


def name_table(name: str, file: str) -> str:
    """Return the table whose ids are those of the view *name*."""
    return _SOURCES[name][1].split()[0].replace("@.", f"{file}.")


def _hide_tables(connection: Connection, file: str) -> None:
    """Let each name of a table lead nowhere: to the table of that name in an empty database."""
    sql = f"SELECT name FROM {file}.sqlite_master WHERE type IN ('table', 'view')"  # noqa: S608
    for (name,) in connection.execute(sql).fetchall():
        if name not in VIEWS and not name.startswith("sqlite_"):
            quoted = name.replace('"', '""')
            nowhere = f'CREATE TEMP VIEW "{quoted}" AS SELECT * FROM main."{quoted}"'  # noqa: S608
            connection.execute(nowhere)

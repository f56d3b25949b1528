"""
The views of rules/figures/views.py, as SQL, on a read-only connection of their own.

They are temporary views: each build brings its own, the database's file has none, and no
migration trips over one. The file is attached under a name that is a secret of the
connection, and below its tables' own names stand views that lead nowhere. So no statement of
a person can name a table, whatever it does: SQLite asks no authorizer for the columns that
NATURAL JOIN and USING compare, and tells it the name of a WITH as if it were a view's.
"""

import secrets
import sqlite3
from pathlib import Path

from pushctl.rules.figures.views import VIEWS
from pushctl.store.connection import Connection, connect, explain

_SITE = "(SELECT t.name FROM @.sites AS t WHERE t.id = s.site_id)"
_PERSON = "LEFT JOIN @.subscriptions AS s ON s.id ="
_FOREIGN = "SELECT f.delivery_id FROM @.foreign_deliveries AS f"
_CLICKED = "FROM @.interactions AS x WHERE x.delivery_id = d.id AND x.kind = 'clicked'"
_AMOUNT = (
    "d.minor / CASE d.exponent WHEN 0 THEN 1.0 WHEN 1 THEN 10.0 WHEN 2 THEN 100.0 "
    "WHEN 3 THEN 1e3 WHEN 4 THEN 1e4 WHEN 5 THEN 1e5 WHEN 6 THEN 1e6 END"
)

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

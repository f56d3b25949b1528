"""A database as the version before wrote it, whose rows had numbers that come again."""

import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from sqlite_utils import Database

from pushctl.store.schema import migrations

# Somebody with three events, a journey and a message; the newest rows of each kind are gone.
_ROWS = """
    INSERT INTO sites (id, name, origin) VALUES (1, 'shop', 'https://shop.example');
    INSERT INTO subscriptions (id, public_id, site_id, endpoint_hash, endpoint, p256dh, auth,
                               key_id, state_at, subscribed_at, last_seen_at)
    SELECT value, printf('%022d', value), 1, randomblob(16), 'https://push.example/' || value,
           zeroblob(65), zeroblob(16), 'k', 1, 1, 1 FROM json_each('[1, 2, 3]');
    INSERT INTO tags (id, name, folded) VALUES (4, 'Sale', 'sale');
    INSERT INTO subscription_tags (tag_id, subscription_id, set_at) VALUES (4, 1, 1);
    INSERT INTO events (id, subscription_id, name, at, received_at, dedupe_key)
    SELECT value, 1, 'cart_updated', 1, 1, 'e' || value FROM json_each('[10, 11, 12]');
    INSERT INTO enrolments (id, trigger, subscription_id, occurrence, state, entered_at,
                            changed_at)
    VALUES (20, 'basket', 1, 'event:10', 'active', 1, 1),
           (21, 'basket', 2, 'event:60', 'finished', 1, 1);
    INSERT INTO decisions (id, trigger, subscription_id, enrolment_id, kind, at, reason)
    VALUES (30, 'basket', 1, 70, 'entered', 1, 'cart_updated');
    INSERT INTO campaigns (id, name, status, template, audience, sources, created_at)
    VALUES (5, 'basket/1', 'running', 't', 'x', '{}', 1);
    INSERT INTO deliveries (id, campaign_id, subscription_id, enrolment_id, status, changed_at)
    VALUES (40, 5, 1, 20, 'accepted', 1), (41, 5, NULL, 75, 'accepted', 1);
    INSERT INTO interactions (id, delivery_id, kind, at, dedupe_key)
    VALUES (50, 40, 'shown', 1, '40:shown');
    INSERT INTO meta (key, value) VALUES ('sweep.events', '55'), ('sweep.shown', '65');
    INSERT INTO consents (subscription_id, text, at, received_at) VALUES (1, 'v1', 1, 1);
    INSERT INTO runs (id, command, started_at) VALUES (7, 'sweep', 1);
    INSERT INTO recurring (id, name, said, rule, starts, wish, created_at)
    VALUES (8, 'weekly', 'monday', 'FREQ=WEEKLY', '2026-01-01', '{}', 1);
    INSERT INTO subscription_changes (subscription_id, kind, at) VALUES (1, 'gone', 1)
"""
# What the new numbers have to follow: the highest that is or ever was given.
GIVEN = {
    "sites": 1, "subscriptions": 3, "subscription_changes": 1, "tags": 4, "events": 60,
    "campaigns": 5, "deliveries": 41, "interactions": 65, "runs": 7, "enrolments": 75,
    "decisions": 30, "consents": 1, "recurring": 8,
}  # fmt: skip


def make(path: Path, more: int = 0) -> Path:
    """Make it at *path*, with *more* events of the second person."""
    with closing(Database(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        migrations.apply(database, stop_before="m007_numbers")
        with database.atomic():
            for statement in _ROWS.split(";\n"):
                database.execute(statement)
            database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n"
                " WHERE i < 99 + :more) "
                "INSERT INTO events (id, subscription_id, name, at, received_at, dedupe_key) "
                "SELECT i, 2, 'page_view', i, i, 'more' || i FROM n WHERE :more > 0",
                {"more": more},
            )
    path.chmod(0o600)
    return path


def read_rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows by table, with the columns that an older database has, too."""
    with closing(sqlite3.connect(path)) as database:
        return {
            name: database.execute(f"SELECT {columns} FROM {name} ORDER BY 1, 2").fetchall()
            for name, columns in _read_columns().items()
        }


@lru_cache(maxsize=1)
def _read_columns() -> dict[str, str]:
    """Return the columns of each table, as SQL, before rows had numbers of their own."""
    with closing(Database(memory=True)) as database:
        migrations.apply(database, stop_before="m007_numbers")
        return {
            # m016 turns prices into other columns, and has tests of its own.
            name: ", ".join(one for one in database[name].columns_dict if one != "price")
            for name in database.table_names()
            if name != "_sqlite_migrations"
        }


def read_schema(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as database:
        sql = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        return database.execute(sql).fetchall()


def read_state(path: Path) -> str:
    """Return "old" or "new"; AssertionError where the database is neither, or damaged."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        sql = "SELECT 1 FROM _sqlite_migrations WHERE name = 'm007_numbers'"
        noted = database.execute(sql).fetchone() is not None
        sql = "SELECT name FROM sqlite_master WHERE sql LIKE '%PRIMARY KEY AUTOINCREMENT%'"
        changed = {name for (name,) in database.execute(sql)}
        assert changed & GIVEN.keys() == (GIVEN.keys() if noted else set())
    return "new" if noted else "old"

"""
Copies subscribers by SQL, for projects of millions on a machine that is not free for hours.

Each copy has an endpoint, a hash in its place, a public id, an auth secret and an alias of its
own, as random as real ones, so that indexes grow as wide and as scattered as by an import; key,
site, language, country and the like are those of the one it was made of. The hash is random
and not that of the endpoint: nobody comes back. Triggers are taken away meanwhile: what they
delete, kept figures, isn't there yet.

    python benchmarks/copies.py DATABASE COUNT
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

_COLUMNS = (
    "site_id, p256dh, key_id, state_at, alias_trusted, language, timezone, country, city, "
    "browser, os, attributes, subscribed_at, last_seen_at"
)
_COPY = f"""
    INSERT INTO subscriptions (id, public_id, endpoint_hash, endpoint, auth, alias, {_COLUMNS})
    SELECT id + :shift, substr(public_id, 11) || hex(randomblob(5)),
           randomblob(16), substr(endpoint, 1, 175) || printf('%012d', id + :shift),
           randomblob(16), alias || '.' || :shift, {_COLUMNS}
      FROM source.subscriptions WHERE id + :shift <= :count ORDER BY id
"""
_TAGS = """
    INSERT INTO subscription_tags (tag_id, subscription_id, set_at)
    SELECT t.tag_id, t.subscription_id + b.shift, t.set_at
      FROM blocks AS b CROSS JOIN some_tags AS t
     WHERE t.tag_id = :tag AND t.subscription_id + b.shift <= :count
     ORDER BY b.shift, t.subscription_id
"""
_PRAGMAS = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1500000;
    PRAGMA temp_store = FILE; PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys = OFF;
"""


def copy_people(path: Path, count: int, tell: Callable[[int], None]) -> None:
    """Copy the people of the database *path*, who have the first numbers, up to *count*."""
    os.environ["SQLITE_TMPDIR"] = str(path.parent)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.executescript(_PRAGMAS)
        # From a file of its own: SQLite would write what it reads from the same table twice.
        source = path.with_name("source.db")
        connection.execute("VACUUM INTO ?", [str(source)])
        connection.execute("ATTACH ? AS source", [str(source)])
        connection.execute("BEGIN")
        again = _take_away(connection)
        base = connection.execute("SELECT max(id) FROM subscriptions").fetchone()[0]
        shifts = range(base, count, base)
        for shift in shifts:
            connection.execute(_COPY, {"shift": shift, "count": count})
            tell(min(shift + base, count))
        _copy_tags(connection, [0, *shifts], count)
        for statement in again:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("DETACH source")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
        path.with_name("source.db").unlink(missing_ok=True)


def _take_away(connection: sqlite3.Connection) -> list[str]:
    """Drop triggers and indexes of both tables; return what makes them again."""
    sql = """
        SELECT type, name, sql FROM sqlite_master
         WHERE tbl_name IN ('subscriptions', 'subscription_tags')
           AND type IN ('index', 'trigger') AND sql IS NOT NULL
    """
    found = connection.execute(sql).fetchall()
    for kind, name, _ in found:
        connection.execute(f"DROP {kind} {name}")
    return [statement for _, _, statement in found]


def _copy_tags(connection: sqlite3.Connection, shifts: list[int], count: int) -> None:
    """Write all tags anew, in the order of their table: it stays as dense as one by one."""
    connection.execute(
        "CREATE TEMP TABLE some_tags (tag_id, subscription_id, set_at, "
        "PRIMARY KEY (tag_id, subscription_id)) WITHOUT ROWID"
    )
    connection.execute(
        "INSERT INTO some_tags SELECT tag_id, subscription_id, set_at FROM subscription_tags"
    )
    connection.execute("DELETE FROM subscription_tags")
    connection.execute("CREATE TEMP TABLE blocks (shift INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO blocks VALUES (?)", ((one,) for one in shifts))
    for (tag,) in connection.execute("SELECT id FROM tags ORDER BY id").fetchall():
        connection.execute(_TAGS, {"tag": tag, "count": count})


if __name__ == "__main__":
    copy_people(
        Path(sys.argv[1]), int(sys.argv[2]), lambda n: print(f"{n:,} copied", file=sys.stderr)
    )

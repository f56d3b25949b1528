"""Whether a database has the schema of this build; it loads nothing else."""

import sqlite3
from collections.abc import Iterable


def is_migrated(connection: sqlite3.Connection, migrations: Iterable[str]) -> bool:
    """Return whether exactly *migrations* were applied; raises sqlite3.Error."""
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'pushctl'"
    return {name for (name,) in connection.execute(sql)} == set(migrations)

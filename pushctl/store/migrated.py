"""Whether a database has the schema of this build; little is loaded for it."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from pushctl.errors import ConfigError
from pushctl.store.connection import name_damage


def is_migrated(connection: sqlite3.Connection, migrations: Iterable[str]) -> bool:
    """Return whether exactly *migrations* were applied; raises sqlite3.Error."""
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'pushctl'"
    return {name for (name,) in connection.execute(sql)} == set(migrations)


def is_due(
    connection: sqlite3.Connection, path: Path, known: Sequence[str], *, create: bool = False
) -> bool:
    """
    Say whether migrations are pending; ConfigError for one that *known* lacks.

    DamagedError for a database without any, unless it is to be *created*: it would be taken
    for a project without people.
    """
    applied = list_applied(connection)
    if not applied and not create:
        raise name_damage(path, "it has no table of pushctl's")
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise ConfigError(
            f"{path} was written by a newer pushctl (it has {unknown[-1]}). "
            "Install that version, or restore the backup made before the upgrade."
        )
    return len(applied) < len(known)


def list_applied(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the migrations that *connection*'s database has, oldest first."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if connection.execute(sql).fetchone() is None:
        return []
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'pushctl' ORDER BY rowid"
    return [name for (name,) in connection.execute(sql)]

"""Bringing an older database up to this build; a newer one is refused."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pushctl.errors import ConfigError
from pushctl.store.connection import name_damage


def is_due(
    connection: sqlite3.Connection, path: Path, known: Sequence[str], *, create: bool
) -> bool:
    """
    Say whether migrations are pending; ConfigError for one that *known* lacks.

    DamagedError for a database without any, unless it is to be *created*: it would be taken
    for a project without people.
    """
    applied = _list_applied(connection)
    if not applied and not create:
        raise name_damage(path, "it has no table of pushctl's")
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise ConfigError(
            f"{path} was written by a newer pushctl (it has {unknown[-1]}). "
            "Install that version, or restore the backup made before the upgrade."
        )
    return len(applied) < len(known)


def run(connection: sqlite3.Connection, path: Path) -> None:
    """Back the database up and apply what is pending; the caller holds the lock."""
    from sqlite_utils import Database

    from pushctl.store.schema import migrations

    applied = _list_applied(connection)
    if applied:
        _back_up(connection, path.with_name(f"{path.name}.before-{len(applied) + 1:03}"))
    migrations.apply(Database(connection))


def _list_applied(connection: sqlite3.Connection) -> list[str]:
    sql = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if connection.execute(sql).fetchone() is None:
        return []
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'pushctl' ORDER BY rowid"
    return [name for (name,) in connection.execute(sql)]


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)

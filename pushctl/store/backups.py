"""
The database in backups: a copy of it as it was at one moment, and the check of a copy.

The copy has no name as soon as it is opened: a killed backup leaves nothing of it.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from pushctl.errors import ConfigError
from pushctl.rules.limits import MIN_FREE_TO_RESTORE_BYTES
from pushctl.store import KNOWN_MIGRATIONS, orphans
from pushctl.store.connection import connect, explain, name_damage
from pushctl.store.noun import Noun

_PAGES = 2_000  # copied between two looks at the progress


class Backups(Noun):
    def measure(self) -> int:
        """Return how many bytes a copy has, about."""
        pages, size = (self._read_value(f"PRAGMA {it}") for it in ("page_count", "page_size"))
        return int(pages) * int(size)

    @contextmanager
    def copy(self, progress: Callable[[int], None]) -> Iterator[int]:
        """
        Yield an open file that holds the database as it is now; others go on writing.

        *progress* gets bytes. Raises DamagedError where the database is damaged, ConfigError
        where the disk has no room for the copy.
        """
        path = self._store.path
        young = path.with_name(f"{path.name}.{secrets.token_hex(4)}.copy")
        self._check_room(path.parent)
        handle = os.open(young, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                target = connect(young, self._store.explain)
            finally:
                young.unlink()
            with closing(target):
                # Its name is gone: a journal beside it could not be made, nor found.
                target.execute("PRAGMA journal_mode = OFF")
                target.execute("PRAGMA synchronous = OFF")
                self._copy_to(target, progress)
            yield handle
        finally:
            os.close(handle)

    def _copy_to(self, target: sqlite3.Connection, progress: Callable[[int], None]) -> None:
        # One read for all: beside a writer the copying would begin anew each time.
        with self._store.snapshot():
            if broken := self._store.soundness.find_damage():
                raise name_damage(self._store.path, broken[0])
            size = int(self._read_value("PRAGMA page_size"))
            left = int(self._read_value("PRAGMA page_count"))

            def tell(_: int, remaining: int, __: int) -> None:
                nonlocal left
                progress((left - remaining) * size)
                left = remaining

            try:
                self._store.connection.backup(target, pages=_PAGES, progress=tell, sleep=0)
            except sqlite3.DatabaseError as error:
                self._store.explain(error)
                raise

    def _check_room(self, folder: Path) -> None:
        room = os.statvfs(folder)
        needed = self.measure() + MIN_FREE_TO_RESTORE_BYTES
        if (missing := needed - room.f_bavail * room.f_frsize) > 0:
            raise ConfigError(
                f"the backup needs {-(-needed // 1_000_000):,} MB free in {folder} for a "
                f"while, for a copy of the database; {-(-missing // 1_000_000):,} MB are "
                "missing. Make room there, then run this again."
            )


def check(path: Path) -> list[str]:
    """
    Return the migrations of the copy at *path*, after a full look at it.

    Raises DamagedError for a damaged one or one without our tables, ConfigError where a newer
    pushctl wrote it.
    """
    with _open(path) as connection:
        broken = [str(text) for (text,) in connection.execute("PRAGMA quick_check(1)")]
        if broken != ["ok"]:
            raise name_damage(path, broken[0])
        for orphan in orphans.find(connection, 1):
            raise name_damage(path, f"row {orphan.row} of {orphan.table} points to nothing")
        sql = """
            SELECT name FROM _sqlite_migrations WHERE migration_set = 'pushctl' ORDER BY rowid
        """
        try:
            found = [str(name) for (name,) in connection.execute(sql)]
        except sqlite3.OperationalError:
            found = []
    if not found:
        raise name_damage(path, "it has no table of pushctl's")
    if unknown := [name for name in found if name not in KNOWN_MIGRATIONS]:
        raise ConfigError(
            f"a newer pushctl made this backup (its database has {unknown[-1]}). Install that "
            "version, then restore."
        )
    return found


def mark(path: Path, values: Mapping[str, str]) -> None:
    """Write *values* into the table meta of the copy at *path*, durably."""
    sql = """
        INSERT INTO meta (key, value) VALUES (?, ?)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
    """
    with _open(path) as connection:
        # A folded log is not left beside it: the file alone is the database.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        connection.executemany(sql, values.items())
        connection.execute("COMMIT")


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    def on_error(error: sqlite3.DatabaseError) -> None:
        if (ours := explain(error, path)) is not None:
            raise ours from error

    with closing(connect(path, on_error)) as connection:
        # It may be anybody's: neither its schema nor its views are believed.
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection

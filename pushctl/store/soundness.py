"""Checks of the database: damage in the file, and VAPID keys in use."""

import sqlite3
import time
from collections.abc import Collection
from typing import NamedTuple

from pushctl.errors import DamagedError
from pushctl.store.connection import name_damage
from pushctl.store.noun import Noun

SQLITE_VERSION = sqlite3.sqlite_version_info  # of the library that Python uses
# Before this, resetting the write-ahead log beside a writer could lose a commit.
WAL_RESET_FIXED = (3, 51, 3)

_SECONDS = 20.0  # for a look beside another error


class Sizes(NamedTuple):
    """Bytes."""

    file: int
    free: int  # of the file: `pushctl db vacuum` gives it back
    log: int  # the write-ahead log beside it


class Soundness(Noun):
    def find_damage(self) -> list[str]:
        """Return what SQLite finds damaged in the file, up to ten faults."""
        try:
            broken = self._check_pages(10)
            if not broken:
                orphans = self._read("PRAGMA foreign_key_check").fetchmany(10)
                broken = [
                    f"row {row[1]} of {row[0]} points to a {row[2]} that is gone"
                    for row in orphans
                ]
        except DamagedError as error:
            return [str(error.__cause__ or error)]
        return broken

    def find_all(self) -> list[str]:
        """As ``find_damage``, and compare every index with its table: that takes long."""
        broken = self.find_damage()
        if not broken:
            found = self._read("PRAGMA integrity_check(10)").fetchall()
            broken = [" ".join(str(text).split()) for (text,) in found if text != "ok"]
        return broken

    def measure(self) -> Sizes:
        """Return how large the file is, and how much of it is free."""
        size, pages, free = (
            int(self._read_value(f"PRAGMA {name}"))
            for name in ("page_size", "page_count", "freelist_count")
        )
        log = self._store.path.with_name(f"{self._store.path.name}-wal")
        return Sizes(size * pages, size * free, log.stat().st_size if log.exists() else 0)

    def find_first(self) -> DamagedError | None:
        """Return the first damage that is found within some seconds; it is remembered."""
        deadline = time.monotonic() + _SECONDS
        connection = self._store.connection
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
        try:
            broken = self._check_pages(1)
        except DamagedError as error:
            return error
        except sqlite3.OperationalError:
            return None  # it took too long
        finally:
            connection.set_progress_handler(None, 0)
        if not broken:
            return None
        self._store.damage = name_damage(self._store.path, broken[0])
        return self._store.damage

    def _check_pages(self, limit: int) -> list[str]:
        found = self._read(f"PRAGMA quick_check({limit})").fetchall()
        return [" ".join(str(text).split()) for (text,) in found if text != "ok"]

    def count_keys(self) -> dict[str, int]:
        """Return how many active subscriptions were made with each key id."""
        sql = """
            SELECT key_id, count(*) FROM subscriptions
             WHERE state = 'active' GROUP BY key_id
        """
        return dict(self._read(sql))

    def count_lost_keys(self, known: Collection[str]) -> dict[str, int]:
        """Return key id -> active subscriptions for keys that are not *known* any more."""
        return {key: count for key, count in self.count_keys().items() if key not in known}

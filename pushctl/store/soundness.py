"""Checks of the database: damage in the file, and VAPID keys in use."""

import sqlite3
import time
from collections.abc import Collection

from pushctl.errors import DamagedError
from pushctl.store.connection import name_damage
from pushctl.store.noun import Noun

SQLITE_VERSION = sqlite3.sqlite_version_info  # of the library that Python uses
# Before this, resetting the write-ahead log beside a writer could lose a commit.
WAL_RESET_FIXED = (3, 51, 3)

_SECONDS = 20.0  # for a look beside another error


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

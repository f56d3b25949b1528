"""Checks of the database: damage in the file, and VAPID keys in use."""

import sqlite3
from collections.abc import Collection

from pushctl.store.noun import Noun

SQLITE_VERSION = sqlite3.sqlite_version_info  # of the library that Python uses
# Before this, resetting the write-ahead log beside a writer could lose a commit.
WAL_RESET_FIXED = (3, 51, 3)


class Soundness(Noun):
    def find_damage(self) -> list[str]:
        """Return what SQLite finds damaged in the file."""
        found = self._read("PRAGMA quick_check(10)").fetchall()
        broken = [str(text) for (text,) in found if text != "ok"]
        orphans = self._read("PRAGMA foreign_key_check").fetchmany(10)
        broken += [
            f"row {row[1]} of {row[0]} points to a {row[2]} that is gone" for row in orphans
        ]
        return broken

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

"""Checks of the database: damage in the file, and VAPID keys in use."""

import sqlite3
import time
from collections import Counter
from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

from pushctl.errors import DamagedError
from pushctl.model import Millis
from pushctl.store import orphans
from pushctl.store.connection import name_damage
from pushctl.store.noun import Noun

Version = tuple[int, int, int]

SQLITE_VERSION = sqlite3.sqlite_version_info  # of the library that Python uses
# Before this, resetting the write-ahead log beside a writer could lose a commit.
WAL_RESET_FIXED = (3, 51, 3)
_WAL_RESET_BACKPORTS = ((3, 50, 7), (3, 44, 6))  # sqlite.org/wal.html, "The WAL-Reset Bug"

# (from, before, fault), besides that one
_FAULTS: tuple[tuple[Version, Version, str], ...] = (
    ((3, 35, 0), (3, 37, 2), "can damage the database, as its makers found in 3.37.2"),
    ((3, 52, 0), (3, 52, 1), "was withdrawn by its makers"),
)

_SECONDS = 20.0  # for a look beside another error


def has_wal_reset_fault(version: Version) -> bool:
    """Return whether this SQLite can lose a commit when two programs write at once."""
    fixed = any(version[:2] == one[:2] and version >= one for one in _WAL_RESET_BACKPORTS)
    return version < WAL_RESET_FIXED and not fixed


def find_faults(version: Version) -> list[str]:
    """Return the other known faults of this SQLite that concern us, as clauses."""
    return [fault for first, fixed, fault in _FAULTS if first <= version < fixed]


class Holders(NamedTuple):
    """Subscribers of one site who were subscribed with the same VAPID key."""

    site: str
    active: int
    quarantined: int  # tried again after a day
    last_seen_at: Millis


class Sizes(NamedTuple):
    """Bytes."""

    file: int
    free: int  # of the file: `pushctl db vacuum` gives it back
    log: int  # the write-ahead log beside it


class Soundness(Noun):
    def forbid_writing(self) -> None:
        """Let nothing more be written by this connection: for who only looks."""
        self._store.connection.execute("PRAGMA query_only = ON")

    def find_damage(self) -> list[str]:
        """Return what SQLite finds damaged in the file, up to ten faults."""
        try:
            broken = self._check_pages(10)
            if not broken:
                with self._store.snapshot():
                    found = orphans.find(self._store.connection, 10)
                broken = [
                    f"row {one.row} of {one.table} points to a {one.parent} that is gone"
                    for one in found
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
        # The index of who is active is in another order: ten million rows, each on any page.
        # GROUP BY would sort them all in memory.
        sql = "SELECT key_id FROM subscriptions NOT INDEXED WHERE state = 'active'"
        return dict(sorted(Counter(chain.from_iterable(self._read(sql))).items()))

    def count_lost_keys(self, known: Collection[str]) -> dict[str, int]:
        """Return key id -> active subscriptions for keys that are not *known* any more."""
        return {key: count for key, count in self.count_keys().items() if key not in known}

    def count_lost_sites(self, known: Collection[str]) -> dict[str, int]:
        """Return site -> active subscriptions for sites that are not *known* any more."""
        lost = [row for row in self._read("SELECT id, name FROM sites") if row[1] not in known]
        sql = """
            SELECT count(*) FROM subscriptions NOT INDEXED
             WHERE state = 'active' AND site_id = :site
        """
        # Nearly always none is: a GROUP BY would sort all subscribers each time.
        counts = {name: self._read(sql, site=site).fetchone()[0] for site, name in lost}
        return {name: count for name, count in sorted(counts.items()) if count}

    def list_holders(self, key: str) -> list["Holders"]:
        """Return who may still get messages by the key with this id, site by site."""
        sql = """
            SELECT t.name, sum(s.state = 'active'), sum(s.state = 'quarantined'),
                   max(s.last_seen_at)
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.key_id = :key AND s.state IN ('active', 'quarantined')
             GROUP BY t.id ORDER BY 2 DESC, t.name
        """
        return [Holders._make(row) for row in self._read(sql, key=key)]

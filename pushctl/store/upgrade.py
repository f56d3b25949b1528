"""
Bringing an older database up to this build; a newer one is refused.

First the database is copied to ``NAME.before-NNN``. Then one transaction applies all that is
pending: a kill, or a full disk, leaves the old schema or the new one, and none between.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pushctl import durable
from pushctl.errors import ConfigError
from pushctl.rules.limits import MIN_FREE_AFTER_UPGRADE_BYTES
from pushctl.store.migrated import list_applied

# These write all rows of large tables anew: the write-ahead log gets as large as the database.
_REWRITING = frozenset({"m006_causes", "m038_times"})


def run(connection: sqlite3.Connection, path: Path, known: Sequence[str]) -> None:
    """
    Back the database up and apply what is pending of *known*; the caller holds the lock.

    Raises ConfigError, before anything is written, when the disk has too little room.
    """
    applied = list_applied(connection)
    pending = [name for name in known if name not in applied]
    if not pending:
        return  # another process was faster
    from pushctl.store.schema.migrations import apply_together

    if applied:
        copy = path.with_name(f"{path.name}.before-{len(applied) + 1:03}")
        try:
            _back_up(connection, copy, rewrites=not _REWRITING.isdisjoint(pending))
        except OSError as error:
            raise ConfigError(
                f"{copy} can't be written: {error.strerror}. The upgrade begins with this "
                f"copy of the database; nothing was changed."
            ) from error
    apply_together(connection)


def _back_up(connection: sqlite3.Connection, copy: Path, *, rewrites: bool) -> None:
    """Copy the database to *copy*, durably; it gets its name once it is whole."""
    young = copy.with_name(f"{copy.name}.new")
    # Those of an earlier try, which was killed: the database itself is as new, or newer.
    for left in (young, young.with_name(f"{young.name}-journal"), copy):
        left.unlink(missing_ok=True)
    _check_room(connection, copy.parent, rewrites=rewrites)
    os.close(os.open(young, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(young)) as target:
        connection.backup(target)
    young.replace(copy)
    durable.sync_folder(copy.parent)


def _check_room(connection: sqlite3.Connection, folder: Path, *, rewrites: bool) -> None:
    pages, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "page_size")
    )
    needed = pages * size * (2 if rewrites else 1) + MIN_FREE_AFTER_UPGRADE_BYTES
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < needed:
        raise ConfigError(
            f"the upgrade needs {_say_megabytes(needed)} free in {folder}, for a copy of the "
            f"database; {_say_megabytes(needed - free)} are missing. Make room there, then "
            "run this again. Nothing was changed."
        )


def _say_megabytes(size: int) -> str:
    return f"{-(-size // 1_000_000):,} MB"

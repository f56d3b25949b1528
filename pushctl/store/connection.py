"""Connections to SQLite whose errors are ours: translated here and nowhere else."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pushctl.errors import ConfigError, DamagedError, DatabaseBusyError, PushctlError

BUSY_SECONDS = 10.0

# The low byte of a code is the kind, the rest refines it (https://sqlite.org/rescode.html).
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_PROTOCOL,
}


class Connection(sqlite3.Connection):
    """*on_error* gets each error of SQLite before it is raised, and may raise a better one."""

    on_error: Callable[[sqlite3.DatabaseError], None]

    # Their own ways in C make a plain cursor.

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(Cursor).execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(Cursor).executemany(*args)

    def executescript(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(Cursor).executescript(*args)


class Cursor(sqlite3.Cursor):
    """The methods of ``sqlite3.Cursor``, with our errors."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A call of Python's own for each row would cost a third of reading it.
        try:
            yield from iter(partial(sqlite3.Cursor.fetchone, self), None)
        except sqlite3.DatabaseError as error:
            self.connection.on_error(error)  # type: ignore[attr-defined]
            raise


def _with_our_errors(name: str) -> Callable[..., Any]:
    plain = getattr(sqlite3.Cursor, name)

    def run(self: Cursor, /, *args: Any, **options: Any) -> Any:
        try:
            return plain(self, *args, **options)
        except sqlite3.DatabaseError as error:
            self.connection.on_error(error)  # type: ignore[attr-defined]
            raise

    return run


# A read may fail at each row of its answer: pages are fetched as they are needed.
for _name in (
    "execute", "executemany", "executescript", "fetchone", "fetchmany", "fetchall", "__next__",
):  # fmt: skip
    setattr(Cursor, _name, _with_our_errors(_name))


def connect(
    address: str | Path, on_error: Callable[[sqlite3.DatabaseError], None], *, uri: bool = False
) -> Connection:
    """Open *address*; statements are transactions of their own until BEGIN."""
    try:
        made = sqlite3.connect(
            address,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
            uri=uri,
        )
    except sqlite3.DatabaseError as error:
        on_error(error)
        raise
    made.on_error = on_error
    return made


def explain(error: sqlite3.DatabaseError, path: Path) -> PushctlError | None:
    """Return our error for one of SQLite; None: it is a mistake in SQL, or a constraint."""
    full = getattr(error, "sqlite_errorcode", None)
    if full is None:
        # Python's own: text that is not UTF-8. Its message has the text.
        return name_damage(path, "text in it can't be read") if "decode" in str(error) else None
    code = full & 0xFF
    if code in _BUSY:
        return DatabaseBusyError(
            f"another program holds {path} ({error}). Try again when it is done."
        )
    if code in _DAMAGED or full == sqlite3.SQLITE_IOERR_SHORT_READ:
        return name_damage(path, str(error))
    if code in _UNUSABLE:
        return ConfigError(
            f"{path} can't be used: {error}. Check the disk's space{_name_limit()} and the "
            "file's permissions, or restore it from a backup."
        )
    return None


def _name_limit() -> str:
    """Return the words for a bound on the size of files, where this process has one."""
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return "" if largest == resource.RLIM_INFINITY else ", how large files may get (ulimit -f)"


def name_damage(path: Path, what: str) -> DamagedError:
    return DamagedError(
        f"{path} is damaged: {what}. Restore it from a backup (docs/configuration.md), then "
        "run `pushctl release`."
    )


def check_file(path: Path) -> None:
    """Raise ConfigError where there is no database, DamagedError for an empty file."""
    if not path.exists():
        if path.with_name(f"{path.name}.generation").exists():
            raise ConfigError(
                f"{path} is gone, though it has sent messages: its other files are there. "
                "Restore it from a backup; see docs/configuration.md."
            )
        raise ConfigError(
            f"{path} does not exist. Run `pushctl init` here, or name the project "
            "folder with --project."
        )
    if path.stat().st_size == 0:
        # Such as a copy onto a full disk; SQLite would begin a new one in it.
        raise name_damage(path, "it is empty")

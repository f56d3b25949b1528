"""
The database: one SQLite file, opened by everything but the receiver.

All SQL of the program is in this package, one file per noun.
``Store`` owns the connection; the nouns (``store.subscriptions``, ...) are views of it.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn, Self

from pushctl.errors import BusyError, ConfigError, InputError

if TYPE_CHECKING:
    from pushctl.store.audience import Audience
    from pushctl.store.campaigns import Campaigns
    from pushctl.store.consents import Consents
    from pushctl.store.deliveries import Deliveries
    from pushctl.store.doubts import Doubts
    from pushctl.store.enrolments import Enrolments
    from pushctl.store.erasure import Erasure
    from pushctl.store.events import Events
    from pushctl.store.health import Health
    from pushctl.store.histories import Histories
    from pushctl.store.imports import Imports
    from pushctl.store.inbox_cursors import InboxCursors
    from pushctl.store.interactions import Interactions
    from pushctl.store.meta import Meta
    from pushctl.store.origins import Origins
    from pushctl.store.products import Products
    from pushctl.store.prompts import Prompts
    from pushctl.store.pruning import Pruning
    from pushctl.store.reports import Reports
    from pushctl.store.runs import Runs
    from pushctl.store.schedules import Schedules
    from pushctl.store.signatures import Signatures
    from pushctl.store.sites import Sites
    from pushctl.store.soundness import Soundness
    from pushctl.store.subscriptions import Subscriptions
    from pushctl.store.tags import Tags
    from pushctl.store.tombstones import Tombstones
    from pushctl.store.triggers import Triggers

# Names of the migrations this build knows, in order: lets a run find out from
# sqlite3 alone that nothing is pending, without loading sqlite-utils (0.1 s).
KNOWN_MIGRATIONS = (
    "m001_spine", "m002_triggers", "m003_receiver", "m004_recurring", "m005_known",
    "m006_causes", "m007_numbers", "m008_content", "m011_shares", "m013_outages",
    "m014_folding",
)  # fmt: skip

BUSY_SECONDS = 10.0

# Ten million rows import five times slower with SQLite's own 2 MB (docs/performance.md).
_PRAGMAS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -65536;
"""


class Store:
    """
    An open database. Use as a context manager, or call ``close()``.

    Writing happens inside ``with store.write():``, never across a network call.
    """

    audience: "Audience"
    campaigns: "Campaigns"
    consents: "Consents"
    deliveries: "Deliveries"
    doubts: "Doubts"
    enrolments: "Enrolments"
    erasure: "Erasure"
    events: "Events"
    health: "Health"
    histories: "Histories"
    imports: "Imports"
    inbox_cursors: "InboxCursors"
    interactions: "Interactions"
    meta: "Meta"
    origins: "Origins"
    products: "Products"
    prompts: "Prompts"
    pruning: "Pruning"
    reports: "Reports"
    runs: "Runs"
    schedules: "Schedules"
    signatures: "Signatures"
    sites: "Sites"
    soundness: "Soundness"
    subscriptions: "Subscriptions"
    tags: "Tags"
    tombstones: "Tombstones"
    triggers: "Triggers"

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.exists():
            raise ConfigError(
                f"{path} does not exist. Run `pushctl init` here, or name the project "
                "folder with --project."
            )
        self.path = path
        self._lock_file: IO[bytes] | None = None
        self._depth = 0
        if create:
            # Before SQLite does: the file and its log hold endpoints and keys.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            self.connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            self._raise(error)
        try:
            self.connection.executescript(_PRAGMAS)
            self._migrate()
        except sqlite3.DatabaseError as error:
            self.close()
            self._raise(error)
        except BaseException:
            self.close()
            raise

    def __getattr__(self, name: str) -> object:
        """Load a noun at its first use: ``store.tags`` is ``Tags`` of ``store/tags.py``."""
        if name not in _NOUNS:
            raise AttributeError(name)
        noun = getattr(import_module(f"{__name__}.{name}"), _NOUNS[name])(self)
        setattr(self, name, noun)
        return noun

    def close(self) -> None:
        if "audience" in self.__dict__:
            self.audience.close()
        self.connection.close()
        if self._lock_file is not None:
            self._lock_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """
        Hold the writers' lock and one transaction; commit at the end, roll back on error.

        Nested calls join the outer transaction. Raises BusyError when another
        process has written for more than ten seconds.
        """
        if self._depth:
            yield self.connection
            return
        with self._lock():
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield self.connection
                finally:
                    self._depth -= 1
                self.connection.execute("COMMIT")
            except BaseException as error:
                # A full disk has rolled back already (faults: SQLITE_FULL).
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    self._raise(error)
                raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """
        Undo this block alone when it fails; for use inside ``write()``.

        What the tables' constraints refuse is raised as InputError.
        """
        self.connection.execute("SAVEPOINT one")
        try:
            yield
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK TO one")
                self.connection.execute("RELEASE one")
            if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError):
                raise InputError(f"the database refuses it: {error}") from error
            raise
        self.connection.execute("RELEASE one")

    def _raise(self, error: sqlite3.DatabaseError) -> NoReturn:
        """Raise BusyError or ConfigError for an error of SQLite; a mistake in SQL as it is."""
        # The low byte is the code, the rest refines it (https://sqlite.org/rescode.html).
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BusyError(
                f"another program holds {self.path} ({error}). Try again when it is done."
            ) from error
        if code == sqlite3.SQLITE_ERROR:
            raise error
        raise ConfigError(
            f"{self.path} can't be used: {error}. Check the disk's space and the file's "
            "permissions, or restore it from a backup."
        ) from error

    def shrink_caches(self) -> None:
        """Use little memory from now on: for work that reads each row once."""
        if "audience" in self.__dict__:
            self.audience.close()
            del self.__dict__["audience"]
        self.connection.execute("PRAGMA cache_size = -8192")
        self.connection.execute("PRAGMA shrink_memory")

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file and empty it."""
        with self._lock():
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # SQLite before 3.51.3 can lose a commit when a checkpoint resets the log
        # beside a writer; one lock around both keeps clear of it, and queues
        # writers fairly instead of by busy_timeout's polling.
        if self._lock_file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock_file = os.fdopen(os.open(f"{self.path}.lock", flags, 0o600), "r+b")
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BusyError(
                        f"another run has been writing to {self.path} for more than "
                        f"{BUSY_SECONDS:.0f} s. Try again when it is done."
                    ) from None
                time.sleep(0.005)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def _migrate(self) -> None:
        from pushctl.store import upgrade

        if upgrade.is_due(self.connection, self.path, KNOWN_MIGRATIONS):
            with self._lock():
                upgrade.run(self.connection, self.path, KNOWN_MIGRATIONS)


# The class of each noun, as ``Store`` declares them above.
_NOUNS: dict[str, str] = dict(Store.__annotations__)

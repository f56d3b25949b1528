"""
The database: one SQLite file, opened by everything but the receiver.

The only SQL of the program stands in this package, one file per noun.
``Store`` owns the connection; the nouns (``store.subscriptions``, ...) are views of it.
"""

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from pushctl.errors import BusyError, ConfigError

if TYPE_CHECKING:
    from sqlite_utils import Database

    from pushctl.store.campaigns import Campaigns
    from pushctl.store.deliveries import Deliveries
    from pushctl.store.origins import Origins
    from pushctl.store.reports import Reports
    from pushctl.store.runs import Runs

# Names of the migrations this build knows, in order: lets a run find out from
# sqlite3 alone that nothing is pending, without loading sqlite-utils (0.1 s).
KNOWN_MIGRATIONS = ("m001_spine",)

BUSY_SECONDS = 10.0

# Ten million rows import five times slower with SQLite's own 2 MB
# (docs/performance.md).
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

    Reading needs nothing; writing happens inside ``with store.write():``, never
    across a network call.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.exists():
            raise ConfigError(
                f"{path} does not exist. Run `pushctl init` here, or name the project "
                "folder with --project."
            )
        self.path = path
        self._lock_file: IO[bytes] | None = None
        self._depth = 0
        self.connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self.connection.executescript(_PRAGMAS)
            self._migrate()
        except sqlite3.DatabaseError as error:
            self.connection.close()
            raise ConfigError(
                f"{path} can't be used: {error}. Restore it from a backup, or check "
                "the disk and the file's permissions."
            ) from error
        except BaseException:
            self.connection.close()
            raise

    @cached_property
    def db(self) -> "Database":
        """The same connection as a sqlite-utils Database."""
        from sqlite_utils import Database

        return Database(self.connection)

    @cached_property
    def campaigns(self) -> "Campaigns":
        from pushctl.store.campaigns import Campaigns

        return Campaigns(self)

    @cached_property
    def deliveries(self) -> "Deliveries":
        from pushctl.store.deliveries import Deliveries

        return Deliveries(self)

    @cached_property
    def origins(self) -> "Origins":
        from pushctl.store.origins import Origins

        return Origins(self)

    @cached_property
    def reports(self) -> "Reports":
        from pushctl.store.reports import Reports

        return Reports(self)

    @cached_property
    def runs(self) -> "Runs":
        from pushctl.store.runs import Runs

        return Runs(self)

    def close(self) -> None:
        self.connection.close()
        if self._lock_file is not None:
            self._lock_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        with self._locked():
            self.connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self.connection
            except BaseException:
                # A full disk has rolled back already (faults: SQLITE_FULL).
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            else:
                self.connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file and empty it."""
        with self._locked():
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # SQLite before 3.51.3 can lose a commit when a checkpoint resets the log
        # beside a writer; one lock around both keeps clear of it, and queues
        # writers fairly instead of by busy_timeout's polling.
        if self._lock_file is None:
            self._lock_file = Path(f"{self.path}.lock").open("ab")  # noqa: SIM115
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
        applied = self._applied()
        unknown = [name for name in applied if name not in KNOWN_MIGRATIONS]
        if unknown:
            raise ConfigError(
                f"{self.path} was written by a newer pushctl (it has {unknown[-1]}). "
                "Install that version, or restore the backup made before the upgrade."
            )
        if len(applied) == len(KNOWN_MIGRATIONS):
            return
        from pushctl.store.schema import migrations

        with self._locked():
            if applied:
                self._back_up()
            migrations.apply(self.db)

    def _applied(self) -> list[str]:
        sql = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
        if self.connection.execute(sql).fetchone() is None:
            return []
        sql = (
            "SELECT name FROM _sqlite_migrations WHERE migration_set = 'pushctl' ORDER BY rowid"
        )
        return [name for (name,) in self.connection.execute(sql)]

    def _back_up(self) -> None:
        copy = self.path.with_name(f"{self.path.name}.before-{len(self._applied()) + 1:03}")
        with sqlite3.connect(copy) as target:
            self.connection.backup(target)
        copy.chmod(0o600)

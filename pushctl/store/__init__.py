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
from typing import IO, TYPE_CHECKING, Self

from pushctl.errors import DamagedError, DatabaseBusyError, InputError
from pushctl.store.connection import BUSY_SECONDS, check_file, connect, explain
from pushctl.store.migrated import is_due

if TYPE_CHECKING:
    from pushctl.store.addressees import Addressees
    from pushctl.store.alerts import Alerts
    from pushctl.store.api_requests import ApiRequests
    from pushctl.store.applied import Applied
    from pushctl.store.approvals import Approvals
    from pushctl.store.attributions import Attributions
    from pushctl.store.audience import Audience
    from pushctl.store.backups import Backups
    from pushctl.store.base_rates import BaseRates
    from pushctl.store.baskets import Baskets
    from pushctl.store.campaigns import Campaigns
    from pushctl.store.channel_consents import ChannelConsents
    from pushctl.store.consents import Consents
    from pushctl.store.deliveries import Deliveries
    from pushctl.store.doubts import Doubts
    from pushctl.store.draws import Draws
    from pushctl.store.enrolments import Enrolments
    from pushctl.store.erasure import Erasure
    from pushctl.store.events import Events
    from pushctl.store.experiments import Experiments
    from pushctl.store.feed_news import FeedNews
    from pushctl.store.forecasts import Forecasts
    from pushctl.store.health import Health
    from pushctl.store.histories import Histories
    from pushctl.store.holdouts import Holdouts
    from pushctl.store.holidays import Holidays
    from pushctl.store.imports import Imports
    from pushctl.store.inbox_cursors import InboxCursors
    from pushctl.store.interactions import Interactions
    from pushctl.store.kept_columns import KeptColumns
    from pushctl.store.kept_pages import KeptPages
    from pushctl.store.leases import Leases
    from pushctl.store.losses import Losses
    from pushctl.store.matches import Matches
    from pushctl.store.message_rows import MessageRows
    from pushctl.store.messages import Messages
    from pushctl.store.meta import Meta
    from pushctl.store.orders import Orders
    from pushctl.store.origins import Origins
    from pushctl.store.plans import Plans
    from pushctl.store.products import Products
    from pushctl.store.promo_bindings import PromoBindings
    from pushctl.store.promo_codes import PromoCodes
    from pushctl.store.promo_uses import PromoUses
    from pushctl.store.prompts import Prompts
    from pushctl.store.pruning import Pruning
    from pushctl.store.recents import Recents
    from pushctl.store.recounts import Recounts
    from pushctl.store.reports import Reports
    from pushctl.store.runs import Runs
    from pushctl.store.schedules import Schedules
    from pushctl.store.segment_sizes import SegmentSizes
    from pushctl.store.shop_deliveries import ShopDeliveries
    from pushctl.store.signatures import Signatures
    from pushctl.store.sites import Sites
    from pushctl.store.soundness import Soundness
    from pushctl.store.subscriptions import Subscriptions
    from pushctl.store.tags import Tags
    from pushctl.store.tombstones import Tombstones
    from pushctl.store.tracking import Tracking
    from pushctl.store.triggers import Triggers
    from pushctl.store.troubles import Troubles
    from pushctl.store.webhooks import Webhooks

# Names of the migrations this build knows, in order: lets a run find out from
# sqlite3 alone that nothing is pending, without loading sqlite-utils (0.1 s).
KNOWN_MIGRATIONS = (
    "m001_spine", "m002_triggers", "m003_receiver", "m004_recurring", "m005_known",
    "m006_causes", "m007_numbers", "m008_content", "m010_event_names", "m011_shares",
    "m013_outages", "m014_folding", "m015_failed_invitations", "m016_money",
    "m017_earlier_texts", "m018_matching", "m019_requests", "m020_messages", "m021_tracking",
    "m022_outbox", "m023_adopted", "m026_open_campaigns", "m027_experiments",
    "m028_promo_codes", "m029_manners", "m030_steps", "m031_approvals", "m032_bought",
    "m033_tests", "m035_shelves", "m036_accepted", "m037_applied", "m038_times",
    "m039_attributions", "m040_kept_arms", "m041_sequences", "m042_forecasts",
    "m043_alerts", "m044_optin", "m045_segment_sizes", "m047_kept_pages",
    "m048_kept_people", "m049_drawn_hours", "m051_runs", "m053_leases", "m054_kept_columns",
    "m055_checks", "m057_kept_attributes",
)  # fmt: skip

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

    addressees: "Addressees"
    alerts: "Alerts"
    api_requests: "ApiRequests"
    approvals: "Approvals"
    applied: "Applied"
    attributions: "Attributions"
    audience: "Audience"
    backups: "Backups"
    base_rates: "BaseRates"
    baskets: "Baskets"
    campaigns: "Campaigns"
    channel_consents: "ChannelConsents"
    consents: "Consents"
    deliveries: "Deliveries"
    doubts: "Doubts"
    draws: "Draws"
    enrolments: "Enrolments"
    erasure: "Erasure"
    events: "Events"
    experiments: "Experiments"
    feed_news: "FeedNews"
    forecasts: "Forecasts"
    health: "Health"
    histories: "Histories"
    holdouts: "Holdouts"
    holidays: "Holidays"
    imports: "Imports"
    inbox_cursors: "InboxCursors"
    interactions: "Interactions"
    kept_columns: "KeptColumns"
    kept_pages: "KeptPages"
    leases: "Leases"
    losses: "Losses"
    matches: "Matches"
    message_rows: "MessageRows"
    messages: "Messages"
    meta: "Meta"
    orders: "Orders"
    origins: "Origins"
    plans: "Plans"
    products: "Products"
    promo_bindings: "PromoBindings"
    promo_codes: "PromoCodes"
    promo_uses: "PromoUses"
    prompts: "Prompts"
    pruning: "Pruning"
    recents: "Recents"
    recounts: "Recounts"
    reports: "Reports"
    runs: "Runs"
    schedules: "Schedules"
    segment_sizes: "SegmentSizes"
    shop_deliveries: "ShopDeliveries"
    signatures: "Signatures"
    sites: "Sites"
    soundness: "Soundness"
    subscriptions: "Subscriptions"
    tags: "Tags"
    tombstones: "Tombstones"
    tracking: "Tracking"
    triggers: "Triggers"
    troubles: "Troubles"
    webhooks: "Webhooks"

    def __init__(self, path: Path, *, create: bool = False, settings: bytes = b"") -> None:
        """*settings*: pushctl.toml; UncheckedError unless a sweep has checked it (``idle``)."""
        if not create:
            check_file(path)
        self.path = path
        self._lock_file: IO[bytes] | None = None
        self._depth = 0
        # The first damage that was found; whoever catches its error, no command ends well.
        self.damage: DamagedError | None = None
        self._patience = BUSY_SECONDS  # of SQLite, with other programs
        self._blocked = False  # it was used up, and nothing was written since
        if create:
            # Before SQLite does: the file and its log hold endpoints and keys.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.connection = connect(path, self.explain)
        try:
            self.connection.executescript(_PRAGMAS)
            if settings:
                self._check(settings)
            self._migrate(create=create)
        except BaseException as error:
            try:
                if isinstance(error, sqlite3.DatabaseError):
                    self.explain(error)  # of the copy that an upgrade makes
            finally:
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

        Nested calls join the outer transaction. Raises DatabaseBusyError when another
        process has written for more than ten seconds, DamagedError once damage was found.
        """
        if self._depth:
            yield self.connection
            return
        if self.damage is not None:
            raise self.damage
        with self._lock(begin=True):
            try:
                self._depth += 1
                try:
                    yield self.connection
                finally:
                    self._depth -= 1
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already (faults: SQLITE_FULL).
                if self.connection.in_transaction:
                    self.connection.rollback()
                raise

    @contextmanager
    def write_if_free(self) -> Iterator[sqlite3.Connection]:
        """As ``write``, but raise DatabaseBusyError at once where another process writes."""
        before, self._blocked = self._blocked, True
        try:
            with self.write() as connection:
                yield connection
        finally:
            self._blocked = before

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all reads of this block see the database as it is at the first of them."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.rollback()

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

    def explain(self, error: sqlite3.DatabaseError) -> None:
        """Raise our error for one of SQLite; return where it is a bug, or a constraint."""
        ours = explain(error, self.path)
        if isinstance(ours, DatabaseBusyError):
            self._blocked = True
            if "connection" in self.__dict__:
                self._wait_at_most(0.0)
        if isinstance(ours, DamagedError):
            self.damage = self.damage or ours
        if ours is not None:
            raise ours from error

    def shrink_caches(self) -> None:
        """Use little memory from now on: for work that reads each row once."""
        if "audience" in self.__dict__:
            self.audience.close()
            del self.__dict__["audience"]
        self.connection.execute("PRAGMA cache_size = -8192")
        self.connection.execute("PRAGMA shrink_memory")

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file, and empty it where nobody reads from it."""
        with self._lock():
            # A reader would have all writers wait.
            self._wait_at_most(1.0)
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def vacuum(self) -> None:
        """Write the file anew without free pages; nothing else can write meanwhile."""
        # In memory it would be as large as the database; another disk may be too small.
        os.environ["SQLITE_TMPDIR"] = str(self.path.parent)
        with self._lock():
            self.connection.execute("PRAGMA temp_store = FILE")
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _lock(self, *, begin: bool = False) -> Iterator[None]:
        """
        Hold the writers' lock; *begin* a transaction in it.

        Both together wait ten seconds at most; after that, no time until it was free once.
        """
        # SQLite before 3.51.3 can lose a commit when a checkpoint resets the log
        # beside a writer; one lock around both keeps clear of it, and queues
        # writers fairly instead of by busy_timeout's polling.
        if self._lock_file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock_file = os.fdopen(os.open(f"{self.path}.lock", flags, 0o600), "r+b")
        deadline = time.monotonic() + (0.0 if self._blocked else BUSY_SECONDS)
        self._take_lock(self._lock_file, deadline)
        try:
            if begin:
                left = deadline - time.monotonic()
                self._wait_at_most(BUSY_SECONDS if left > BUSY_SECONDS - 1 else max(left, 0.0))
                self.connection.execute("BEGIN IMMEDIATE")
                self._blocked = False
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def _take_lock(self, file: IO[bytes], deadline: float) -> None:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._blocked = True
                    raise DatabaseBusyError(
                        f"another run has been writing to {self.path} for more than "
                        f"{BUSY_SECONDS:.0f} s. Try again when it is done."
                    ) from None
                time.sleep(0.005)

    def _wait_at_most(self, seconds: float) -> None:
        """Let statements wait so long for another program that holds the database."""
        if seconds != self._patience:
            self.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
            self._patience = seconds

    def _check(self, settings: bytes) -> None:
        from pushctl.store import idle

        idle.check(self.connection, settings, KNOWN_MIGRATIONS)

    def _migrate(self, *, create: bool) -> None:
        if is_due(self.connection, self.path, KNOWN_MIGRATIONS, create=create):
            from pushctl.store import upgrade

            with self._lock():
                upgrade.run(self.connection, self.path, KNOWN_MIGRATIONS)


# The class of each noun, as ``Store`` declares them above.
_NOUNS: dict[str, str] = dict(Store.__annotations__)

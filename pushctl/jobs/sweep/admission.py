"""What holds before each sweep works: its lock, a right clock, a database that may send."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pushctl import lock
from pushctl.config import Config
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.sweep import clock
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.store import Store, clocks
from pushctl.store.clocks import Boot

# A watch gives a sign of life each minute; one that has given none for so long is stuck.
_SILENT: Millis = 5 * units.MINUTE


@dataclass(frozen=True)
class Options:
    """
    How one sweep is to behave.

    *dry_run*: decide, and take everything back. *rehearsal*: *now* is not the clock's, in a
    project made for trying out; it really sends.
    """

    dry_run: bool = False
    max_seconds: float | None = None
    accept_clock: bool = False
    rehearsal: bool = False
    sends: bool = True  # False: a watch sends what is decided here
    boot: Boot | None = None  # the machine's own clock at *now*; None: as it is
    begun: Callable[[], None] | None = None  # called once it may work, and has the lock


def is_watched(database: Path, now: Millis) -> bool:
    """Return whether `sweep --watch` sends what is decided: it runs, and is not stuck."""
    path = clocks.name_watch(database)
    sign = clocks.read_last_sweep(path)
    return sign is not None and now - sign < _SILENT and lock.is_held(path)


@contextmanager
def admit(config: Config, store: Store, now: Millis, options: Options) -> Iterator[None]:
    """
    Hold the sweep's lock, once the clock and the database were found to be right.

    Raises BusyError when another sweep is at work, ConfigError when the clock leapt.
    """
    path = clocks.name_lock(store.path)
    before = clocks.read_last_sweep(path)
    boot = options.boot or clocks.read_boot()
    if not (options.rehearsal or options.accept_clock):
        clock.check(store, config, path, now, boot)
    if not options.dry_run:
        restore_guard.check(store, config)
    with lock.hold(path, "pushctl sweep"), _stamp_end(path, before, now, options, boot):
        yield


@contextmanager
def _stamp_end(
    path: Path, before: Millis | None, now: Millis, options: Options, boot: Boot
) -> Iterator[None]:
    """Store when a real sweep ended; others leave the time of the last one as it is."""
    if not (options.rehearsal or options.dry_run):
        yield
        clocks.record_sweep(path, now, boot)
        return
    try:
        yield
    finally:
        if before is not None:
            clocks.restore(path, before)

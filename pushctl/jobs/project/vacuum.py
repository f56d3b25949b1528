"""Give the database's free room back to the disk, where nothing else is at work."""

import os
from contextlib import ExitStack
from pathlib import Path

from pushctl import lock
from pushctl.config import Config
from pushctl.errors import BusyError, ConfigError
from pushctl.rules.limits import MIN_FREE_AFTER_UPGRADE_BYTES
from pushctl.store import Store
from pushctl.store.soundness import Sizes


def vacuum(store: Store, config: Config) -> tuple[Sizes, Sizes]:
    """
    Write the database anew without free pages; return its sizes before and after.

    Raises BusyError while a sweep, a watch, an import or a send is at work: they could not
    write for as long as this takes. ConfigError where the disk has no room for a copy.
    """
    path = config.database
    with ExitStack() as stack:
        _keep_sweeps_away(stack, path)
        if config.inbox.is_dir():
            stack.enter_context(lock.hold(config.inbox / "drain.lock", "db vacuum"))
        for file in path.parent.glob(f"{path.name}.campaign-*.lock"):
            if lock.is_held(file):
                raise BusyError("a campaign is being sent. Nothing was done; try again later.")
        before = store.soundness.measure()
        _check_room(path, before)
        store.vacuum()
        return before, store.soundness.measure()


def _keep_sweeps_away(stack: ExitStack, path: Path) -> None:
    """Hold the sweep's lock, unsigned: the time of its file is that of the last sweep."""
    sweep, watch = (path.with_name(f"{path.name}{it}") for it in (".sweep", ".watch"))
    if lock.is_held(watch) or (sweep.exists() and not lock.take_early(sweep)):
        raise BusyError("a sweep is at work. Nothing was done; try again when it has ended.")
    stack.callback(lock.give_back, sweep)


def _check_room(path: Path, sizes: Sizes) -> None:

    # The new file, and the log through which it comes into the place of the old one.
    needed = 2 * (sizes.file - sizes.free) + MIN_FREE_AFTER_UPGRADE_BYTES
    room = os.statvfs(path.parent)
    if (missing := needed - room.f_bavail * room.f_frsize) > 0:
        raise ConfigError(
            f"this needs {needed / 1e6:,.0f} MB free in {path.parent}; {missing / 1e6:,.0f} MB "
            "are missing. Nothing was done. What is free in the file is used again by itself."
        )

"""
Publishing for the receiver (``status``) stops nothing where it fails.

The database keeps since when something is missing; the next drain publishes it anew.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pushctl import log
from pushctl.model import Millis
from pushctl.store import Store

MISSED = "status.missed"  # since when, in milliseconds


@contextmanager
def tolerate(store: Store, since: Millis | None = None) -> Iterator[None]:
    """
    Let a folder that can't be written stop nothing; note that news *since* are missing.

    It is logged when it begins, and then by each drain that fails to catch up.
    """
    try:
        yield
    except OSError as error:
        known = get_missed(store)
        if known is None:
            log_failure(error)
        times = [at for at in (since, known) if at is not None]
        store.meta.set(MISSED, str(min(times, default=time.time_ns() // 1_000_000)))


def log_failure(error: OSError) -> None:
    log.note("import", "status not published", level=logging.WARNING, reason=str(error))


def get_missed(store: Store) -> Millis | None:
    """Return since when the receiver lacks news, None where it lacks none."""
    since = store.meta.get(MISSED)
    return None if since is None else int(since)


def forget_missed(store: Store) -> None:
    store.meta.remove(MISSED)

"""Tells a fault of one row from one that concerns everything."""

import sqlite3

from pushctl.errors import (
    DamagedError,
    DatabaseBusyError,
    InputError,
    PushctlError,
    TemplateError,
)

# Whatever was to be done: nothing says that the text, series or trigger at hand is at fault.
DATABASE_FAULTS = (DatabaseBusyError, DamagedError)


def concerns_one(error: Exception) -> bool:
    """
    Return whether *error* may come from one person, item or text alone.

    Not so where the database, the disk or the memory fails, or the configuration: the rest
    of the work would fail in the same way. A mistake in our code counts as one person's, as
    others may not meet it.
    """
    if isinstance(error, PushctlError):
        return isinstance(error, InputError | TemplateError)
    return not isinstance(error, sqlite3.Error | OSError | MemoryError)

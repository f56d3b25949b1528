"""Keeps what is wrong with one person from stopping the work for all others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pushctl.store import Store
from pushctl.store.faults import concerns_one

T = TypeVar("T")


def do_each(
    store: Store,
    things: Sequence[T],
    do: Callable[[Sequence[T]], None],
    leave_out: Callable[[T, Exception], None],
) -> None:
    """
    Do *things* at once; where that fails, one half after the other, until one is left.

    That one goes to *leave_out* with the error. What a failed try has written is undone.
    All inside one transaction, the caller's where there is one. Raises what concerns
    everything.
    """
    failed: Exception | None = None
    try:
        with store.write(), store.savepoint():
            do(things)
    except Exception as error:
        if not concerns_one(error):
            raise
        failed = error
    # Outside of the handler: else each traceback would hold all those before it.
    if failed is not None and len(things) == 1:
        leave_out(things[0], failed)
    elif failed is not None:
        middle = len(things) // 2
        do_each(store, things[:middle], do, leave_out)
        do_each(store, things[middle:], do, leave_out)

"""What somebody reads of people's names is logged: in the log's file and in the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pushctl import log
from pushctl.model import Millis
from pushctl.store import Store


@contextmanager
def note(
    store: Store, clock: Callable[[], Millis], command: str, by: str, *, people: bool
) -> Iterator[list[int]]:
    """
    Log that *by* reads by *command* what names people, before anything is read.

    The block appends the number of rows that it gave. Without *people* nothing is logged.
    """
    rows: list[int] = []
    if not people:
        yield rows
        return
    look = store.runs.note_look(command, by, clock())
    log.note("people", "what names people is read", command=command, by=by)
    yield rows
    store.runs.finish_look(look, clock(), sum(rows))

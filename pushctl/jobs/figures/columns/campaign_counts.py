"""
The counts of whole campaigns, kept or counted anew.

No numpy is needed where they are kept: what asks for nothing else is done before it would be
loaded.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager

import orjson

from pushctl.jobs.figures.columns.status_counts import COUNTS, Counts
from pushctl.store import Store

# Gets how much there is to do, and gives what to call after each part of it.
Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]


@contextmanager
def no_progress(_: int) -> Iterator[Callable[[int], object]]:
    yield lambda _: None


def load_counts(
    store: Store, campaigns: Collection[int] | None = None, progress: Progress = no_progress
) -> dict[int, Counts]:
    """
    Return the counts ``status_counts.NAMES`` of *campaigns*; else of all of push but tests.

    *progress* is asked for where campaigns are to be counted: some seconds a million messages.
    """
    chosen = None if campaigns is None else sorted(campaigns)
    numbers = store.message_rows.list_campaigns(chosen)
    kept = {
        one.campaign: orjson.loads(one.about)
        for one in store.kept_columns.read(numbers, [COUNTS])
    }
    missing = [one for one in numbers if one not in kept]
    if missing:
        from pushctl.jobs.figures.columns import message_cache

        with progress(len(missing)) as advance:
            for number, counts in message_cache.build_counts(store, missing):
                kept[number] = counts
                advance(1)
    return {number: kept[number] for number in numbers}

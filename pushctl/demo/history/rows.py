"""Rows of a generated history, as columns, on their way into the database."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from pushctl.demo.history.people import Ints
from pushctl.store import Store, bulk

Objects = npt.NDArray[np.object_]

STATUSES = ("accepted", "gone", "rejected", "expired", "skipped", "in_doubt")
ACCEPTED, GONE, REJECTED, EXPIRED, SKIPPED, IN_DOUBT = range(6)
_REASONS = np.array(
    ["201", "410 unsubscribed", "400", "its time was over", "in the control group '2026'",
     "timeout"],
    dtype=object,
)  # fmt: skip
_HTTP = np.array([201, 410, 400, None, None, None], dtype=object)
_CAUSES = np.array(
    [None, "gone", "bad_request", "time_over", "holdout", "timeout"], dtype=object
)
_WORDS = np.array(STATUSES, dtype=object)


class Rows:
    """Writes columns as rows, and numbers them as they come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.last: dict[str, int] = {}
        self._columns = bulk.list_columns(store, "deliveries")

    def number(self, table: str, count: int) -> Ints:
        """Return the numbers of the next *count* rows of *table*."""
        start = self.last.get(table, 0) + 1
        self.last[table] = start + count - 1
        return np.arange(start, start + count)

    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """Write rows; a column is a list, an array, or one value for all."""
        length = next(len(one) for one in columns.values() if _is_many(one))
        if not length:
            return
        parts = [_spread(one) for one in columns.values()]
        bulk.insert(self._store, table, list(columns), zip(*parts, strict=False))

    def add_deliveries(
        self, status: Ints, times: Mapping[str, Any], columns: Mapping[str, Any]
    ) -> None:
        """Write messages of each *status*; *times* are written where the table has them."""
        known = {name: one for name, one in times.items() if name in self._columns}
        words = {
            "status": _WORDS[status],
            "reason": _REASONS[status],
            "cause": _CAUSES[status],
            "http_status": _HTTP[status],
            "attempts": np.where(status == SKIPPED, 0, 1),
        }
        self.add("deliveries", {**columns, **words, **known})


def either(condition: Any, yes: Any, no: Any) -> Objects:
    """Return *yes* where *condition* holds, else *no*; both are arrays, words or None."""
    found: Objects = np.where(
        condition, np.asarray(yes, dtype=object), np.asarray(no, dtype=object)
    )
    return found


def hide(values: Ints, known: Any) -> list[Any]:
    """Return *values* with None wherever they are not *known*."""
    found: list[Any] = either(known, values, None).tolist()
    return found


def _is_many(column: Any) -> bool:
    return isinstance(column, np.ndarray | list)


def _spread(column: Any) -> Iterable[Any]:
    if isinstance(column, np.ndarray):
        listed: list[Any] = column.tolist()
        return listed
    return column if isinstance(column, list) else repeat(column)


def name_rows(prefix: str, numbers: Sequence[int] | Ints) -> list[str]:
    """Return a key for each number, in their order: an index takes such keys at its end."""
    return [f"{prefix}{number:011d}" for number in np.asarray(numbers).tolist()]

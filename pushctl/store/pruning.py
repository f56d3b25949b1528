"""
What is let go once nobody can need it any more; subscriptions and figures stay.

Looked for without a lock and deleted in small transactions: a broadcast that runs beside
it must not wait for the millions of rows of a busy day.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from pushctl.model import Millis
from pushctl.store.tags import DROP_UNUSED, UNUSED

if TYPE_CHECKING:
    from pushctl.store import Store

_CHUNK = 5_000

# What to look for, and what to do with each row of it.
_STATEMENTS = (
    ("SELECT id FROM decisions WHERE at < :before", "DELETE FROM decisions WHERE id = ?"),
    # A trigger that writes to each person once must know them for ever, and no more.
    (
        """
        SELECT id FROM enrolments
         WHERE changed_at < :before AND state <> 'active' AND context <> '{}'
           AND trigger IN (SELECT value FROM json_each(:once))
        """,
        "UPDATE enrolments SET context = '{}' WHERE id = ? AND state <> 'active'",
    ),
    (
        """
        SELECT id FROM enrolments
         WHERE changed_at < :before AND state <> 'active'
           AND trigger NOT IN (SELECT value FROM json_each(:once))
        """,
        "DELETE FROM enrolments WHERE id = ? AND state <> 'active'",
    ),
    (
        "SELECT product, subscription_id, at FROM interests WHERE at < :before",
        "DELETE FROM interests WHERE product = ? AND subscription_id = ? AND at = ?",
    ),
    (
        "SELECT trigger, item, at FROM feed_items WHERE at < :before",
        "DELETE FROM feed_items WHERE trigger = ? AND item = ? AND at = ?",
    ),
    # Tags that nobody has, but for the first thousand names: those are a shop's own.
    (
        f"SELECT id FROM tags WHERE {UNUSED} ORDER BY id LIMIT -1 OFFSET 1000",  # noqa: S608
        DROP_UNUSED,
    ),
    ("SELECT id FROM runs WHERE started_at < :before", "DELETE FROM runs WHERE id = ?"),
)


class Pruning:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def run(self, before: Millis, once: Collection[str] = ()) -> int:
        """
        Delete what ended before *before*; return how many rows that concerned.

        Of triggers in *once* the bare enrolments stay: nobody is written to again.
        """
        values = {"before": before, "once": json.dumps(list(once))}
        count = self._apply("DELETE FROM prompt_counts WHERE day < ?", [(before,)])
        for wanted, each in _STATEMENTS:
            count += self._apply(
                each, self._store.connection.execute(wanted, values).fetchall()
            )
        return count + self._apply("DELETE FROM events WHERE id = ?", self._events(before))

    def _apply(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        count, left = 0, iter(rows)
        while chunk := list(islice(left, _CHUNK)):
            with self._store.write() as connection:
                count += connection.executemany(sql, chunk).rowcount
        return count

    def _events(self, before: Millis) -> Iterator[tuple[int]]:
        """
        Yield the rows of old events, but the last: its number tells how far was read.

        They have no index by time and come in its order, near enough: what a receiver
        handed in late goes a few days later.
        """
        sql = """
            SELECT id, received_at FROM events
             WHERE id > :after AND id < (SELECT max(id) FROM events) ORDER BY id LIMIT :limit
        """
        after = 0
        while True:
            values = {"after": after, "limit": _CHUNK}
            page = self._store.connection.execute(sql, values).fetchall()
            yield from ((row,) for row, received_at in page if received_at < before)
            if not page or page[-1][1] >= before:
                return
            after = page[-1][0]

"""
What is let go once nobody can need it any more; subscriptions and figures stay.

Looked for without a lock and deleted in small transactions: a broadcast that runs beside
it must not wait for the millions of rows of a busy day.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json
from pushctl.store.tags import DROP_UNUSED, UNUSED

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


class Pruning(Noun):
    def run(self, before: Millis, once: Collection[str] = ()) -> int:
        """
        Delete what ended before *before*; return how many rows that concerned.

        Of triggers in *once* the bare enrolments stay: nobody is written to again.
        """
        count = self._delete("DELETE FROM prompt_counts WHERE day < ?", [(before,)])
        for wanted, each in _STATEMENTS:
            rows = self._read(wanted, before=before, once=as_json(once)).fetchall()
            count += self._delete(each, rows)
        return count + self._delete(
            "DELETE FROM events WHERE id = ?", self._list_old_events(before)
        )

    def _delete(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        count, left = 0, iter(rows)
        while chunk := list(islice(left, _CHUNK)):
            count += self._write_each(sql, chunk)
        return count

    def _list_old_events(self, before: Millis) -> Iterator[tuple[int]]:
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
            page = self._read(sql, after=after, limit=_CHUNK).fetchall()
            yield from ((row,) for row, received_at in page if received_at < before)
            if not page or page[-1][1] >= before:
                return
            after = page[-1][0]

"""What is let go once nobody can need it any more; subscriptions and figures stay."""

from typing import TYPE_CHECKING

from pushctl.model import Millis

if TYPE_CHECKING:
    from pushctl.store import Store

_STATEMENTS = (
    "DELETE FROM decisions WHERE at < :before",
    "DELETE FROM enrolments WHERE changed_at < :before AND state <> 'active'",
    "DELETE FROM interests WHERE at < :before",
    "DELETE FROM feed_items WHERE at < :before",
    "DELETE FROM runs WHERE started_at < :before",
    "DELETE FROM prompt_counts WHERE day < :before",
)


class Pruning:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def run(self, before: Millis) -> int:
        """
        Delete what ended before *before*; return how many rows.

        Events go too, up to the last: its number tells how far a sweep has read.
        """
        events = """
            DELETE FROM events
             WHERE received_at < :before AND id < (SELECT max(id) FROM events)
        """
        with self._store.write() as connection:
            return sum(
                connection.execute(sql, {"before": before}).rowcount
                for sql in (*_STATEMENTS, events)
            )

"""What is let go once nobody can need it any more; subscriptions and figures stay."""

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from pushctl.model import Millis

if TYPE_CHECKING:
    from pushctl.store import Store

_STATEMENTS = (
    "DELETE FROM decisions WHERE at < :before",
    # A trigger that writes to each person once must know them for ever, and no more.
    """
    UPDATE enrolments SET context = '{}'
     WHERE changed_at < :before AND state <> 'active' AND context <> '{}'
       AND trigger IN (SELECT value FROM json_each(:once))
    """,
    """
    DELETE FROM enrolments
     WHERE changed_at < :before AND state <> 'active'
       AND trigger NOT IN (SELECT value FROM json_each(:once))
    """,
    "DELETE FROM interests WHERE at < :before",
    "DELETE FROM feed_items WHERE at < :before",
    "DELETE FROM runs WHERE started_at < :before",
    "DELETE FROM prompt_counts WHERE day < :before",
)


class Pruning:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def run(self, before: Millis, once: Collection[str] = ()) -> int:
        """
        Delete what ended before *before*; return how many rows that concerned.

        Of triggers in *once* the bare walks stay: who was written to is not written to again.

        Events go too, up to the last: its number tells how far a sweep has read.
        """
        events = """
            DELETE FROM events
             WHERE received_at < :before AND id < (SELECT max(id) FROM events)
        """
        with self._store.write() as connection:
            values = {"before": before, "once": json.dumps(list(once))}
            return sum(
                connection.execute(sql, values).rowcount for sql in (*_STATEMENTS, events)
            )

"""After a restore: messages that may have gone out since the backup are held back."""

from typing import TYPE_CHECKING

from pushctl.model import Cause, Millis

if TYPE_CHECKING:
    from pushctl.store import Store

# Further than a database gets between a backup and its restore: 10,000 messages a second
# for a day.
SKIPPED_NUMBERS = 1_000_000_000

REASON = "the database was restored: it may have gone out after the backup"


def hold_back(store: "Store", now: Millis) -> int:
    """
    Mark every waiting message as in doubt; return how many.

    Events that no sweep has read start nothing: a sweep after the backup may have.
    Numbers given after the backup are not given again: browsers hold tokens with them.
    """
    messages = """
        UPDATE deliveries
           SET status = 'in_doubt', reason = :why, cause = :cause, changed_at = :now
         WHERE status IN ('planned', 'sending')
    """
    # A broadcast with nothing left to do; a trigger's campaign waits for its next row.
    ended = """
        UPDATE campaigns
           SET status = 'finished', finished_at = :now, note = :why, cause = :cause
         WHERE status IN ('running', 'scheduled') AND trigger IS NULL
    """
    values = {"now": now, "why": REASON, "cause": Cause.DATABASE_RESTORED}
    with store.write() as connection:
        count = connection.execute(messages, values).rowcount
        connection.execute(ended, values)
        connection.execute("UPDATE trigger_states SET scanned_at = :now", {"now": now})
        for key, table in (("sweep.events", "events"), ("sweep.shown", "interactions")):
            newest = f"SELECT coalesce(max(id), 0) FROM {table}"  # noqa: S608
            store.meta.set(key, str(connection.execute(newest).fetchone()[0]))
        skip = "UPDATE sqlite_sequence SET seq = seq + :skipped"
        connection.execute(skip, {"skipped": SKIPPED_NUMBERS})
    return count

"""After a restore: messages that may have gone out since the backup are held back."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pushctl.model import Cause, Json, Millis
from pushctl.store.deliveries import CAN_BE_HASTENED

if TYPE_CHECKING:
    from pushctl.store import Store

# Further than a database gets between a backup and its restore: 10,000 messages a second
# for a day.
SKIPPED_NUMBERS = 1_000_000_000

REASON = "the database was restored: it may have gone out after the backup"

# Nothing else is sent before its time: what is due only now can't have gone out from a later
# database either. What waited for the network may have: its time is only the next try's. So may
# what waited for a test's winner: a person can pick it early.
_MAY_HAVE_GONE = f"""
    (status = 'sending' OR status = 'planned' AND coalesce(next_attempt_at, 0) <= :now
     OR status = 'planned' AND cause IS 'awaits_winner' OR coalesce({CAN_BE_HASTENED}, 0))
"""


def list_waiting(store: "Store", now: Millis) -> Iterator[Mapping[str, Json]]:
    """
    Yield each campaign with messages that are not sent: ``name``, ``set_aside``, ``to_come``.

    The first are those that may have gone out, the second the others, due after *now*, the
    first of them at ``next_at``.
    """
    sql = f"""
        SELECT name, sum({_MAY_HAVE_GONE}) AS set_aside, sum(NOT {_MAY_HAVE_GONE}) AS to_come,
               min(next_attempt_at) FILTER (WHERE NOT {_MAY_HAVE_GONE}) AS next_at
          FROM (SELECT c.id, c.name, d.status, d.cause, d.next_attempt_at
                  FROM campaigns AS c CROSS JOIN deliveries AS d
                 WHERE d.campaign_id = c.id AND d.status IN ('planned', 'sending'))
         GROUP BY id ORDER BY id
    """  # noqa: S608
    cursor = store.connection.execute(sql, {"now": now})
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def hold_back(store: "Store", now: Millis) -> int:
    """
    Mark every message that was due by *now* as in doubt; return how many.

    So is what waited for the network at the backup. What else is due later stays planned.
    Events that no sweep has read start nothing: a sweep after the backup may have read
    them. Numbers given after the backup are not given again: browsers hold tokens with
    them.
    """
    # By campaign: the index on states begins with it.
    messages = f"""
        UPDATE deliveries
           SET status = 'in_doubt', reason = :why, cause = :cause, changed_at = :now,
               sent_at = iif(status = 'sending', changed_at, NULL)
         WHERE campaign_id IN (SELECT id FROM campaigns)
           AND status IN ('planned', 'sending') AND {_MAY_HAVE_GONE}
    """  # noqa: S608
    # A broadcast with nothing left to do; a trigger's campaign waits for its next row.
    ended = """
        UPDATE campaigns
           SET status = 'finished', finished_at = :now, note = :why, cause = :cause
         WHERE status IN ('running', 'scheduled') AND trigger IS NULL
           AND NOT EXISTS (SELECT 1 FROM deliveries AS d
                            WHERE d.campaign_id = campaigns.id AND d.status = 'planned')
    """
    values = {"now": now, "why": REASON, "cause": Cause.DATABASE_RESTORED}
    with store.write() as connection:
        count = connection.execute(messages, values).rowcount
        connection.execute(ended, values)
        connection.execute("UPDATE trigger_states SET scanned_at = :now", {"now": now})
        for key, table in (("sweep.events", "events"), ("sweep.shown", "interactions")):
            newest = f"SELECT coalesce(max(id), 0) FROM {table}"  # noqa: S608
            store.meta.set(key, str(connection.execute(newest).fetchone()[0]))
        skip_numbers(store)
    return count


def skip_numbers(store: "Store") -> None:
    """Let new rows of every table get numbers that were never given out after the backup."""
    # A table that was empty at the backup has no counter yet.
    begin = """
        INSERT INTO sqlite_sequence (name, seq)
        SELECT name, 0 FROM sqlite_master
         WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'
           AND name NOT IN (SELECT name FROM sqlite_sequence)
    """
    skip = "UPDATE sqlite_sequence SET seq = seq + :skipped"
    with store.write() as connection:
        connection.execute(begin)
        connection.execute(skip, {"skipped": SKIPPED_NUMBERS})

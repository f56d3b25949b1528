"""
Finds out whether a sweep has anything to do; cron asks every minute.

Only the standard library is loaded, the file is only read, and every condition is one
look-up in an index: the cost does not grow with the database.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from pushctl.store.migrated import is_migrated

CONFIG_KEY = "sweep.config"
NEXT_SCAN_KEY = "sweep.next_scan"
ALERTS_KEY = "alerts.next"  # when to look at them; no row: there are none

# The scheduled campaigns whose first message is due.
SCHEDULED_DUE = """
    SELECT c.id FROM campaigns AS c
     WHERE c.status = 'scheduled'
       AND EXISTS (SELECT 1 FROM deliveries AS d
                    WHERE d.campaign_id = c.id AND d.status = 'planned'
                      AND d.next_attempt_at <= :now)
"""
# The campaigns that have due rows or may have lost their process.
RUNNING_DUE = """
    SELECT c.id FROM campaigns AS c
     WHERE c.status IN ('running', 'cancelled')
       AND (EXISTS (SELECT 1 FROM deliveries AS d
                     WHERE d.campaign_id = c.id AND d.status = 'sending')
            OR (c.status = 'running'
                AND (EXISTS (SELECT 1 FROM deliveries AS d INDEXED BY deliveries_due
                              WHERE d.campaign_id = c.id AND d.status = 'planned'
                                AND d.next_attempt_at <= :now)
                     OR (c.options ->> '$.over' IS NULL
                         AND EXISTS (SELECT 1 FROM deliveries AS d
                                      WHERE d.campaign_id = c.id
                                        AND d.status = 'planned'
                                        AND d.next_attempt_at IS NULL)))))
"""

# The experiments to look at; while its campaign is paused, none is decided.
EXPERIMENT_DUE = """
    e.look_at <= :now AND e.state = 'testing'
       AND NOT EXISTS (SELECT 1 FROM campaigns AS c
                        WHERE c.id = e.campaign_id AND c.status = 'paused')
"""

# What a sweep has to do besides taking in and deciding.
_PLANNED = f"""
    NOT EXISTS (SELECT 1 FROM meta WHERE key = 'sweep.config' AND value = :config)
        OR NOT EXISTS (SELECT 1 FROM meta
                        WHERE key = 'sweep.next_scan' AND CAST(value AS INTEGER) > :now)
        OR EXISTS (SELECT 1 FROM recurring WHERE next_at <= :now)
        OR EXISTS ({SCHEDULED_DUE})
        OR EXISTS (SELECT 1 FROM experiments AS e WHERE {EXPERIMENT_DUE})
        OR EXISTS (SELECT 1 FROM orders
                    WHERE state = 'pending' AND failed_at IS NULL AND at <= :now - 1800000)
        OR EXISTS (SELECT 1 FROM messages
                    WHERE own AND campaign_id IS NULL AND state = 'received')
"""  # noqa: S608
# What is to be taken in and decided. Enrolments of paused triggers wait without end, so they
# are read one by one only when something is paused.
_NEW = """
    (SELECT coalesce(max(id), 0) FROM events)
           > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sweep.events'), -1)
        OR (SELECT coalesce(max(id), 0) FROM interactions)
           > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sweep.shown'), 0)
        OR EXISTS (SELECT 1 FROM enrolments
                    WHERE state = 'active' AND next_at <= :now
                      AND trigger NOT IN (SELECT name FROM trigger_states
                                           WHERE paused_at IS NOT NULL))
        OR EXISTS (SELECT 1 FROM stops)
        OR EXISTS (SELECT 1 FROM promo_pools
                    WHERE remind_at <= :now AND reminded_at IS NULL AND expires_at > :now)
        OR EXISTS (SELECT 1 FROM meta WHERE key = 'erasure.pending')
        OR EXISTS (SELECT 1 FROM messages
                    WHERE look_at <= :now AND NOT (own AND state = 'received'))
"""
# Calls to programs and webhooks: those of steps are campaigns, too.
_CALLS = f"""
    EXISTS (SELECT 1 FROM webhook_sources)
        OR EXISTS (SELECT 1 FROM meta AS m
                    WHERE m.key = 'webhooks.events'
                      AND CAST(m.value AS INTEGER) < (SELECT max(id) FROM events))
        OR EXISTS (SELECT 1 FROM meta AS m
                    WHERE m.key = 'webhooks.interactions'
                      AND CAST(m.value AS INTEGER) < (SELECT max(id) FROM interactions))
        OR EXISTS (SELECT 1 FROM webhooks AS w JOIN webhook_calls AS c ON c.webhook = w.name
                    WHERE coalesce(w.open_until, 0) <= :now AND c.state = 'waiting'
                      AND c.next_at <= :now)
        OR EXISTS ({RUNNING_DUE} AND c.options ->> '$.channel' IS NOT NULL)
        OR EXISTS (SELECT 1 FROM meta
                    WHERE key = 'alerts.next' AND CAST(value AS INTEGER) <= :now)
"""  # noqa: S608
_MESSAGES = f"EXISTS ({RUNNING_DUE} AND c.options ->> '$.channel' IS NULL)"
# What a watch asks each second.
FIND_WORK = f"SELECT {_PLANNED}, {_NEW}, {_MESSAGES}, {_CALLS}"
# A file may have come meanwhile; a watch looks each minute.
_WAITS = """
    EXISTS (SELECT 1 FROM campaigns WHERE cause = 'needs_approval' AND status = 'paused')
"""
_BUSY = f"SELECT {_PLANNED} OR {_WAITS} OR {_NEW} OR {_MESSAGES} OR {_CALLS}"


class UncheckedError(Exception):
    """No sweep of this build has checked pushctl.toml as it is."""


def compute_fingerprint(file: Path) -> str:
    """Return a hash of pushctl.toml."""
    return _hash(file.read_bytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def check(connection: sqlite3.Connection, content: bytes, migrations: Iterable[str]) -> None:
    """
    Raise UncheckedError unless a sweep of this build has found pushctl.toml sound.

    *content* is the file's, *migrations* the names that this build knows.
    """
    sql = "SELECT 1 FROM meta WHERE key = ? AND value = ?"
    if not is_migrated(connection, migrations):
        raise UncheckedError
    if connection.execute(sql, (CONFIG_KEY, _hash(content))).fetchone() is None:
        raise UncheckedError


def is_idle(
    database: Path, inbox: Path, file: Path, migrations: Iterable[str], now: int
) -> bool:
    """
    Return whether a sweep would find nothing to do; False where that is uncertain.

    *file* is pushctl.toml, *migrations* the names that this build knows.
    """
    try:
        address = f"{database.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=0.1)
    except sqlite3.Error:
        return False
    try:
        values = {"config": compute_fingerprint(file), "now": now}
        return (
            is_migrated(connection, migrations)
            and not connection.execute(_BUSY, values).fetchone()[0]
            and is_drained(connection, inbox)
        )
    except (sqlite3.Error, OSError):
        return False
    finally:
        connection.close()


def is_drained(connection: sqlite3.Connection, inbox: Path) -> bool:
    """Return whether every segment was read to its end."""
    sql = "SELECT offset FROM inbox_cursors WHERE segment = ?"
    for segment in inbox.glob("*.seg"):
        read = connection.execute(sql, (segment.name,)).fetchone()
        try:
            if segment.stat().st_size > (read[0] if read else 0):
                return False
        except FileNotFoundError:  # drained meanwhile
            continue
    return True

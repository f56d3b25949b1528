"""
What sending teaches about subscriptions: those that fail, and those that work again.

A refusal is never a reason to delete at once. It puts a subscription aside for a day;
three failures over a week or more make it gone, softly.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushctl.model import Millis

if TYPE_CHECKING:
    from pushctl.store import Store

ASIDE: Millis = 24 * 3600 * 1000
FAILURES = 3
FAILING_FOR: Millis = 7 * 24 * 3600 * 1000


class Health:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def gone(self, subscriptions: Sequence[tuple[int, str]], now: Millis) -> None:
        """Put (subscription, reason) away; whoever unsubscribed meanwhile stays so."""
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, 'gone', :reason, :now FROM subscriptions
             WHERE id = :id AND state IN ('active', 'quarantined')
        """
        update = """
            UPDATE subscriptions SET state = 'gone', state_reason = :reason, state_at = :now
             WHERE id = :id AND state IN ('active', 'quarantined')
        """
        values = [{"id": one, "reason": why, "now": now} for one, why in subscriptions]
        with self._store.write() as connection:
            connection.executemany(change, values)
            connection.executemany(update, values)

    def failed(self, subscriptions: Sequence[tuple[int, str]], now: Millis) -> None:
        """Put (subscription, reason) aside; gone at the third failure over a week."""
        becomes = f"""
            CASE WHEN failures + 1 >= {FAILURES}
                      AND :now - coalesce(failing_since, :now) >= {FAILING_FOR}
                 THEN 'gone' ELSE 'quarantined' END
        """
        change = f"""
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, {becomes}, :reason, :now FROM subscriptions
             WHERE id = :id AND state <> {becomes}
        """  # noqa: S608
        update = f"""
            UPDATE subscriptions
               SET state_at = :now, state_reason = :reason, state = {becomes},
                   failures = failures + 1, failing_since = coalesce(failing_since, :now)
             WHERE id = :id AND state IN ('active', 'quarantined')
        """  # noqa: S608
        values = [{"id": one, "reason": why, "now": now} for one, why in subscriptions]
        with self._store.write() as connection:
            connection.executemany(change, values)
            connection.executemany(update, values)

    def worked(self, subscriptions: Sequence[int]) -> None:
        """Forget the failures of subscriptions that have just taken a message."""
        sql = "UPDATE subscriptions SET failures = 0, failing_since = NULL WHERE id = ?"
        with self._store.write() as connection:
            connection.executemany(sql, ((one,) for one in subscriptions))

    def too_large(self, subscriptions: Sequence[int]) -> None:
        """Remember whose push service refused the full size (413)."""
        sql = "UPDATE subscriptions SET small_payload = 1 WHERE id = ?"
        with self._store.write() as connection:
            connection.executemany(sql, ((one,) for one in subscriptions))

    def try_again(self, now: Millis) -> int:
        """Make subscriptions active that have been aside for a day; return how many."""
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, 'revived', 'tried again', :now FROM subscriptions
             WHERE state = 'quarantined' AND state_at <= :before
        """
        # The failures stay: they are what makes a third one count.
        update = """
            UPDATE subscriptions SET state = 'active', state_reason = NULL, state_at = :now
             WHERE state = 'quarantined' AND state_at <= :before
        """
        values = {"now": now, "before": now - ASIDE}
        sql = "SELECT 1 FROM subscriptions WHERE state = 'quarantined' AND state_at <= :before"
        if self._store.connection.execute(sql, {"before": now - ASIDE}).fetchone() is None:
            return 0
        with self._store.write() as connection:
            connection.execute(change, values)
            return connection.execute(update, values).rowcount

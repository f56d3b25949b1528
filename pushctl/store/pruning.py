"""
Deletes rows that are no longer needed; subscriptions and figures stay.

Rows are read without a lock and deleted in small transactions: a broadcast that runs
meanwhile must not wait for millions of rows.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json
from pushctl.store.tags import DROP_UNUSED, UNUSED

_CHUNK = 5_000

# Of each kind of ``rules.retention``: a query for old rows, and the statement for each of them.
_STATEMENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "decisions": (
        ("SELECT id FROM decisions WHERE at < :before", "DELETE FROM decisions WHERE id = ?"),
    ),
    "enrolments": (
        # A trigger that enrols each person once needs the enrolments for ever, without context.
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
    ),
    "carts": (
        (
            "SELECT product, subscription_id, at FROM interests WHERE at < :before",
            "DELETE FROM interests WHERE product = ? AND subscription_id = ? AND at = ?",
        ),
        (
            "SELECT site_id, key, subscription_id, at FROM cart_keys WHERE at < :before",
            """
            DELETE FROM cart_keys
             WHERE site_id = ? AND key = ? AND subscription_id = ? AND at = ?
            """,
        ),
    ),
    "feeds": (
        (
            "SELECT trigger, item, at FROM feed_items WHERE at < :before",
            "DELETE FROM feed_items WHERE trigger = ? AND item = ? AND at = ?",
        ),
        (
            """
            SELECT trigger, feed, item FROM feed_news
             WHERE coalesce(told_at, found_at) < :before
            """,
            "DELETE FROM feed_news WHERE trigger = ? AND feed = ? AND item = ?",
        ),
    ),
    "experiments": (
        # Of a bandit the newest version is what it draws by; rows keep their probabilities.
        (
            """
            SELECT p.experiment_id, p.version FROM propensities AS p
             WHERE p.at < :before
               AND p.version < (SELECT max(n.version) FROM propensities AS n
                                 WHERE n.experiment_id = p.experiment_id)
            """,
            "DELETE FROM propensities WHERE experiment_id = ? AND version = ?",
        ),
    ),
    "invitations": (
        (
            """
            SELECT site_id, day, variant, language, browser, stage FROM prompt_counts
             WHERE day < :before
            """,
            """
            DELETE FROM prompt_counts
             WHERE site_id = ? AND day = ? AND variant = ? AND language = ? AND browser = ?
               AND stage = ?
            """,
        ),
    ),
    "runs": (
        # Looks at personal data are no runs, and are kept.
        (
            "SELECT id FROM runs WHERE started_at < :before AND command <> 'people'",
            "DELETE FROM runs WHERE id = ?",
        ),
    ),
    "api": (
        (
            "SELECT id FROM messages WHERE at < :before AND look_at IS NULL",
            "DELETE FROM messages WHERE id = ? AND look_at IS NULL",
        ),
        (
            "SELECT id FROM api_requests WHERE at < :before",
            "DELETE FROM api_requests WHERE id = ?",
        ),
        (
            "SELECT at, key, route, what FROM api_calls WHERE at < :before",
            "DELETE FROM api_calls WHERE at = ? AND key = ? AND route = ? AND what = ?",
        ),
    ),
    "webhooks": (
        (
            "SELECT id FROM webhook_calls WHERE state = 'dead' AND changed_at < :before",
            "DELETE FROM webhook_calls WHERE id = ? AND state = 'dead'",
        ),
    ),
}
# What nobody needs any more, however old.
_UNUSED = (
    # Made-up subscriptions are gone after their first message: they free strangers' names.
    (
        """
        SELECT st.tag_id, st.subscription_id
          FROM tags AS g JOIN subscription_tags AS st ON st.tag_id = g.id
          JOIN subscriptions AS s ON s.id = st.subscription_id
         WHERE g.sender IS NOT NULL AND s.state = 'gone' AND s.verified_at IS NULL
        """,
        "DELETE FROM subscription_tags WHERE tag_id = ? AND subscription_id = ?",
    ),
    (f"SELECT id FROM tags WHERE sender IS NOT NULL AND {UNUSED}", DROP_UNUSED),  # noqa: S608
    # Unused tags, but for the first thousand: those are a shop's own.
    (
        f"SELECT id FROM tags WHERE {UNUSED} ORDER BY id LIMIT -1 OFFSET 1000",  # noqa: S608
        DROP_UNUSED,
    ),
)


class Pruning(Noun):
    def run(self, before: Millis, once: Collection[str] = ()) -> int:
        """As ``prune`` for all kinds, and ``drop_unused``; return how many rows changed."""
        kinds = ("events", *_STATEMENTS)
        return sum(self.prune(kind, before, once) for kind in kinds) + self.drop_unused()

    def prune(self, kind: str, before: Millis, once: Collection[str] = ()) -> int:
        """
        Delete rows of a *kind* that ended before *before*; return how many changed.

        Enrolments in the triggers *once* stay, without their contexts.
        """
        if kind == "events":
            return self._delete(
                "DELETE FROM events WHERE id = ?", self._list_old_events(before)
            )
        return sum(
            self._delete(each, self._read(wanted, before=before, once=as_json(once)).fetchall())
            for wanted, each in _STATEMENTS[kind]
        )

    def count(self, kind: str, before: Millis, once: Collection[str] = ()) -> int:
        """Return how many rows ``prune`` would change."""
        if kind == "events":
            return sum(1 for _ in self._list_old_events(before))
        counts = (f"SELECT count(*) FROM ({wanted})" for wanted, _ in _STATEMENTS[kind])  # noqa: S608
        values = {"before": before, "once": as_json(once)}
        return sum(int(self._read_value(sql, **values)) for sql in counts)

    def drop_unused(self) -> int:
        """Delete tags that nobody has, and those of made-up subscriptions; return how many."""
        return sum(self._delete(each, self._read(it).fetchall()) for it, each in _UNUSED)

    def _delete(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        count, left = 0, iter(rows)
        while chunk := list(islice(left, _CHUNK)):
            count += self._write_each(sql, chunk)
        return count

    def _list_old_events(self, before: Millis) -> Iterator[tuple[int]]:
        """
        Yield the ids of old events; the next one gets a number behind them all the same.

        They have no index by time, but nearly its order; a late one is deleted later.
        """
        sql = """
            SELECT id, received_at FROM events
             WHERE id > :after ORDER BY id LIMIT :limit
        """
        after = 0
        while True:
            page = self._read(sql, after=after, limit=_CHUNK).fetchall()
            yield from ((row,) for row, received_at in page if received_at < before)
            if not page or page[-1][1] >= before:
                return
            after = page[-1][0]

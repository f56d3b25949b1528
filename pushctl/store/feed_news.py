"""News of feeds: what a digest is to tell, has told, and how much was announced today."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun


class News(NamedTuple):
    item: str
    about: Mapping[str, Json]  # the values of a message


class FeedNews(Noun):
    def add(self, trigger: str, feed: str, news: Iterable[News], found_at: Millis) -> None:
        """Keep items that are to be told; the first is the newest."""
        sql = """
            INSERT OR IGNORE INTO feed_news (trigger, feed, item, about, found_at)
            VALUES (?, ?, ?, ?, ?)
        """
        rows = [
            # A millisecond apart: the order of one look stays.
            (trigger, feed, one.item, orjson.dumps(one.about).decode(), found_at - place)
            for place, one in enumerate(news)
        ]
        self._write_each(sql, rows)

    def tell(self, trigger: str, feed: str, at: Millis, least: int) -> int:
        """
        Mark what waits as told at *at*, where it is *least* items; return how many are.

        What was told at *at* already is what that digest has: what came since waits.
        """
        count = """
            SELECT count(*) FILTER (WHERE told_at IS NULL)
                   * (count(*) FILTER (WHERE told_at = :at) = 0)
              FROM feed_news WHERE trigger = :trigger AND feed = :feed
        """
        sql = """
            UPDATE feed_news SET told_at = :at
             WHERE trigger = :trigger AND feed = :feed AND told_at IS NULL
        """
        if self._read_value(count, trigger=trigger, feed=feed, at=at) < least:
            return 0
        return self._write(sql, trigger=trigger, feed=feed, at=at)

    def list_told(self, trigger: str, feed: str, at: Millis) -> list[Mapping[str, Json]]:
        """Return the values of the items that were told at *at*, newest first."""
        sql = """
            SELECT about FROM feed_news
             WHERE trigger = :trigger AND feed = :feed AND told_at = :at ORDER BY found_at DESC
        """
        rows = self._read(sql, trigger=trigger, feed=feed, at=at)
        return [orjson.loads(about) for (about,) in rows]

    def count_told(self, trigger: str, feed: str, since: Millis) -> int:
        """Return how many items were told at or after *since*."""
        sql = """
            SELECT count(*) FROM feed_news
             WHERE trigger = :trigger AND feed = :feed AND told_at >= :since
        """
        return int(self._read_value(sql, trigger=trigger, feed=feed, since=since))

    def describe(self, trigger: str) -> tuple[Millis | None, int, int]:
        """Return when a trigger told last, how many items that were, and how many wait."""
        sql = """
            WITH last AS (SELECT max(told_at) AS at FROM feed_news WHERE trigger = :trigger)
            SELECT (SELECT at FROM last),
                   count(*) FILTER (WHERE told_at = (SELECT at FROM last)),
                   count(*) FILTER (WHERE told_at IS NULL)
              FROM feed_news WHERE trigger = :trigger
        """
        at, told, waiting = self._read(sql, trigger=trigger).fetchone()
        return at, told, waiting

"""Events: actions of subscribers. Append-only; each event is stored once."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun, as_json

# The dedupe key of a subscription's first event ends so, if it came through the receiver.
ARRIVAL = ":pushctl:subscribed"

EVER: Millis = 2**62  # later than any time, behind any row


class Event(NamedTuple):
    subscription: int
    name: str
    at: Millis  # when it happened
    received_at: Millis
    properties: Mapping[str, Json]
    dedupe_key: str  # a second event with the same key is the same event


class Events(Noun):
    def add(self, events: Iterable[Event]) -> int:
        """Write *events*; return how many are new."""
        sql = """
            INSERT INTO events (subscription_id, name, at, received_at, properties, dedupe_key)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (dedupe_key) DO NOTHING
        """
        rows = [
            event._replace(properties=orjson.dumps(event.properties).decode())  # type: ignore[arg-type]
            for event in events
        ]
        with self._store.write():
            known = self._find_known(row.dedupe_key for row in rows)
            return self._write_each(sql, (row for row in rows if row.dedupe_key not in known))

    def _find_known(self, keys: Iterable[str]) -> set[str]:
        """Return which of *keys* are there: an INSERT of those would use up a number each."""
        sql = """
            SELECT dedupe_key FROM events
             WHERE dedupe_key IN (SELECT value FROM json_each(:keys))
        """
        return {key for (key,) in self._read(sql, keys=as_json(keys))}

    def list_newest(self, subscription: int, limit: int = 100) -> Iterator[Event]:
        """Yield the latest events of a subscription, newest first."""
        sql = """
            SELECT subscription_id, name, at, received_at, properties, dedupe_key FROM events
             WHERE subscription_id = :id ORDER BY at DESC, id DESC LIMIT :limit
        """
        for row in self._read(sql, id=subscription, limit=limit):
            event = Event._make(row)
            yield event._replace(properties=orjson.loads(row[4]))

    def count_names(self) -> list[tuple[str, int]]:
        """Return the names among the last 100,000 events, and how often, most first."""
        sql = """
            SELECT name, count(*) FROM events
             WHERE id > (SELECT coalesce(max(id), 0) FROM events) - 100000
             GROUP BY name ORDER BY 2 DESC, 1
        """
        return self._read(sql).fetchall()

    def find_latest(
        self,
        asked: Mapping[int, tuple[int, Millis, int]],
        names: Iterable[str],
        with_items: str,
    ) -> Mapping[int, tuple[str, Mapping[str, Json]]]:
        """
        Return name and properties of the last event among *names*, by the keys of *asked*:
        subscription, and time and row of the event that it must precede (``EVER``: of any).

        Events called *with_items* count only where they list items.
        """
        # One look into events(subscription_id, name, at) for each pair.
        sql = """
            SELECT a.value ->> 0, e.name, e.properties
              FROM json_each(:asked) AS a
              JOIN events AS e ON e.id = (
                   SELECT l.id FROM json_each(:names) AS n
                     JOIN events AS l ON l.id = (
                          SELECT i.id FROM events AS i
                           WHERE i.subscription_id = a.value ->> 1 AND i.name = n.value
                             AND i.at <= a.value ->> 2
                             AND (i.at < a.value ->> 2 OR i.id < a.value ->> 3)
                             AND (i.name <> :with_items
                                  OR json_array_length(i.properties, '$.items') > 0)
                           ORDER BY i.at DESC, i.id DESC LIMIT 1)
                    ORDER BY l.at DESC, l.id DESC LIMIT 1)
        """
        rows = self._read(
            sql,
            asked=orjson.dumps([(key, *one) for key, one in asked.items()]).decode(),
            names=as_json(names),
            with_items=with_items,
        )
        return {row[0]: (row[1], orjson.loads(row[2])) for row in rows}

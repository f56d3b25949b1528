"""Events: actions of subscribers. Append-only; each event is stored once."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.shops import cart, promo_codes
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
        rows = list(events)
        with self._store.write():
            known = self.find_known(row.dedupe_key for row in rows)
            return self.add_new(row for row in rows if row.dedupe_key not in known)

    def add_new(self, events: Iterable[Event]) -> int:
        """Write *events*, none of which is ``find_known``; return how many they were."""
        sql = """
            INSERT INTO events (subscription_id, name, at, received_at, properties, dedupe_key)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (dedupe_key) DO NOTHING
        """
        rows = (
            (*event[:4], orjson.dumps(event.properties).decode(), event.dedupe_key)
            for event in map(self._hide_codes, events)
        )
        return self._write_each(sql, rows)

    def _hide_codes(self, event: Event) -> Event:
        """Mask our promo codes in a purchase: the order has redeemed them, nobody else may."""
        codes = promo_codes.list_told(event.properties) if event.name == cart.PURCHASE else ()
        if not codes or not (ours := self._store.promo_codes.find_ours(codes)):
            return event
        return event._replace(properties=promo_codes.hide_told(event.properties, ours))

    def find_known(self, keys: Iterable[str]) -> set[str]:
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

    def list_basket_links(self, names: Iterable[str]) -> list[tuple[str, str, int]]:
        """Return site, url and count among the last 10,000 events, of those called *names*."""
        sql = """
            SELECT t.name, e.properties ->> '$.url', count(*)
              FROM events AS e JOIN subscriptions AS s ON s.id = e.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE e.id > (SELECT coalesce(max(id), 0) FROM events) - 10000
               AND e.name IN (SELECT value FROM json_each(:names))
               AND e.properties ->> '$.url' LIKE 'http%'
             GROUP BY 1, 2
        """
        return self._read(sql, names=as_json(names)).fetchall()

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

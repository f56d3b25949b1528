"""Events: what people did. Rows are only ever added, each once."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import orjson

from pushctl.model import Json, Millis

if TYPE_CHECKING:
    from pushctl.store import Store


class Event(NamedTuple):
    """One thing that a person did."""

    subscription: int
    name: str
    at: Millis  # when it happened
    received_at: Millis  # when we heard of it
    properties: Mapping[str, Json]
    dedupe_key: str  # a second event with the same key is the same event


class Events:
    def __init__(self, store: "Store") -> None:
        self._store = store

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
        with self._store.write() as connection:
            return connection.executemany(sql, rows).rowcount

    def of(self, subscription: int, limit: int = 100) -> Iterator[Event]:
        """Yield the latest events of a subscription, newest first."""
        sql = """
            SELECT subscription_id, name, at, received_at, properties, dedupe_key FROM events
             WHERE subscription_id = :id ORDER BY at DESC, id DESC LIMIT :limit
        """
        for row in self._store.connection.execute(sql, {"id": subscription, "limit": limit}):
            event = Event._make(row)
            yield event._replace(properties=orjson.loads(row[4]))

    def names(self) -> list[str]:
        """Return the names of all events that ever came, sorted."""
        sql = "SELECT DISTINCT name FROM events ORDER BY name"
        return [name for (name,) in self._store.connection.execute(sql)]

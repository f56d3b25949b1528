"""Erasure: a person leaves every table; the figures of campaigns stay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from pushctl.model import Millis
from pushctl.store.tags import DROP_UNUSED

if TYPE_CHECKING:
    from pushctl.store import Store

_WHO = "IN (SELECT value FROM json_each(:ids))"


@dataclass(frozen=True)
class Traces:
    """What the database holds of somebody."""

    subscriptions: int
    tags: int
    events: int
    deliveries: int
    interactions: int


class Erasure:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def traces(self, ids: Sequence[int]) -> Traces:
        """Return how much the database holds of these subscriptions."""
        sql = f"""
            SELECT (SELECT count(*) FROM subscriptions WHERE id {_WHO}),
                   (SELECT count(*) FROM subscription_tags WHERE subscription_id {_WHO}),
                   (SELECT count(*) FROM events WHERE subscription_id {_WHO}),
                   (SELECT count(*) FROM deliveries WHERE subscription_id {_WHO}),
                   (SELECT count(*) FROM interactions WHERE delivery_id IN
                       (SELECT id FROM deliveries WHERE subscription_id {_WHO}))
        """  # noqa: S608
        values = {"ids": orjson.dumps(list(ids)).decode()}
        return Traces(*self._store.connection.execute(sql, values).fetchone())

    def everybody(self) -> Iterator[tuple[int, bytes, str, Millis]]:
        """Yield row, endpoint's hash, public id and time of each subscription."""
        sql = "SELECT id, endpoint_hash, public_id, subscribed_at FROM subscriptions"
        yield from self._store.connection.execute(sql)

    def endpoints(self, ids: Sequence[int]) -> set[bytes]:
        """Return the hashes of these subscriptions' endpoints, former ones too."""
        sql = f"""
            SELECT endpoint_hash FROM subscriptions WHERE id {_WHO}
             UNION SELECT endpoint_hash FROM former_endpoints WHERE subscription_id {_WHO}
        """  # noqa: S608
        values = {"ids": orjson.dumps(list(ids)).decode()}
        return {one for (one,) in self._store.connection.execute(sql, values)}

    def deliveries(self, ids: Sequence[int]) -> set[int]:
        """Return the deliveries of these subscriptions: reports name people by them."""
        sql = f"SELECT id FROM deliveries WHERE subscription_id {_WHO}"  # noqa: S608
        values = {"ids": orjson.dumps(list(ids)).decode()}
        return {row for (row,) in self._store.connection.execute(sql, values)}

    def erase(self, ids: Sequence[int], now: Millis) -> None:
        """
        Delete these subscriptions with all that hangs on them.

        Deliveries lose their subscription and the address of the stored message, and
        keep what campaigns are counted by; what was still planned is skipped. A tag that
        nobody else has goes too: its name may tell who had it.
        """
        skip = f"""
            UPDATE deliveries
               SET status = 'skipped', reason = 'forgotten', cause = 'forgotten',
                   changed_at = :now
             WHERE subscription_id {_WHO} AND status = 'planned'
        """  # noqa: S608
        unlink = f"""
            UPDATE deliveries SET location = NULL, subscription_id = NULL
             WHERE subscription_id {_WHO}
        """  # noqa: S608
        tags = f"SELECT DISTINCT tag_id FROM subscription_tags WHERE subscription_id {_WHO}"  # noqa: S608
        delete = f"DELETE FROM subscriptions WHERE id {_WHO}"  # noqa: S608
        values = {"ids": orjson.dumps(list(ids)).decode(), "now": now}
        with self._store.write() as connection:
            connection.execute(skip, values)
            connection.execute(unlink, values)
            had = connection.execute(tags, values).fetchall()
            connection.execute(delete, values)
            connection.executemany(DROP_UNUSED, had)

    def unname(self, alias: str) -> None:
        """Take an alias out of the audiences that campaigns were sent to."""
        sql = """
            UPDATE campaigns
               SET audience = replace(replace(audience, :single, '''forgotten'''),
                                      :double, '"forgotten"')
             WHERE instr(audience, 'alias') AND instr(audience, :alias)
        """
        values = {"alias": alias, "single": f"'{alias}'", "double": f'"{alias}"'}
        with self._store.write() as connection:
            connection.execute(sql, values)

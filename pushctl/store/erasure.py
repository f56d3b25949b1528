"""Erasure: a person is removed from every table; the figures of campaigns stay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json
from pushctl.store.orders import ERASED
from pushctl.store.tags import DROP_UNUSED

# What an order keeps is its number, by which a second delivery or a refund finds it, its state,
# amount, currency, time, source and campaign.
_BLANK = """
    UPDATE orders
       SET subscription_id = NULL, unmatched = :erased, alias = NULL, cart_key = NULL,
           email_hash = NULL, lines = '[]'
"""

_IN_IDS = "IN (SELECT value FROM json_each(:ids))"


@dataclass(frozen=True)
class Traces:
    """How many rows of each kind belong to a person."""

    subscriptions: int
    tags: int
    events: int
    deliveries: int
    interactions: int


class Erasure(Noun):
    def count_traces(self, ids: Sequence[int]) -> Traces:
        sql = f"""
            SELECT (SELECT count(*) FROM subscriptions WHERE id {_IN_IDS}),
                   (SELECT count(*) FROM subscription_tags WHERE subscription_id {_IN_IDS}),
                   (SELECT count(*) FROM events WHERE subscription_id {_IN_IDS}),
                   (SELECT count(*) FROM deliveries WHERE subscription_id {_IN_IDS}),
                   (SELECT count(*) FROM interactions WHERE delivery_id IN
                       (SELECT id FROM deliveries WHERE subscription_id {_IN_IDS}))
        """  # noqa: S608
        return Traces(*self._read(sql, ids=as_json(ids)).fetchone())

    def list_subscriptions(self) -> Iterator[tuple[int, bytes, str, Millis]]:
        """Yield row, endpoint's hash, public id and time of each subscription."""
        sql = "SELECT id, endpoint_hash, public_id, subscribed_at FROM subscriptions"
        yield from self._read(sql)

    def list_endpoints(self, ids: Sequence[int]) -> set[bytes]:
        """Return the hashes of these subscriptions' endpoints, former ones too."""
        sql = f"""
            SELECT endpoint_hash FROM subscriptions WHERE id {_IN_IDS}
             UNION SELECT endpoint_hash FROM former_endpoints WHERE subscription_id {_IN_IDS}
        """  # noqa: S608
        return {one for (one,) in self._read(sql, ids=as_json(ids))}

    def list_deliveries(self, ids: Sequence[int]) -> set[int]:
        """Return the deliveries of these subscriptions: reports carry their ids."""
        sql = f"SELECT id FROM deliveries WHERE subscription_id {_IN_IDS}"  # noqa: S608
        return {row for (row,) in self._read(sql, ids=as_json(ids))}

    def erase(self, ids: Sequence[int], now: Millis) -> None:
        """
        Delete these subscriptions and all rows that belong to them.

        Deliveries stay for the figures, without subscription and location; planned ones are
        skipped. Orders stay without all that names the person (``_BLANK``). A tag without other
        holders is deleted: its name may identify a person.
        """
        skip = f"""
            UPDATE deliveries
               SET status = 'skipped', reason = 'forgotten', cause = 'forgotten',
                   changed_at = :now
             WHERE subscription_id {_IN_IDS} AND status = 'planned'
        """  # noqa: S608
        unlink = f"""
            UPDATE deliveries SET location = NULL, subscription_id = NULL
             WHERE subscription_id {_IN_IDS}
        """  # noqa: S608
        tags = f"SELECT DISTINCT tag_id FROM subscription_tags WHERE subscription_id {_IN_IDS}"  # noqa: S608
        delete = f"DELETE FROM subscriptions WHERE id {_IN_IDS}"  # noqa: S608
        rows = as_json(ids)
        with self._store.write():
            self._write(skip, ids=rows, now=now)
            self._write(unlink, ids=rows)
            self._write(f"{_BLANK} WHERE subscription_id {_IN_IDS}", ids=rows, erased=ERASED)
            had = self._read(tags, ids=rows).fetchall()
            self._write(delete, ids=rows)
            self._write_each(DROP_UNUSED, had)

    def remove_alias(self, alias: str) -> None:
        """Replace an alias in the stored audiences of campaigns, and remove it from orders."""
        sql = """
            UPDATE campaigns
               SET audience = replace(replace(audience, :single, '''forgotten'''),
                                      :double, '"forgotten"')
             WHERE instr(audience, 'alias') AND instr(audience, :alias)
        """
        with self._store.write():
            self._write(sql, alias=alias, single=f"'{alias}'", double=f'"{alias}"')
            self._write(f"{_BLANK} WHERE alias = :alias", alias=alias, erased=ERASED)

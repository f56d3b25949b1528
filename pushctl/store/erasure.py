"""Erasure: a person is removed from every table; the figures of campaigns stay."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pushctl.model import Millis
from pushctl.rules.shops.told import Clues
from pushctl.store.noun import Noun, as_json
from pushctl.store.orders import ERASED
from pushctl.store.tags import DROP_UNUSED

# What an order keeps is its number, by which a second delivery or a refund finds it, its state,
# amount, currency, time and source.
_BLANK = """
    UPDATE orders
       SET subscription_id = NULL, unmatched = :erased, alias = NULL, cart_key = NULL,
           email_hash = NULL, lines = '[]', codes = '[]', matched = NULL
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

    def list_names(self, ids: Sequence[int]) -> set[str]:
        """
        Return what shops and servers call these subscriptions.

        That is public id, signed alias, hash of the e-mail address, keys of baskets. What a
        page only claims is another person's, perhaps.
        """
        sql = f"""
            SELECT public_id FROM subscriptions WHERE id {_IN_IDS}
             UNION SELECT alias FROM subscriptions
                    WHERE id {_IN_IDS} AND alias IS NOT NULL AND alias_trusted
             UNION SELECT lower(hex(email_hash)) FROM subscriptions
                    WHERE id {_IN_IDS} AND email_hash IS NOT NULL
             UNION SELECT key FROM cart_keys WHERE subscription_id {_IN_IDS}
        """  # noqa: S608
        return {one for (one,) in self._read(sql, ids=as_json(ids))}

    def list_deliveries(self, ids: Sequence[int]) -> set[int]:
        """Return the deliveries of these subscriptions: reports carry their ids."""
        sql = f"SELECT id FROM deliveries WHERE subscription_id {_IN_IDS}"  # noqa: S608
        return {row for (row,) in self._read(sql, ids=as_json(ids))}

    def erase(self, ids: Sequence[int], now: Millis) -> None:
        """
        Delete these subscriptions and all rows that belong to them.

        Deliveries stay for the figures, without subscription and location, and without what a
        step's program wrote, which may name the person; planned ones are skipped. Messages that
        a server wrote for the person lose their words. Orders stay
        without all that names the person (``_BLANK``). A tag without other holders is deleted:
        its name may identify a person.
        """
        skip = f"""
            UPDATE deliveries
               SET status = 'skipped', reason = 'forgotten', cause = 'forgotten',
                   changed_at = :now
             WHERE subscription_id {_IN_IDS} AND status = 'planned'
        """  # noqa: S608
        # By itself: whatever sets a reason has kept figures built anew (m038).
        silence = f"""
            UPDATE deliveries SET reason = NULL
             WHERE subscription_id {_IN_IDS}
               AND cause IN ('call_refused', 'call_not_begun', 'timeout')
               AND campaign_id IN (SELECT id FROM campaigns
                                    WHERE options ->> '$.channel' IS NOT NULL)
        """  # noqa: S608
        unlink = f"""
            UPDATE deliveries SET location = NULL, subscription_id = NULL
             WHERE subscription_id {_IN_IDS}
        """  # noqa: S608
        tags = f"SELECT DISTINCT tag_id FROM subscription_tags WHERE subscription_id {_IN_IDS}"  # noqa: S608
        delete = f"DELETE FROM subscriptions WHERE id {_IN_IDS}"  # noqa: S608
        waiting = f"""
            {_BLANK} WHERE unmatched IS NOT NULL
               AND (cart_key IN (SELECT key FROM cart_keys WHERE subscription_id {_IN_IDS})
                    OR email_hash IN (SELECT email_hash FROM subscriptions WHERE id {_IN_IDS}))
        """  # noqa: S608
        rows = as_json(ids)
        with self._store.write():
            self._blank_messages(ids)
            self._store.approvals.note_erased(ids)
            # It has persons by their subscriptions; the figures compute it again.
            self._store.attributions.forget_people(ids)
            self._write(skip, ids=rows, now=now)
            self._write(silence, ids=rows)
            self._write(unlink, ids=rows)
            self._write(f"{_BLANK} WHERE subscription_id {_IN_IDS}", ids=rows, erased=ERASED)
            self._write(waiting, ids=rows, erased=ERASED)
            had = self._read(tags, ids=rows).fetchall()
            self._write(delete, ids=rows)
            self._write_each(DROP_UNUSED, had)

    def count_orders(self, alias: str) -> int:
        """Return how many orders have an alias; their buyer may have no browser here."""
        sql = "SELECT count(*) FROM orders WHERE alias = :alias"
        return int(self._read_value(sql, alias=alias))

    def _blank_messages(self, ids: Sequence[int]) -> None:
        """Blank what servers wrote for these people alone; others may wait for the same."""
        texts = f"""
            UPDATE messages SET content = '{{}}'
             WHERE id IN (SELECT -enrolment_id FROM deliveries
                           WHERE subscription_id {_IN_IDS} AND enrolment_id < 0)
               AND NOT EXISTS (SELECT 1 FROM deliveries AS d
                                WHERE d.enrolment_id = -messages.id AND d.enrolment_id < 0
                                  AND d.status IN ('planned', 'sending', 'in_doubt')
                                  AND d.subscription_id NOT {_IN_IDS})
        """  # noqa: S608
        # Of a message to many, only these people are taken out before it is planned.
        among = """
            UPDATE messages
               SET content = json_set(content, '$.to.people', (
                       SELECT json_group_array(json(p.value))
                         FROM json_each(messages.content, '$.to.people') AS p
                        WHERE NOT EXISTS (SELECT 1 FROM json_each(p.value) AS clue
                                           WHERE clue.value IN
                                                 (SELECT value FROM json_each(:names)))))
             WHERE look_at IS NOT NULL AND state = 'received'
               AND json_array_length(content, '$.to.people') > 1
        """
        asked = """
            UPDATE messages SET content = '{}'
             WHERE look_at IS NOT NULL AND state = 'received'
               AND EXISTS (SELECT 1 FROM json_each(:names)
                            WHERE instr(messages.content, json_quote(value)))
        """
        names = as_json(self.list_names(ids))
        self._write(texts, ids=as_json(ids))
        self._write(among, names=names)
        self._write(asked, names=names)

    def remove_alias(self, alias: str) -> None:
        """Replace an alias in the stored audiences of campaigns, and remove it from orders."""
        with self._store.write():
            self.remove_alias_from_audiences(alias)
            self._write(f"{_BLANK} WHERE alias = :alias", alias=alias, erased=ERASED)

    def blank_orders(
        self, site_id: int, source: str, clues: Clues, numbers: Collection[str]
    ) -> int:
        """
        Remove the person from the orders of a site that *clues* or *numbers* name; return
        how many.
        """
        # "+": by the index of each name. By the site's all of its orders would be read.
        sql = f"""
            {_BLANK} WHERE +site_id = :site
               AND (alias = :alias OR email_hash = :hash OR cart_key = :cart_key
                    OR (source = :source
                        AND number IN (SELECT value FROM json_each(:numbers))))
        """  # noqa: S608
        return self._write(
            sql, site=site_id, source=source, alias=clues.alias, cart_key=clues.cart_key,
            hash=bytes.fromhex(clues.email_hash) if clues.email_hash else None,
            numbers=as_json(numbers), erased=ERASED,
        )  # fmt: skip

    def blank_rows(self, rows: Sequence[int]) -> None:
        """Remove the people from these orders."""
        self._write(f"{_BLANK} WHERE id {_IN_IDS}", ids=as_json(rows), erased=ERASED)

    def list_buyers(self) -> Iterator[tuple[int, str, str, str, Clues, Millis]]:
        """
        Yield row, site, source, number, clues and time of receipt of each order that has
        something of a person in it.
        """
        sql = """
            SELECT o.id, s.name, o.source, o.number, o.cart_key, o.alias,
                   lower(hex(o.email_hash)), o.received_at
              FROM orders AS o JOIN sites AS s ON s.id = o.site_id
             WHERE o.unmatched IS NOT :erased
        """
        for row, site, source, number, key, alias, hashed, came in self._read(
            sql, erased=ERASED
        ):
            yield row, site, source, number, Clues(key, alias, hashed or None), came

    def remove_alias_from_audiences(self, alias: str) -> None:
        sql = """
            UPDATE campaigns
               SET audience = replace(replace(audience, :single, '''forgotten'''),
                                      :double, '"forgotten"')
             WHERE instr(audience, 'alias') AND instr(audience, :alias)
        """
        self._write(sql, alias=alias, single=f"'{alias}'", double=f'"{alias}"')

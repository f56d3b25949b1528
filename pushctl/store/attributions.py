"""
Which message has brought about which order or event: what the rule reads, and what is kept.
What is kept may be deleted; ``jobs/figures/attribution/credits.py`` says when it is computed
again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun, as_json
from pushctl.store.orders import NOBODYS

_IN_IDS = "IN (SELECT value FROM json_each(:ids))"
# Orders that count: paid, whatever was given back later.
_COUNTS = "o.state IN ('paid', 'refunded') AND NOT o.test"
_PAGE = 20_000


class State(NamedTuple):
    """What the kept rows of a goal were computed from."""

    rule: str
    interactions: int  # the last rows that were looked at
    events: int
    changes: int


class Source(NamedTuple):
    """An order or event that a message may have brought about."""

    id: int
    subscription: int | None
    at: Millis


class Kept(NamedTuple):
    """A source's message."""

    source: int
    delivery: int
    campaign: int
    person: int
    kind: str
    basis: str
    touched_at: Millis


class Code(NamedTuple):
    """A message whose promo code an order has redeemed."""

    order: int
    delivery: int
    subscription: int
    at: Millis  # when the message got the code


class Attributions(Noun):
    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let everything be read as of one moment, whoever writes meanwhile."""
        connection = self._store.connection
        if connection.in_transaction:
            yield
            return
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")

    def begin(self, goals: Collection[str]) -> None:
        """Have the triggers note what changes from now on; nothing is kept of *goals* yet."""
        sql = "INSERT OR IGNORE INTO attribution_rules VALUES (?, '', 0, 0, 0)"
        self._write_each(sql, ((goal,) for goal in goals))

    def load_states(self) -> dict[str, State]:
        sql = "SELECT goal, rule, interactions, events, changes FROM attribution_rules"
        return {goal: State(*rest) for goal, *rest in self._read(sql)}

    def find_last(self) -> tuple[int, int, int]:
        """Return the numbers of the last report, event and change that there ever was."""
        sql = """
            SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'interactions'), 0),
                   coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0),
                   coalesce((SELECT seq FROM sqlite_sequence
                              WHERE name = 'attribution_changes'), 0)
        """
        last: tuple[int, int, int] = self._read(sql).fetchone()
        return last

    def list_changes(self, after: int) -> tuple[set[int], set[int]]:
        """Return the orders, and the subscriptions, that were noted since *after*."""
        sql = """
            SELECT order_id, subscription_id FROM attribution_changes WHERE id > :after
        """
        found = self._read(sql, after=after).fetchall()
        orders = {order for order, _ in found if order is not None}
        return orders, {one for _, one in found if one is not None}

    def list_reports(self, after: int) -> list[tuple[int, Millis, Millis]]:
        """Return who has reported since *after*: the times of the first and the last one."""
        sql = """
            SELECT d.subscription_id, min(i.at), max(i.at)
              FROM interactions AS i CROSS JOIN deliveries AS d ON d.id = i.delivery_id
             WHERE i.id > :after AND d.subscription_id IS NOT NULL GROUP BY 1
        """
        return self._read(sql, after=after).fetchall()

    def list_orders(
        self, ids: Collection[int] | None = None, buyers: Collection[int] | None = None
    ) -> list[Source]:
        """Return the orders that count: all, those of *ids*, or those of *buyers*."""
        sql = f"""
            SELECT o.id, o.subscription_id, o.at FROM orders AS o
             WHERE {_COUNTS} AND (o.subscription_id IS NOT NULL
                   OR (o.id IN (SELECT order_id FROM promo_redemptions)
                       AND coalesce(o.unmatched, '')
                           NOT IN (SELECT value FROM json_each(:nobodys))))
        """  # noqa: S608
        more, values = "", {"nobodys": orjson.dumps(NOBODYS).decode()}
        if ids is not None:
            more, values["ids"] = f" AND o.id {_IN_IDS}", as_json(ids)
        elif buyers is not None:
            more, values["ids"] = f" AND o.subscription_id {_IN_IDS}", as_json(buyers)
        return [Source(*row) for row in self._read(sql + more, **values)]

    def list_orders_between(self, since: Millis, until: Millis) -> list[Source]:
        """Return the orders that count of that time, ends included, with a known buyer."""
        sql = f"""
            SELECT o.id, o.subscription_id, o.at FROM orders AS o
             WHERE {_COUNTS} AND o.subscription_id IS NOT NULL
               AND o.at BETWEEN :since AND :until
        """  # noqa: S608
        return [Source(*row) for row in self._read(sql, since=since, until=until)]

    def list_buyerless(self) -> set[int]:
        """Return the orders of nobody that have redeemed a promo code."""
        sql = """
            SELECT id FROM orders
             WHERE unmatched IS NOT NULL AND subscription_id IS NULL
               AND EXISTS (SELECT 1 FROM promo_redemptions WHERE order_id = orders.id)
        """
        return {row for (row,) in self._read(sql)}

    def list_events(
        self, name: str, *, after: int = 0, ids: Collection[int] | None = None,
        people: Collection[int] | None = None,
    ) -> list[Source]:  # fmt: skip
        """Return the events *name*: all behind *after*, those of *ids*, or of *people*."""
        sql = "SELECT id, subscription_id, at FROM events WHERE name = :name"
        if ids is not None or people is not None:
            column = "subscription_id" if ids is None else "id"
            values = as_json(people or () if ids is None else ids)
            rows = self._read(f"{sql} AND {column} {_IN_IDS}", name=name, ids=values)
        else:
            rows = self._read(f"{sql} AND id > :after", name=name, after=after)
        return [Source(*row) for row in rows]

    def list_codes(self, orders: Collection[int] | None) -> Iterator[Code]:
        """
        Yield the messages whose codes these orders have redeemed; *orders* None: all.

        What everybody has, and what a test carried, names nobody.
        """
        some = "" if orders is None else f"AND r.order_id {_IN_IDS}"
        sql = f"""
            SELECT r.order_id, b.delivery_id, b.subscription_id, b.at
              FROM promo_redemptions AS r
              JOIN promo_codes AS k ON k.id = r.code_id
              JOIN promo_bindings AS b ON b.code_id = r.code_id
              JOIN deliveries AS d ON d.id = b.delivery_id
             WHERE k.state <> 'shared' AND b.subscription_id IS NOT NULL
               AND d.campaign_id NOT IN (SELECT id FROM campaigns WHERE is_test) {some}
        """  # noqa: S608
        values = {} if orders is None else {"ids": as_json(orders)}
        yield from map(Code._make, self._read(sql, **values))

    def list_people(self, subscriptions: Collection[int]) -> dict[int, int]:
        """
        Return the person of these subscriptions, and of all others of the same persons.

        A person is the lowest subscription among them (``store.enrolments.list_devices``).
        """
        # Nobody else can be of the person of who has neither alias nor hash.
        named = f"""
            SELECT id FROM subscriptions WHERE id {_IN_IDS}
               AND ((alias IS NOT NULL AND alias_trusted) OR email_hash IS NOT NULL)
        """  # noqa: S608
        people: dict[int, int] = {one: one for one in subscriptions}
        asked = [row for (row,) in self._read(named, ids=as_json(subscriptions))]
        for page in _cut(asked):
            lowest: dict[tuple[int, str], int] = {}
            found = self._store.enrolments.list_devices(page)
            for one in found:
                if one.person is not None:
                    key = (one.site_id, one.person)
                    lowest[key] = min(lowest.get(key, one.subscription), one.subscription)
            for one in found:
                person = one.person and lowest[one.site_id, one.person]
                people[one.subscription] = person or one.subscription
        return people

    def list_touches(
        self, subscriptions: Collection[int], since: Millis, until: Millis
    ) -> Iterator[tuple[int, int, str, Millis]]:
        """
        Yield (subscription, delivery, kind, at) of the reports on their messages, but tests',
        of *since* to *until*.
        """
        sql = f"""
            SELECT d.subscription_id, i.delivery_id, i.kind, i.at
              FROM deliveries AS d CROSS JOIN interactions AS i ON i.delivery_id = d.id
             WHERE d.subscription_id {_IN_IDS} AND d.shown_at IS NOT NULL
               AND i.at BETWEEN :since AND :until
               AND d.campaign_id NOT IN (SELECT id FROM campaigns WHERE is_test)
        """  # noqa: S608
        yield from self._read(sql, ids=as_json(subscriptions), since=since, until=until)

    def read_receivers(self) -> Iterator[tuple[str, str]]:
        """
        Yield, by campaign but tests, its messages and their subscriptions: lists of numbers.

        A list is a text, with commas between: of millions of rows most of the time would go
        into handing them over one by one.
        """
        own = "SELECT id FROM campaigns WHERE NOT coalesce(is_test, false)"
        campaigns = self._read(own).fetchall()
        sql = """
            SELECT coalesce(group_concat(id), ''), coalesce(group_concat(subscription_id), '')
              FROM deliveries WHERE campaign_id = :campaign AND subscription_id > 0
        """
        for (campaign,) in campaigns:
            yield self._read(sql, campaign=campaign).fetchone()

    def read_reports(self, first: int, last: int) -> tuple[str, str]:
        """
        Return the reports *first* to *last* as lists, as ``read_receivers``.

        2 * message + 1 for a click, and the time.
        """
        sql = """
            SELECT coalesce(group_concat(2 * delivery_id + (kind = 'clicked')), ''),
                   coalesce(group_concat(at), '')
              FROM interactions WHERE id BETWEEN :first AND :last
        """
        found: tuple[str, str] = self._read(sql, first=first, last=last).fetchone()
        return found

    def find_campaigns(self, deliveries: Collection[int]) -> dict[int, int]:
        sql = f"SELECT id, campaign_id FROM deliveries WHERE id {_IN_IDS}"  # noqa: S608
        found: dict[int, int] = {}
        for page in _cut(sorted(deliveries)):
            found.update(self._read(sql, ids=as_json(page)).fetchall())
        return found

    def list_kept(self, goal: str) -> Iterator[Kept]:
        sql = """
            SELECT source_id, delivery_id, campaign_id, person, kind, basis, touched_at
              FROM attributions WHERE goal = :goal
        """
        yield from map(Kept._make, self._read(sql, goal=goal))

    def keep(
        self,
        seen: Mapping[str, State],
        states: Mapping[str, State],
        changed: Mapping[str, tuple[Collection[int] | None, Collection[Kept]]],
    ) -> bool:
        """
        Keep what was computed; return False, and keep nothing, where others were faster.

        *seen* are the states from which it was computed, *states* those of now. *changed* are,
        by goal, the sources that were looked at (None: all) and what has a message.
        """
        insert = """
            INSERT OR REPLACE INTO attributions (goal, source_id, delivery_id, campaign_id,
                                                 person, kind, basis, touched_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
        rule = "INSERT OR REPLACE INTO attribution_rules VALUES (?, ?, ?, ?, ?)"
        with self._store.write():
            if self.load_states() != seen:
                return False
            for goal in seen.keys() - states.keys():
                self._drop(goal)
            for goal, (sources, kept) in changed.items():
                self._clear(goal, sources)
                self._write_each(insert, ((goal, *one) for one in kept))
            self._write_each(rule, ((goal, *state) for goal, state in states.items()))
            last = min((one.changes for one in states.values()), default=0)
            self._write("DELETE FROM attribution_changes WHERE id <= :last", last=last)
        return True

    def prune(self, most: int) -> None:
        """Forget all where nobody has asked for more than *most* changes."""
        if self._read_value("SELECT count(*) FROM attribution_changes") > most:
            self.forget()

    def forget(self) -> None:
        """Delete all that is kept; it is computed again."""
        with self._store.write():
            for table in ("attributions", "attribution_rules", "attribution_changes"):
                self._write(f"DELETE FROM {table}")  # noqa: S608

    def forget_people(self, subscriptions: Collection[int]) -> None:
        """Delete what is kept of the orders and events of these subscriptions."""
        orders = f"""
            DELETE FROM attributions
             WHERE goal = 'purchase'
               AND source_id IN (SELECT id FROM orders WHERE subscription_id {_IN_IDS})
        """  # noqa: S608
        events = f"""
            DELETE FROM attributions
             WHERE goal IN (SELECT goal FROM attribution_rules WHERE goal <> 'purchase')
               AND source_id IN (SELECT id FROM events WHERE subscription_id {_IN_IDS})
        """  # noqa: S608
        self._write(orders, ids=as_json(subscriptions))
        self._write(events, ids=as_json(subscriptions))

    def name_campaigns(self, campaigns: Collection[int]) -> dict[int, str]:
        sql = f"SELECT id, name FROM campaigns WHERE id {_IN_IDS}"  # noqa: S608
        return dict(self._read(sql, ids=as_json(campaigns)).fetchall())

    def _drop(self, goal: str) -> None:
        self._write("DELETE FROM attributions WHERE goal = :goal", goal=goal)
        self._write("DELETE FROM attribution_rules WHERE goal = :goal", goal=goal)

    def _clear(self, goal: str, sources: Collection[int] | None) -> None:
        some = "" if sources is None else f"AND source_id {_IN_IDS}"
        sql = f"DELETE FROM attributions WHERE goal = :goal {some}"  # noqa: S608
        self._write(sql, goal=goal, ids=as_json(sources or ()))

    def load_orders(
        self, given: Iterable[Kept] | None = None, campaigns: Collection[int] | None = None
    ) -> Iterator[tuple[Json, ...]]:
        """
        Yield the columns of ``Kept``, then subscription, at, minor, exponent, currency,
        refunded_minor of the order: of what is kept, or of *given*; of *campaigns* alone.
        """
        sql = f"""
            SELECT a.source_id, a.delivery_id, a.campaign_id, a.person, a.kind, a.basis,
                   a.touched_at, o.subscription_id, o.at, o.minor, o.exponent, o.currency,
                   o.refunded_minor
              FROM {{}} CROSS JOIN orders AS o ON o.id = a.source_id
             WHERE {_COUNTS}
               AND (:campaigns IS NULL
                    OR a.campaign_id IN (SELECT value FROM json_each(:campaigns)))
        """  # noqa: S608
        asked = None if campaigns is None else as_json(campaigns)
        yield from self._join(sql, "purchase", given, campaigns=asked)

    def load_events(
        self, goal: str, given: Iterable[Kept] | None = None
    ) -> Iterator[tuple[Json, ...]]:
        """As ``load_orders``: subscription, at, properties and the site's name of the event."""
        sql = """
            SELECT a.source_id, a.delivery_id, a.campaign_id, a.person, a.kind, a.basis,
                   a.touched_at, e.subscription_id, e.at, e.properties, t.name
              FROM {} CROSS JOIN events AS e ON e.id = a.source_id
              JOIN subscriptions AS s ON s.id = e.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE true
        """
        yield from self._join(sql, goal, given)

    def _join(
        self, sql: str, goal: str, given: Iterable[Kept] | None, **values: Json
    ) -> Iterator[tuple[Json, ...]]:
        if given is None:
            kept = "attributions AS a"
            yield from self._read(f"{sql.format(kept)} AND a.goal = :goal", goal=goal, **values)
            return
        names = ", ".join(
            f"value ->> {place} AS {name}"
            for place, name in enumerate(
                ("source_id", "delivery_id", "campaign_id", "person", "kind", "basis",
                 "touched_at")
            )
        )  # fmt: skip
        told = f"(SELECT {names} FROM json_each(:rows)) AS a"  # noqa: S608
        for page in _cut([*given]):
            rows = as_json(map(tuple, page))
            yield from self._read(sql.format(told), rows=rows, **values)


def _cut(rows: Sequence[Json]) -> Iterator[Sequence[Json]]:
    for start in range(0, len(rows), _PAGE):
        yield rows[start : start + _PAGE]

"""
Which message carries which promo code.

A code is bound in the transaction that claims the message's row. It goes back to its pool
with ``give_back``, which only takes what was never on the wire.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from pushctl.model import Cause, Millis
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.store.noun import Noun, as_json
from pushctl.store.promo_codes import Pool


class Scope(NamedTuple):
    """Where a person has one code: a campaign, or all steps of a trigger."""

    number: int
    # A trigger goes on: who has used the code gets another with the next enrolment.
    goes_on: bool
    # Only who holds an unused code, from wherever, gets a message: a reminder of it.
    reminds: bool


class Holder(NamedTuple):
    """Somebody with a code that is given out and not used yet."""

    delivery: int
    subscription: int
    code: int
    shared: int  # 1: everybody has it


# A code that may go out again: of this pool, and in a trigger not used yet.
_IS_GOOD = """
    (k.pool_id = :pool AND (k.state = 'shared' OR k.redeemed_at IS NULL OR NOT :goes_on))
"""


class PromoBindings(Noun):
    def find_scope(self, campaign: int, *, reminds: bool = False) -> Scope:
        sql = """
            SELECT coalesce((SELECT min(o.id) FROM campaigns AS o WHERE o.trigger = c.trigger),
                            c.id), c.trigger IS NOT NULL
              FROM campaigns AS c WHERE c.id = :campaign
        """
        number, goes_on = self._read(sql, campaign=campaign).fetchone()
        return Scope(number, bool(goes_on), reminds)

    def bind(
        self, rows: Sequence[ClaimedRow], pool: Pool, scope: Scope, now: Millis
    ) -> set[int]:
        """
        Give each of *rows* a code of *pool*; return those that get none.

        A person (signed alias, else subscription) has one code in the scope, on all devices
        and at each try. Call it in the transaction that claims the rows.
        """
        bound, codes = self._find_own(rows, pool, scope)
        left = [row for row in rows if row.id not in bound]
        if not left:
            return set()
        codes |= self._find_others(left, codes, pool, scope)
        if not scope.reminds:
            codes |= self._take_new(left, codes, pool, now)
        bindings = [
            (row.id, code, row.subscription)
            for row in left
            if (code := codes.get(_name_person(row))) is not None
        ]
        sql = """
            INSERT INTO promo_bindings (delivery_id, code_id, subscription_id, scope, at)
            SELECT value ->> 0, value ->> 1, value ->> 2, :scope, :now FROM json_each(:bindings)
        """
        self._write(sql, scope=scope.number, now=now, bindings=as_json(bindings))
        return {row.id for row in left} - {row for row, _, _ in bindings}

    def _find_own(
        self, rows: Sequence[ClaimedRow], pool: Pool, scope: Scope
    ) -> tuple[set[int], dict["Person", int]]:
        """Return which rows have a code, and the newest that each subscription has."""
        sql = f"""
            SELECT a.value, b.delivery_id, b.code_id, {_IS_GOOD}
              FROM json_each(:ids) AS a
             CROSS JOIN promo_bindings AS b ON b.subscription_id = a.value
                    {"" if scope.reminds else "AND b.scope = :scope"}
              JOIN promo_codes AS k ON k.id = b.code_id
             ORDER BY b.delivery_id
        """  # noqa: S608
        names = {row.subscription: _name_person(row) for row in rows}
        values = {"pool": pool.id, "scope": scope.number, "goes_on": scope.goes_on}
        bound: set[int] = set()
        codes: dict[Person, int] = {}
        for one, delivery, code, good in self._read(sql, ids=as_json(names), **values):
            bound.add(delivery)
            if good:
                codes[names[one]] = code
        return bound, codes

    def _find_others(
        self,
        rows: Sequence[ClaimedRow],
        known: Collection["Person"],
        pool: Pool,
        scope: Scope,
    ) -> dict["Person", int]:
        """Return the codes of those whose alias has one on another device."""
        people = [
            one
            for one in {_name_person(row) for row in rows if row.alias is not None}
            if one not in known
        ]
        if not people:
            return {}
        sql = f"""
            SELECT a.key, b.code_id
              FROM json_each(:people) AS a
             CROSS JOIN sites AS t ON t.name = a.value ->> 0
             CROSS JOIN subscriptions AS s ON s.alias = a.value ->> 1 AND s.site_id = t.id
                    AND s.alias_trusted
             CROSS JOIN promo_bindings AS b ON b.subscription_id = s.id
                    {"" if scope.reminds else "AND b.scope = :scope"}
              JOIN promo_codes AS k ON k.id = b.code_id
             WHERE {_IS_GOOD}
             ORDER BY b.delivery_id
        """  # noqa: S608
        values = {"pool": pool.id, "scope": scope.number, "goes_on": scope.goes_on}
        found = self._read(sql, people=as_json(people), **values)
        return {people[at]: code for at, code in found}

    def _take_new(
        self, rows: Sequence[ClaimedRow], known: Collection["Person"], pool: Pool, now: Millis
    ) -> dict["Person", int]:
        """Take a free code for each person without one, then the shared one."""
        sql = """
            UPDATE promo_codes SET state = 'bound'
             WHERE id IN (SELECT id FROM promo_codes WHERE pool_id = :pool AND state = 'free'
                           ORDER BY id LIMIT :count)
            RETURNING id
        """
        people = [one for one in dict.fromkeys(map(_name_person, rows)) if one not in known]
        lapsed = pool.has_lapsed(now)
        with self._store.write():
            count = 0 if lapsed else len(people)
            taken = self._read(sql, pool=pool.id, count=count).fetchall()
        found = {one: code for one, (code,) in zip(people, taken, strict=False)}
        if len(found) < len(people):
            shared = self._store.promo_codes.find_shared(pool.id)
            # A shared code alone is a pool of one, and lapses with it.
            if shared and not (lapsed and self._store.promo_codes.is_static(pool.id)):
                found |= {one: shared[0] for one in people if one not in found}
        return found

    def load_codes(self, deliveries: Iterable[int]) -> dict[int, str]:
        """Return the code of each message that carries one."""
        sql = """
            SELECT b.delivery_id, k.code FROM json_each(:rows) AS a
             CROSS JOIN promo_bindings AS b ON b.delivery_id = a.value
              JOIN promo_codes AS k ON k.id = b.code_id
        """
        return dict(self._read(sql, rows=as_json(deliveries)).fetchall())

    def find_pools(
        self, deliveries: Iterable[int]
    ) -> dict[int, tuple[str, str, Millis | None]]:
        """Return pool, code and its first use of each message that carries a code."""
        sql = """
            SELECT b.delivery_id, p.name, k.code, k.redeemed_at FROM json_each(:rows) AS a
             CROSS JOIN promo_bindings AS b ON b.delivery_id = a.value
              JOIN promo_codes AS k ON k.id = b.code_id
              JOIN promo_pools AS p ON p.id = k.pool_id
        """
        rows = self._read(sql, rows=as_json(deliveries))
        return {row: (pool, code, used_at) for row, pool, code, used_at in rows}

    def give_back(self, deliveries: Iterable[int]) -> None:
        """Return to their pools what these messages had and was never on the wire."""
        drop = """
            DELETE FROM promo_bindings
             WHERE delivery_id IN (SELECT value FROM json_each(:rows)) AND NOT tried
            RETURNING code_id
        """
        # Another device of the person may have it.
        free = """
            UPDATE promo_codes SET state = 'free'
             WHERE id IN (SELECT value FROM json_each(:codes)) AND state = 'bound'
               AND redeemed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM promo_bindings WHERE code_id = promo_codes.id)
        """
        rows = as_json(deliveries)
        with self._store.write():
            codes = {code for (code,) in self._read(drop, rows=rows).fetchall()}
            if codes:
                self._write(free, codes=as_json(codes))

    def mark_tried(self, deliveries: Iterable[int]) -> None:
        """Note that these messages may have been on the wire: they keep their codes."""
        sql = """
            UPDATE promo_bindings SET tried = 1
             WHERE delivery_id IN (SELECT value FROM json_each(:rows)) AND NOT tried
        """
        self._write(sql, rows=as_json(deliveries))

    def hold_back(self, cause: Cause) -> None:
        """Note that all messages in doubt for *cause* may have been on the wire."""
        sql = """
            UPDATE promo_bindings SET tried = 1
             WHERE delivery_id IN (SELECT b.delivery_id FROM promo_bindings AS b
                                     JOIN deliveries AS d ON d.id = b.delivery_id
                                    WHERE d.status = 'in_doubt' AND d.cause = :cause)
        """
        self._write(sql, cause=cause)

    def list_holders(
        self, pool: int, after: int, limit: int, *, shared: bool = False
    ) -> list[Holder]:
        """
        Return who has got a code of a pool and not used it, by message, behind *after*.

        Of a person's devices the one with the newest message is meant. *shared*: who has the
        code for everybody counts, too.
        """
        sql = """
            SELECT b.delivery_id, b.subscription_id, k.id, k.state = 'shared'
              FROM promo_bindings AS b JOIN promo_codes AS k ON k.id = b.code_id
              JOIN deliveries AS d ON d.id = b.delivery_id
              JOIN subscriptions AS s ON s.id = b.subscription_id
             WHERE b.delivery_id > :after AND k.pool_id = :pool
               AND d.status IN ('accepted', 'in_doubt') AND s.state = 'active'
               AND CASE k.state
                   WHEN 'bound' THEN k.redeemed_at IS NULL AND NOT EXISTS (
                       SELECT 1 FROM promo_bindings AS n JOIN deliveries AS e
                           ON e.id = n.delivery_id
                        WHERE n.code_id = b.code_id AND n.delivery_id > b.delivery_id
                          AND e.status IN ('accepted', 'in_doubt'))
                   WHEN 'shared' THEN :shared AND NOT EXISTS (
                       SELECT 1 FROM orders AS o CROSS JOIN promo_redemptions AS r
                        WHERE o.subscription_id = b.subscription_id
                          AND r.code_id = k.id AND r.order_id = o.id)
                   ELSE false END
             ORDER BY b.delivery_id LIMIT :limit
        """
        values = {"pool": pool, "after": after, "limit": limit, "shared": shared}
        return [Holder(*row) for row in self._read(sql, **values)]


# Site and signed alias; of who has none: nothing, and the subscription.
Person = tuple[str | int, str | None]


def _name_person(row: ClaimedRow) -> Person:
    return (row.site, row.alias) if row.alias is not None else (row.subscription, None)

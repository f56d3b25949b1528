"""Pools of promo codes: what is imported, what is left, and what orders have redeemed."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple

from pushctl.errors import NotFoundError
from pushctl.model import Json, Millis
from pushctl.store.noun import Noun, as_json

_PAGE = 20_000


class Pool(NamedTuple):
    """A pool of promo codes."""

    id: int
    name: str
    expires_at: Millis | None  # of its codes, at the shop
    remind_at: Millis | None  # when people with an unused code are reminded
    reminded_at: Millis | None
    low: int  # warn below so many free codes
    longest: int  # characters of its longest code

    def has_lapsed(self, now: Millis) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Imported(NamedTuple):
    new: int
    duplicates: int  # of this file or of a pool, this one or another


_COLUMNS = ", ".join(Pool._fields)


class PromoCodes(Noun):
    def find(self, name: str) -> Pool | None:
        """Return the pool called *name*, in any case."""
        sql = f"SELECT {_COLUMNS} FROM promo_pools WHERE name = :name"  # noqa: S608
        row = self._read(sql, name=name).fetchone()
        return None if row is None else Pool(*row)

    def get(self, name: str) -> Pool:
        """Return the pool called *name*; raises NotFoundError, with the names there are."""
        found = self.find(name)
        if found is None:
            names = [one.name for one in self.list_pools()]
            near = get_close_matches(name, names, 1)
            there = f"Did you mean {near[0]!r}?" if near else f"There is {_join(names)}."
            raise NotFoundError(f"no pool of promo codes is called {name!r}. {there}")
        return found

    def list_pools(self) -> list[Pool]:
        sql = f"SELECT {_COLUMNS} FROM promo_pools ORDER BY name"  # noqa: S608
        return [Pool(*row) for row in self._read(sql)]

    def create(self, name: str, low: int, now: Millis) -> Pool:
        """Write a pool without codes, and return it."""
        sql = "INSERT INTO promo_pools (name, low, created_at) VALUES (:name, :low, :now)"
        self._write(sql, name=name, low=low, now=now)
        return self.get(name)

    def change(
        self, pool: int, *, expires_at: Millis | None, remind_at: Millis | None, low: int
    ) -> None:
        """Change a pool; another time to remind at is to be kept, whatever was before."""
        sql = """
            UPDATE promo_pools
               SET expires_at = :expires_at, low = :low, remind_at = :remind_at,
                   reminded_at = iif(remind_at IS :remind_at, reminded_at, NULL),
                   reminded_to = iif(remind_at IS :remind_at, reminded_to, 0)
             WHERE id = :id
        """
        self._write(sql, id=pool, expires_at=expires_at, remind_at=remind_at, low=low)

    def add(self, pool: int, codes: Iterable[str]) -> Imported:
        """Add free codes; one that is in a pool already, in any case, is a duplicate."""
        sql = """
            INSERT INTO promo_codes (pool_id, code)
            SELECT :pool, value FROM json_each(:codes) WHERE true
                ON CONFLICT (code) WHERE for_all = 0 DO NOTHING
        """
        new = given = longest = 0
        left = iter(codes)
        with self._store.write():
            while page := list(islice(left, _PAGE)):
                given += len(page)
                longest = max(longest, *map(len, page))
                new += self._write(sql, pool=pool, codes=as_json(page))
            self._note_length(pool, longest)
        return Imported(new, given - new)

    def share(self, pool: int, code: str | None) -> None:
        """Make *code* what everybody gets once the free codes are given out; None: nothing."""
        add = """
            INSERT INTO promo_codes (pool_id, code, state, for_all)
            VALUES (:pool, :code, 'shared', 1)
                ON CONFLICT DO NOTHING
        """
        # An earlier one stays: people have it, and orders may still use it.
        choose = """
            UPDATE promo_pools SET shared_id =
                   (SELECT id FROM promo_codes
                     WHERE for_all = 1 AND pool_id = :pool AND code = :code)
             WHERE id = :pool
        """
        with self._store.write():
            if code is not None:
                self._write(add, pool=pool, code=code)
                self._note_length(pool, len(code))
            self._write(choose, pool=pool, code=code)

    def _note_length(self, pool: int, longest: int) -> None:
        sql = "UPDATE promo_pools SET longest = max(longest, :longest) WHERE id = :pool"
        self._write(sql, pool=pool, longest=longest)

    def find_shared(self, pool: int) -> tuple[int, str] | None:
        """Return the row and the text of the code that everybody may get."""
        sql = """
            SELECT k.id, k.code FROM promo_pools AS p
              JOIN promo_codes AS k ON k.id = p.shared_id
             WHERE p.id = :pool
        """
        row = self._read(sql, pool=pool).fetchone()
        return None if row is None else (row[0], row[1])

    def count_free(self, pool: int, most: int = -1) -> int:
        """Return how many codes are free; *most* are counted."""
        sql = """
            SELECT count(*) FROM (SELECT 1 FROM promo_codes
                                   WHERE pool_id = :pool AND state = 'free' LIMIT :most)
        """
        return int(self._read_value(sql, pool=pool, most=most))

    def list_to_remind(self, now: Millis) -> list[tuple[Pool, int]]:
        """Return the pools whose people are to be reminded, and the last that were."""
        sql = f"""
            SELECT {_COLUMNS}, reminded_to FROM promo_pools
             WHERE remind_at <= :now AND reminded_at IS NULL AND expires_at > :now
        """  # noqa: S608
        return [(Pool(*row[:-1]), row[-1]) for row in self._read(sql, now=now)]

    def note_reminded(self, pool: int, last: int, at: Millis | None) -> None:
        """Note the last message whose person was reminded; *at*: that was everybody."""
        sql = """
            UPDATE promo_pools SET reminded_to = :last, reminded_at = :at WHERE id = :pool
        """
        self._write(sql, pool=pool, last=last, at=at)

    def count_people(self, subscriptions: Iterable[int]) -> int:
        """Return how many persons subscriptions are: each gets one code."""
        sql = """
            SELECT count(DISTINCT iif(s.alias_trusted AND s.alias IS NOT NULL,
                                      s.site_id || ' ' || s.alias, s.id))
              FROM json_each(:ids) AS a CROSS JOIN subscriptions AS s ON s.id = a.value
        """
        return int(self._read_value(sql, ids=as_json(subscriptions)))

    def is_static(self, pool: int) -> bool:
        """Return whether a pool has a code for everybody, and no others."""
        sql = "SELECT 1 FROM promo_codes WHERE pool_id = :pool AND state <> 'shared' LIMIT 1"
        return self.find_shared(pool) is not None and self._read_value(sql, pool=pool) is None

    def count_states(self, pool: int) -> Mapping[str, int]:
        """
        Return how many codes of a pool are ``free``, ``bound`` (a message has or had them),
        ``set_aside`` and ``shared``; ``redeemed`` is how many orders have used one.
        """
        sql = "SELECT state, count(*) FROM promo_codes WHERE pool_id = :pool GROUP BY state"
        used = """
            SELECT count(*) FROM promo_redemptions AS r
              JOIN promo_codes AS c ON c.id = r.code_id
             WHERE c.pool_id = :pool
        """
        found = {"free": 0, "bound": 0, "set_aside": 0, "shared": 0}
        found |= dict(self._read(sql, pool=pool).fetchall())
        return found | {"redeemed": int(self._read_value(used, pool=pool))}

    def count_all_states(self) -> dict[int, dict[str, int]]:
        """Return of each pool how many of its codes are in which state, where any is."""
        sql = "SELECT pool_id, state, count(*) FROM promo_codes GROUP BY 1, 2"
        found: dict[int, dict[str, int]] = {}
        for pool, state, count in self._read(sql):
            found.setdefault(pool, {})[state] = count
        return found

    def list_codes(self, pool: int, last: int | None = None) -> Iterable[dict[str, Json]]:
        """
        Yield the codes of a pool that a message carries or an order used, newest first.

        With ``campaign``, ``subscriber`` and ``status`` of the newest message, where there is
        one, and ``orders``, how many have used it.
        """
        sql = """
            SELECT k.code, k.state, k.redeemed_at, c.name AS campaign,
                   s.public_id AS subscriber, d.status, b.at AS bound_at,
                   (SELECT count(*) FROM promo_redemptions WHERE code_id = k.id) AS orders
              FROM promo_codes AS k
              LEFT JOIN promo_bindings AS b
                ON b.delivery_id = (SELECT max(delivery_id) FROM promo_bindings
                                     WHERE code_id = k.id)
              LEFT JOIN deliveries AS d ON d.id = b.delivery_id
              LEFT JOIN campaigns AS c ON c.id = d.campaign_id
              LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE k.pool_id = :pool AND k.state <> 'free'
             ORDER BY k.id DESC LIMIT :last
        """
        yield from self._read_dicts(sql, pool=pool, last=-1 if last is None else last)

    def find_ours(self, codes: Sequence[str]) -> list[str]:
        """Return which of *codes* are single ones of a pool."""
        sql = """
            SELECT value FROM json_each(:codes)
             WHERE EXISTS (SELECT 1 FROM promo_codes
                            WHERE code = value AND for_all = 0)
        """
        return [one for (one,) in self._read(sql, codes=as_json(codes))]

    def redeem(self, order: int, codes: Sequence[str], at: Millis) -> int:
        """
        Note that an order has used *codes*; return how many are of our pools.

        Codes are compared as shops compare them, without case. An order uses a code once; a
        refund does not give it back. A code that nobody has got (somebody guessed it, or the
        shop gave it away) is never given out.
        """
        if not codes:
            return 0
        found = """
            SELECT id FROM promo_codes WHERE for_all = 0
               AND code IN (SELECT value FROM json_each(:codes))
             UNION ALL
            SELECT id FROM promo_codes WHERE for_all = 1
               AND code IN (SELECT value FROM json_each(:codes))
        """
        note = """
            INSERT OR IGNORE INTO promo_redemptions (code_id, order_id, at)
            SELECT value, :order_id, :at FROM json_each(:rows)
        """
        use = """
            UPDATE promo_codes
               SET redeemed_at = coalesce(redeemed_at, :at),
                   state = iif(state = 'free', 'set_aside', state)
             WHERE id IN (SELECT value FROM json_each(:rows))
        """
        rows = as_json(row for (row,) in self._read(found, codes=as_json(codes)))
        if rows == "[]":
            return 0
        with self._store.write():
            new = self._write(note, order_id=order, at=at, rows=rows)
            self._write(use, at=at, rows=rows)
        return new

    def cut_links(self, order: int) -> None:
        """Forget which messages carried an order's codes: its person is not to be known."""
        sql = """
            DELETE FROM promo_bindings WHERE code_id IN (
                SELECT r.code_id FROM promo_redemptions AS r
                  JOIN promo_codes AS k ON k.id = r.code_id
                 WHERE r.order_id = :order_id AND k.state <> 'shared')
        """
        self._write(sql, order_id=order)

    def set_aside(self, most: int | None) -> int:
        """
        Set free codes aside that may have been given out; return how many.

        Codes are given out in the order of their rows: of each pool the first *most* are
        meant, without it all.
        """
        sql = """
            UPDATE promo_codes SET state = 'set_aside'
             WHERE id IN (SELECT id FROM promo_codes WHERE state = 'free' AND pool_id = :pool
                           ORDER BY id LIMIT :most)
        """
        limit = -1 if most is None else most
        return sum(self._write(sql, pool=one.id, most=limit) for one in self.list_pools())


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "none: pushctl promo import"

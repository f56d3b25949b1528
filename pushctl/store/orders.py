"""Orders: what people bought, once per site, source and number. They are never deleted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.money import Money
from pushctl.rules.shops import history as histories
from pushctl.rules.shops.history import PAYMENT_TAKES, History
from pushctl.rules.shops.order import GENERAL, PAGE, Line, Purchase, State, are_same, rank
from pushctl.rules.shops.told import Clues, ToldOrder
from pushctl.store.noun import Noun, as_json

# The reason of an order without a subscriber whose person was erased: nobody looks for one.
ERASED = "erased"
# The same of one whose person asked not to be tracked.
UNTRACKED = "asked not to be tracked"
NOBODYS = (ERASED, UNTRACKED)

_SELECT = """
    SELECT o.id, o.number, t.name AS site, o.source, o.state, o.minor, o.exponent, o.currency,
           o.refunded_minor, o.test, o.codes, o.lines, o.at, s.public_id AS subscriber,
           o.unmatched, o.matched, o.alias
      FROM orders AS o JOIN sites AS t ON t.id = o.site_id
      LEFT JOIN subscriptions AS s ON s.id = o.subscription_id
"""
_STORED = """
    SELECT id, site_id, source, number, history, lines, codes, test, received_at,
           subscription_id, unmatched, matched, cart_key, alias, lower(hex(email_hash))
      FROM orders
"""


class Found(NamedTuple):
    """Whose an order is: the subscription, or the reason why it is nobody's."""

    subscription: int | None
    unmatched: str | None = None
    matched: str | None = None  # by which clue


class StoredOrder(NamedTuple):
    """An order's row; state, time and amounts are those of its history."""

    id: int | None  # None: it is to be written
    site: int
    source: str
    number: str
    history: History
    lines: str  # JSON, as ``encode_lines`` writes it
    codes: tuple[str, ...]
    test: bool
    received_at: Millis
    found: Found
    clues: Clues


# Campaign, delivery, person, kind, minor (None: unknown), exponent, currency, refunded minor.
Credited = tuple[int, int, int, str, int | None, int | None, str | None, int | None]


class Orders(Noun):
    def add(
        self, site: int, source: str, bought: Purchase, state: State, at: Millis,
        received_at: Millis, found: Found,
    ) -> bool:  # fmt: skip
        """Write an order; return False where the source has told of it before."""
        told = ToldOrder(bought.number, state, bought.total, None, bought.lines, at)
        with self._store.write():
            same = self.find_same(site, source, bought.number)
            if same is not None and rank(same.source) >= rank(source):
                return False
            if same is not None and found.subscription is None:
                found = same.found
            made = StoredOrder(
                same and same.id, site, source, bought.number, History().add(told),
                encode_lines(bought.lines), bought.codes, False,
                same.received_at if same else received_at, found, Clues(),
            )  # fmt: skip
            self.save(made)
        return True

    def find_same(self, site: int, source: str, number: str) -> StoredOrder | None:
        """Return the order that *source* means by a number, whoever told of it."""
        sql = f"{_STORED} WHERE number = :number AND site_id = :site ORDER BY id"
        rows = [_build(row) for row in self._read(sql, site=site, number=number)]
        same = [one for one in rows if are_same(one.source, source)]
        return max(same, key=lambda one: (one.source == source, rank(one.source)), default=None)

    def find_all(self, site: int, numbers: Iterable[str]) -> dict[str, StoredOrder]:
        """Return the orders of *numbers*; of several of a number one that a page told last."""
        # "+": by the number's index, not by the site's, which would read all orders.
        sql = f"""
            {_STORED} WHERE number IN (SELECT value FROM json_each(:numbers))
               AND +site_id = :site ORDER BY source = :page DESC, id DESC
        """  # noqa: S608
        rows = self._read(sql, numbers=as_json(numbers), site=site, page=PAGE)
        return {one.number: one for one in map(_build, rows)}

    def find_verified(self, site: int, number: str) -> StoredOrder | None:
        """Return the order of that number that a shop has told of, not a page."""
        where = "number = :number AND site_id = :site AND source <> :page ORDER BY id LIMIT 1"
        return self._find_one(where, site=site, number=number, page=PAGE)

    def list_unmatched(self, site: int, clues: Clues, since: Millis) -> list[StoredOrder]:
        """Return nobody's orders, received *since*, that came with one of *clues*."""
        # "+": as in ``find_all``.
        sql = f"""
            {_STORED} WHERE (cart_key = :cart_key OR alias = :alias OR email_hash = :hash)
               AND +site_id = :site AND received_at >= :since
               AND unmatched NOT IN (SELECT value FROM json_each(:nobodys))
             ORDER BY id
        """  # noqa: S608
        rows = self._read(
            sql, site=site, since=since, cart_key=clues.cart_key, alias=clues.alias,
            hash=_to_bytes(clues.email_hash), nobodys=_list_nobodys(),
        )  # fmt: skip
        return [_build(row) for row in rows]

    def list_unpaid(self, now: Millis) -> list[StoredOrder]:
        """Return pending orders whose payment takes too long, and was not called failed yet."""
        sql = f"{_STORED} WHERE state = 'pending' AND failed_at IS NULL AND at <= :before"
        return [_build(row) for row in self._read(sql, before=now - PAYMENT_TAKES)]

    def count_unknown(self, source: str, last: int) -> dict[str, int]:
        """
        Return what is unknown of the *last* orders of a source: ``orders`` counts them, and
        ``totals``, ``lines`` and ``buyers`` (no clue came with it) those that lack it.
        """
        sql = """
            SELECT count(*), coalesce(sum(minor IS NULL OR currency IS NULL), 0),
                   coalesce(sum(lines = '[]'), 0),
                   coalesce(sum(coalesce(cart_key, alias, email_hash) IS NULL), 0)
              FROM (SELECT * FROM orders
                     WHERE source = :source
                       AND coalesce(unmatched, '') NOT IN (:erased, :untracked)
                     ORDER BY id DESC LIMIT :last)
        """
        (row,) = self._read(
            sql, source=source, last=last, erased=ERASED, untracked=UNTRACKED
        ).fetchall()
        return dict(zip(("orders", "totals", "lines", "buyers"), row, strict=True))

    def is_namesake(self, site: int, source: str, number: str) -> bool:
        """Return whether another shop or program had told of that number before *source*."""
        sql = """
            SELECT source FROM orders WHERE number = :number AND site_id = :site
               AND source NOT IN (SELECT value FROM json_each(:general)) ORDER BY id LIMIT 1
        """
        first = self._read_value(sql, number=number, site=site, general=as_json(GENERAL))
        return source not in GENERAL and first not in (None, source)

    def get_failed_at(self, site: int, number: str) -> Millis | None:
        """Return when the payment of an order was called failed, by whichever source."""
        sql = "SELECT max(failed_at) FROM orders WHERE number = :number AND site_id = :site"
        at: Millis | None = self._read_value(sql, site=site, number=number)
        return at

    def set_failed(self, order: int, now: Millis) -> None:
        self._write("UPDATE orders SET failed_at = :now WHERE id = :id", id=order, now=now)

    def save(self, order: StoredOrder, codes: Collection[str] = ()) -> None:
        """
        Write an order, or what it has become.

        *codes* are the promo codes that it uses, beside those it keeps. Once it is bought they
        are redeemed, whoever bought it.
        """
        insert = """
            INSERT INTO orders (site_id, source, number, state, minor, exponent, currency,
                                refunded_minor, test, codes, lines, at, received_at,
                                subscription_id, unmatched, matched, cart_key, alias,
                                email_hash, history)
            VALUES (:site, :source, :number, :state, :minor, :exponent, :currency,
                    :refunded, :test, :codes, :lines, :at, :received_at, :subscription,
                    :unmatched, :matched, :cart_key, :alias, :email_hash, :history)
            RETURNING id
        """
        update = """
            UPDATE orders
               SET source = :source, state = :state, minor = :minor, exponent = :exponent,
                   currency = :currency, refunded_minor = :refunded, test = :test,
                   codes = :codes, lines = :lines, at = :at, subscription_id = :subscription,
                   unmatched = :unmatched, matched = :matched, cart_key = :cart_key,
                   alias = :alias, email_hash = :email_hash, history = :history
             WHERE id = :id AND site_id = :site AND number = :number
               AND received_at = :received_at
        """
        values = _to_values(order)
        used = {*order.codes, *codes} if order.history.is_bought else ()
        with self._store.write():
            if order.id is None:
                del values["id"]
                row = self._insert(insert, **values)
            else:
                row = order.id
                self._write(update, **values)
            if used:
                self._store.promo_codes.redeem(row, sorted(used), order.history.at)
                if order.found.unmatched in NOBODYS:
                    self._store.promo_codes.cut_links(row)

    def count_since(self, subscription: int, received_since: Millis) -> int:
        sql = """
            SELECT count(*) FROM orders
             WHERE subscription_id = :id AND received_at >= :since
        """
        return int(self._read_value(sql, id=subscription, since=received_since))

    def list_pending(self, subscriptions: Collection[int], now: Millis) -> dict[int, Millis]:
        """Return, by subscription, until when payments of theirs may be on their way."""
        sql = """
            SELECT subscription_id, max(at) FROM orders
             WHERE state = 'pending' AND failed_at IS NULL AND at > :since
               AND subscription_id IN (SELECT value FROM json_each(:ids))
             GROUP BY subscription_id
        """
        rows = self._read(sql, ids=as_json(subscriptions), since=now - PAYMENT_TAKES)
        return {one: at + PAYMENT_TAKES for one, at in rows}

    def list(
        self, *, site: str | None = None, since: Millis = 0, last: int | None = None,
        unmatched: bool = False,
    ) -> list[dict[str, Json]]:  # fmt: skip
        """
        Return orders as dicts, newest first: their columns, ``site`` and ``subscriber``
        (public id). *unmatched* are those that a subscriber is looked for.
        """
        wanted = (
            "o.unmatched NOT IN (SELECT value FROM json_each(:nobodys)) AND"
            if unmatched
            else ""
        )
        sql = f"""
            {_SELECT} WHERE {wanted} o.at >= :since AND (:site IS NULL OR t.name = :site)
             ORDER BY o.at DESC, o.id DESC LIMIT :last
        """
        most = -1 if last is None else last
        values = {"site": site, "since": since, "last": most, "nobodys": _list_nobodys()}
        return [*self._read_dicts(sql, **values)]

    def find(self, number: str, site: str | None = None) -> Sequence[Mapping[str, Json]]:
        """Return the orders of that number, of all sites and sources or of one site."""
        sql = f"""
            {_SELECT} WHERE o.number = :number AND (:site IS NULL OR t.name = :site)
             ORDER BY o.id
        """
        return [*self._read_dicts(sql, number=number, site=site)]

    def _find_one(self, where: str, **values: Json) -> StoredOrder | None:
        row = self._read(f"{_STORED} WHERE {where}", **values).fetchone()
        return None if row is None else _build(row)

    def list_credited(self, campaigns: Collection[int]) -> Sequence[Credited]:
        """
        Return what messages of *campaigns* are known to have brought about, an order each.
        """
        sql = """
            SELECT a.campaign_id, a.delivery_id, a.person, a.kind, o.minor, o.exponent,
                   o.currency, o.refunded_minor
              FROM attributions AS a CROSS JOIN orders AS o ON o.id = a.source_id
             WHERE a.goal = 'purchase' AND o.state IN ('paid', 'refunded') AND NOT o.test
               AND a.campaign_id IN (SELECT value FROM json_each(:campaigns))
        """
        return self._read(sql, campaigns=as_json(campaigns)).fetchall()


def encode_lines(lines: Sequence[Line]) -> str:
    told = [
        {"id": it.id, "name": it.name, "quantity": it.quantity, **_name_parts(it.price)}
        for it in lines
    ]
    return orjson.dumps(told).decode()


def _name_parts(price: Money | None) -> Mapping[str, Json]:
    return {} if price is None else price._asdict()


def _list_nobodys() -> str:
    return orjson.dumps(NOBODYS).decode()


def _to_bytes(email_hash: str | None) -> bytes | None:
    return None if email_hash is None else bytes.fromhex(email_hash)


def _build(row: Sequence[Json]) -> StoredOrder:
    clues = Clues(row[12], row[13], row[14] or None)
    return StoredOrder(
        row[0], row[1], row[2], row[3], histories.read(row[4]), row[5],
        tuple(orjson.loads(row[6])), bool(row[7]), row[8], Found(*row[9:12]), clues,
    )  # fmt: skip


def _to_values(order: StoredOrder) -> dict[str, Json]:
    minor, exponent, currency = order.history.total or (None, None, None)
    return {
        "id": order.id,
        "site": order.site,
        "source": order.source,
        "number": order.number,
        "state": order.history.state.value,
        "minor": minor,
        "exponent": exponent,
        "currency": currency,
        "refunded": order.history.refunded_minor,
        "test": order.test,
        "codes": orjson.dumps(order.codes).decode(),
        "lines": order.lines,
        "at": order.history.at,
        "received_at": order.received_at,
        "subscription": order.found.subscription,
        "unmatched": order.found.unmatched,
        "matched": order.found.matched,
        "cart_key": order.clues.cart_key,
        "alias": order.clues.alias,
        "email_hash": _to_bytes(order.clues.email_hash),
        "history": histories.write(order.history),
    }

"""
Audience: expressions compiled to SQL with bound values, run read-only.

Every condition is true or false for each subscription, never NULL: a comparison with an
unknown value is false, and ``not`` turns it around. Queries run on a read-only connection
of their own (inside a transaction of this run: on its connection, to see what it has
written). They can read the columns listed here and nothing else, no endpoint and no key,
and are aborted after thirty seconds.
"""

# ruff: noqa: S608 - SQL is put together here and in audience_query alone

import sqlite3
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pushctl.errors import InputError
from pushctl.model import Millis, Subscription
from pushctl.rules import folding
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression
from pushctl.store.audience_query import Query
from pushctl.store.connection import connect
from pushctl.store.noun import Noun

if TYPE_CHECKING:
    from pushctl.store import Store

Asked = Mapping[str, tuple[Expression, Iterable[int]]]
Take = Callable[[sqlite3.Cursor], Sequence[Any]]

# A query over 300,000 subscribers takes a second; over millions it may take as much longer.
SECONDS, SECONDS_A_GIGABYTE = 30.0, 30.0
PAGE = 2_000

_READABLE: Mapping[str, frozenset[str]] = {
    "subscriptions": frozenset(
        {
            "id", "public_id", "site_id", "state", "alias", "alias_trusted", "language",
            "timezone", "country", "city", "browser", "os", "source", "attributes",
            "subscribed_at", "last_seen_at",
        }
    ),
    "sites": frozenset({"id", "name"}),
    "tags": frozenset({"id", "folded"}),
    "subscription_tags": frozenset({"tag_id", "subscription_id", "expires_at"}),
    "events": frozenset({"subscription_id", "name", "at"}),
    "campaigns": frozenset({"id", "name"}),
    "deliveries": frozenset(
        {"id", "campaign_id", "subscription_id", "status", "http_status", "changed_at"}
    ),
    "interactions": frozenset({"delivery_id", "kind", "at"}),
    "json_each": frozenset({"key", "value", "type", "atom", "json", "root"}),
}  # fmt: skip
_FUNCTIONS = frozenset({"count", "fold", "instr", "like", "substr", "length", "json_each"})


class Audience(Noun):
    def __init__(self, store: "Store") -> None:
        super().__init__(store)
        self._deadline = 0.0

    def count(self, expression: Expression, now: Millis, *, any_state: bool = False) -> int:
        """Return how many active subscriptions match *expression*."""
        found = self._select("count(*)", expression, now, any_state=any_state)
        return int(found[0][0])

    def list_ids(
        self,
        expression: Expression,
        now: Millis,
        *,
        limit: int | None = None,
        any_state: bool = False,
    ) -> Sequence[int]:
        """Return the ids of the matching subscriptions, ascending; eight bytes each."""
        return self._select(
            "s.id", expression, now, any_state=any_state, limit=limit, take=_collect_ids
        )

    def filter_ids(
        self,
        expression: Expression,
        ids: Iterable[int],
        now: Millis,
        *,
        any_state: bool = False,
    ) -> set[int]:
        """Return which of a few *ids* (thousands at most) match the expression."""
        self.check(expression)
        return self.filter_each({"": (expression, ids)}, now, any_state=any_state)[""]

    def filter_each(
        self, asked: Asked, now: Millis, *, any_state: bool = False
    ) -> dict[str, set[int]]:
        """
        Return which ids of each pair match its expression, by one statement.

        The caller has checked the expressions (``check``), once for many batches.
        """
        found: dict[str, set[int]] = {name: set() for name in asked}
        if not asked:
            return found
        query = Query(now, few=True)
        sql = " UNION ALL ".join(
            f"SELECT {query.bind(name)}, s.id FROM subscriptions AS s "
            f"WHERE {query.render_where(expression, any_state)} "
            f"AND s.id IN (SELECT j.value FROM json_each({query.bind_list(ids)}) AS j)"
            for name, (expression, ids) in asked.items()
        )
        for name, number in self._run(sql, query, [one for one, _ in asked.values()]):
            found[name].add(number)
        return found

    def list_subscriptions(
        self,
        expression: Expression,
        now: Millis,
        *,
        limit: int | None = None,
        any_state: bool = False,
    ) -> Iterator[Subscription]:
        """Yield the matching subscriptions, with the tags that are valid at *now*."""
        found = self.list_ids(expression, now, limit=limit, any_state=any_state)
        for start in range(0, len(found), PAGE):
            yield from self._store.subscriptions.get_many(found[start : start + PAGE], now)

    def check(self, expression: Expression, to_come: Collection[str] = ()) -> None:
        """
        Raise NotFoundError where a campaign that *expression* names can't be asked about.

        *to_come* are campaigns that begin with their first message: steps of triggers.
        """
        for name in sorted(tree.list_campaigns(expression) - set(to_come)):
            self._store.campaigns.check_known(name)

    def close(self) -> None:
        if "_reader" in self.__dict__:
            self._reader.close()

    def _select(
        self,
        what: str,
        expression: Expression,
        now: Millis,
        *,
        any_state: bool,
        limit: int | None = None,
        take: Take = list,
    ) -> Sequence[Any]:
        self.check(expression)
        query = Query(now, few=False)
        where = query.render_where(expression, any_state)
        sql = f"SELECT {what} FROM subscriptions AS s WHERE {where}"
        if what != "count(*)":
            sql += f" ORDER BY s.id LIMIT {query.bind(-1 if limit is None else limit)}"
        return self._run(sql, query, [expression], take)

    def _run(
        self, sql: str, query: Query, asked: Sequence[Expression], take: Take = list
    ) -> Sequence[Any]:
        seconds = self._find_limit()
        self._deadline = time.monotonic() + seconds
        try:
            with self._open_guarded() as connection:
                return take(connection.execute(sql, query.values))
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise InputError(
                f"the audience took longer than {seconds:.0f} s and was given up. Ask for "
                f"less at once: {'; '.join(map(tree.text, asked))[:200]}"
            ) from error

    def _find_limit(self) -> float:
        """Return the seconds that a query may take: more, the more there is to read."""
        connection = self._store.connection
        pages, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size")
        )
        return SECONDS + SECONDS_A_GIGABYTE * float(pages * size) / 1e9

    @contextmanager
    def _open_guarded(self) -> Iterator[sqlite3.Connection]:
        if not self._store.connection.in_transaction:
            yield self._reader
            return
        connection = self._store.connection
        _prepare(connection)
        self._guard(connection)
        try:
            yield connection
        finally:
            connection.set_authorizer(None)
            connection.set_progress_handler(None, 0)

    @cached_property
    def _reader(self) -> sqlite3.Connection:
        address = f"{self._store.path.absolute().as_uri()}?mode=ro"
        made = connect(address, self._store.explain, uri=True)
        made.executescript(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; "
            "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"
        )
        _prepare(made)
        self._guard(made)
        return made

    def _guard(self, connection: sqlite3.Connection) -> None:
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, 100_000)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.create_function("fold", 1, _fold, deterministic=True)
    # Its first use declares a table, which nothing may do below.
    connection.execute("SELECT 1 FROM json_each('[]')").fetchall()


def _fold(text: str | None) -> str | None:
    return None if text is None else folding.fold(text)


def _collect_ids(rows: Iterable[tuple[int]]) -> "array[int]":
    """Take rows as they come: a list of a million tuples would be 100 MB."""
    return array("q", (number for (number,) in rows))


def _authorize(
    action: int, first: str | None, second: str | None, _database: str | None, _via: str | None
) -> int:
    if action == sqlite3.SQLITE_SELECT:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second in _FUNCTIONS:
        return sqlite3.SQLITE_OK
    # count(*) reads a table's column without a name.
    columns = _READABLE.get(first or "", frozenset())
    if action == sqlite3.SQLITE_READ and (second in columns or (columns and not second)):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY

"""
Audience: expressions compiled to SQL with bound values, run read-only.

Every condition is true or false for each subscription, never NULL: a comparison with an
unknown value is false, and ``not`` turns it around. Queries run on a read-only connection
of their own (inside a transaction of this run: on its connection, to see what it has
written). They can read the columns listed here and nothing else, no endpoint and no key,
and are aborted after thirty seconds.
"""

# ruff: noqa: S608 - SQL is put together here from constants and numbered parameters
# alone: columns and operators come from the tables below, values are bound.

import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pushctl.errors import InputError
from pushctl.model import Millis, Subscription
from pushctl.rules import folding
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression
from pushctl.rules.messages import languages
from pushctl.rules.web import fields
from pushctl.store.noun import Noun, as_json

if TYPE_CHECKING:
    from pushctl.store import Store

Asked = Mapping[str, tuple[Expression, Iterable[int]]]
Take = Callable[[sqlite3.Cursor], Sequence[Any]]

SECONDS = 30.0  # a query over 300,000 subscribers takes one
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
    "deliveries": frozenset({"id", "campaign_id", "subscription_id"}),
    "interactions": frozenset({"delivery_id", "kind", "at"}),
    "json_each": frozenset({"key", "value", "type", "atom", "json", "root"}),
}  # fmt: skip
_FUNCTIONS = frozenset({"count", "fold", "instr", "like", "substr", "length", "json_each"})

_COLUMNS = {
    **{name: f"s.{name}" for name in tree.FIELDS if name not in ("id", "site")},
    "id": "s.public_id",
    "site": "(SELECT t.name FROM sites AS t WHERE t.id = s.site_id)",
}
# Names of ids: compared exactly, so that their index serves.
_EXACT = frozenset({"id", "alias", "site"})
_OPERATORS = {op: op for op in ("=", "!=", "<", "<=", ">", ">=")}
_HOLDS_FOR_NONE: Mapping[str, Callable[[int], bool]] = {
    "=": lambda times: times == 0,
    "!=": lambda times: times != 0,
    "<": lambda times: times > 0,
    "<=": lambda times: True,
    ">": lambda times: False,
    ">=": lambda times: times == 0,
}


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
        return self.filter_each({"": (expression, ids)}, now, any_state=any_state)[""]

    def filter_each(
        self, asked: Asked, now: Millis, *, any_state: bool = False
    ) -> dict[str, set[int]]:
        """Return which ids of each pair match its expression, by one statement."""
        found: dict[str, set[int]] = {name: set() for name in asked}
        if not asked:
            return found
        query = _Query(now, few=True)
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
        query = _Query(now, few=False)
        where = query.render_where(expression, any_state)
        sql = f"SELECT {what} FROM subscriptions AS s WHERE {where}"
        if what != "count(*)":
            sql += f" ORDER BY s.id LIMIT {query.bind(-1 if limit is None else limit)}"
        return self._run(sql, query, [expression], take)

    def _run(
        self, sql: str, query: "_Query", asked: Sequence[Expression], take: Take = list
    ) -> Sequence[Any]:
        self._deadline = time.monotonic() + SECONDS
        try:
            with self._open_guarded() as connection:
                return take(connection.execute(sql, query.values))
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise InputError(
                f"the audience took longer than {SECONDS:.0f} s and was given up. Ask for "
                f"less at once: {'; '.join(map(tree.text, asked))[:200]}"
            ) from error

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
        address = f"file:{quote(str(self._store.path.absolute()))}?mode=ro"
        made = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
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


class _Query:
    """A query that is being built: its conditions as SQL, its values bound by number."""

    def __init__(self, now: Millis, *, few: bool) -> None:
        self.values: dict[str, Any] = {}
        self._now = now
        self._few = few  # a few ids: one look-up for each; else one scan of all rows

    def bind(self, value: object) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def bind_list(self, ids: Iterable[int]) -> str:
        return self.bind(as_json(ids))

    def render_where(self, expression: Expression, any_state: bool) -> str:
        # The state is a literal: a partial index serves it.
        active = "" if any_state else " AND s.state = 'active'"
        return f"({self.render(expression)}){active}"

    def render(self, expression: Expression) -> str:
        match expression:
            case tree.Everyone():
                return "1"
            case tree.And(parts):
                return " AND ".join(f"({self.render(part)})" for part in parts)
            case tree.Or(parts):
                return " OR ".join(f"({self.render(part)})" for part in parts)
            case tree.Not(part):
                return f"NOT ({self.render(part)})"
            case tree.Field(op="!=") | tree.Attribute(op="!="):
                return f"NOT ({self.render(replace(expression, op='='))})"
            case tree.Field(op="unknown") | tree.Attribute(op="unknown"):
                return f"NOT ({self.render(replace(expression, op='known'))})"
            case tree.Tag():
                return self._render_tag(expression)
            case tree.Field():
                return self._render_field(expression)
            case tree.Attribute():
                return self._render_attribute(expression)
            case tree.Age(of, within):
                column = {"subscribed": "s.subscribed_at", "seen": "s.last_seen_at"}[of]
                return f"{column} >= {self._bind_start(within)}"
            case tree.Event():
                return self._render_event(expression)
            case tree.Reaction():
                return self._render_reaction(expression)
            case tree.Segment(name):
                raise ValueError(f"segment {name!r} was not resolved (rules.audience.resolved)")

    def _bind_start(self, within: Millis) -> str:
        return self.bind(self._now - within)

    def _render_tag(self, tag: tree.Tag) -> str:
        try:
            folded = fields.fold(tag.name)
        except InputError:  # no tag can have this name
            return "0"
        tag_id = f"(SELECT g.id FROM tags AS g WHERE g.folded = {self.bind(folded)})"
        rows = f"""SELECT st.subscription_id FROM subscription_tags AS st
             WHERE st.tag_id = {tag_id}
               AND (st.expires_at IS NULL OR st.expires_at > {self.bind(self._now)})"""
        if self._few:
            return f"EXISTS ({rows} AND st.subscription_id = s.id)"
        # A list of rows, made once: it drives the query when the tag is rare.
        return f"s.id IN ({rows})"

    def _render_field(self, field: tree.Field) -> str:
        holds = f"({_COLUMNS[field.name]} IS NOT NULL AND {self._render_comparison(field)})"
        # Anybody's browser may claim an alias; only one that the shop signed counts.
        return f"(s.alias_trusted AND {holds})" if field.name == "alias" else holds

    def _render_comparison(self, field: tree.Field) -> str:
        column = _COLUMNS[field.name]
        if field.op == "known":
            return f"{column} <> ''"
        if field.name == "language" and field.op in ("=", "in"):
            return f"({' OR '.join(map(self._render_language, field.values))})"
        if field.name in _EXACT and field.op in ("=", "in"):
            values = ", ".join(map(self.bind, field.values))
            return f"{column} IN ({values})"
        return self._render_match(f"fold({column})", field)

    def _render_match(self, folded: str, asked: tree.Field | tree.Attribute) -> str:
        texts = [folding.fold(str(value)) for value in asked.values]
        if asked.op == "contains":
            return f"instr({folded}, {self.bind(texts[0])}) > 0"
        if asked.op == "like":
            return f"{folded} LIKE {self.bind(texts[0])}"
        return f"{folded} IN ({', '.join(map(self.bind, texts))})"

    def _render_language(self, value: str) -> str:
        # "pt" matches every Portuguese; "pt-BR" matches Brazil alone.
        prefix = f"{folding.fold(languages.canonical(value) or value)}-"
        return f"substr(fold(s.language) || '-', 1, {len(prefix)}) = {self.bind(prefix)}"

    def _render_attribute(self, asked: tree.Attribute) -> str:
        if asked.op == "known":
            holds = "j.type <> 'null'"
        else:
            holds = " OR ".join(self._render_value(asked.op, value) for value in asked.values)
        return (
            "(s.attributes <> '{}' AND EXISTS (SELECT 1 FROM json_each(s.attributes) AS j "
            f"WHERE j.key = {self.bind(asked.name)} AND ({holds})))"
        )

    def _render_value(self, op: str, value: tree.Value) -> str:
        """Compare one value with its own type only: 5 is neither '5' nor true."""
        if isinstance(value, bool):
            return f"j.type = '{'true' if value else 'false'}'"
        if not isinstance(value, str):
            op = "=" if op == "in" else _OPERATORS[op]
            return f"(j.type IN ('integer', 'real') AND j.atom {op} {self.bind(value)})"
        if op in ("=", "in", "contains", "like"):
            asked = tree.Attribute("", op, (value,))
            return f"(j.type = 'text' AND {self._render_match('fold(j.atom)', asked)})"
        return f"(j.type = 'text' AND j.atom {_OPERATORS[op]} {self.bind(value)})"

    def _render_event(self, event: tree.Event) -> str:
        rows = f"""FROM events AS e
             WHERE e.subscription_id = s.id AND e.name = {self.bind(event.name)}"""
        if event.count.within is not None:
            rows += f" AND e.at >= {self._bind_start(event.count.within)}"
        return self._render_count(rows, event.count)

    def _render_reaction(self, reaction: tree.Reaction) -> str:
        rows = f"""FROM interactions AS i JOIN deliveries AS d ON d.id = i.delivery_id
             WHERE i.kind = {self.bind(reaction.kind)} AND d.subscription_id IS NOT NULL"""
        if reaction.campaign is not None:
            name = self.bind(reaction.campaign)
            campaign = f"(SELECT c.id FROM campaigns AS c WHERE c.name = {name})"
            rows += f" AND d.campaign_id = {campaign}"
        count = reaction.count
        if count.within is not None:
            rows += f" AND i.at >= {self._bind_start(count.within)}"
        if self._few:
            return self._render_count(f"{rows} AND d.subscription_id = s.id", count)
        none = _HOLDS_FOR_NONE[count.op](count.times)
        holds = f"count(*) {_OPERATORS[count.op]} {self.bind(count.times)}"
        return f"""s.id {"NOT IN" if none else "IN"} (
            SELECT d.subscription_id {rows}
             GROUP BY d.subscription_id HAVING {f"NOT ({holds})" if none else holds})"""

    def _render_count(self, rows: str, count: tree.Count) -> str:
        if (count.op, count.times) == (">=", 1):
            return f"EXISTS (SELECT 1 {rows})"
        operator = _OPERATORS[count.op]
        return f"(SELECT count(*) {rows}) {operator} {self.bind(count.times)}"

"""Audience expressions -> SQL with bound values; ``store/audience`` runs it."""

# ruff: noqa: S608 - SQL is put together here from constants and numbered parameters
# alone: columns and operators come from the tables below, values are bound.

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import folding
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression
from pushctl.rules.messages import languages
from pushctl.rules.web import fields
from pushctl.store.noun import as_json

_COLUMNS = {
    **{name: f"s.{name}" for name in tree.FIELDS if name not in ("id", "site")},
    "id": "s.public_id",
    "site": "(SELECT t.name FROM sites AS t WHERE t.id = s.site_id)",
}
# Names of ids: compared exactly, so that their index serves.
_EXACT = frozenset({"id", "alias", "site"})
_OPERATORS = {op: op for op in ("=", "!=", "<", "<=", ">", ">=")}
# What went out: a message that is rejected for its template has no answer of a service.
OUTCOMES = {
    "sent": """(d.status IN ('accepted', 'gone', 'in_doubt', 'sending')
                OR d.status = 'rejected' AND d.http_status IS NOT NULL)""",
    "accepted": "d.status = 'accepted'",
    "rejected": "d.status = 'rejected'",
}
_HOLDS_FOR_NONE: Mapping[str, Callable[[int], bool]] = {
    "=": lambda times: times == 0,
    "!=": lambda times: times != 0,
    "<": lambda times: times > 0,
    "<=": lambda times: True,
    ">": lambda times: False,
    ">=": lambda times: times == 0,
}


class Query:
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
            case tree.Outcome():
                return self._render_outcome(expression)
            case tree.OfStep():
                raise ValueError(f"{tree.text(expression)} asks about an enrolment")
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
            rows += f" AND d.campaign_id = {self._render_campaign(reaction.campaign)}"
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

    def _render_outcome(self, outcome: tree.Outcome) -> str:
        rows = f"""SELECT d.subscription_id FROM deliveries AS d
             WHERE d.campaign_id = {self._render_campaign(outcome.campaign)}
               AND {OUTCOMES[outcome.kind]}"""
        if outcome.within is not None:
            rows += f" AND d.changed_at >= {self._bind_start(outcome.within)}"
        if self._few:
            return f"EXISTS ({rows} AND d.subscription_id = s.id)"
        # A forgotten person's row has no subscription: IN would be unknown for all others.
        return f"s.id IN ({rows} AND d.subscription_id IS NOT NULL)"

    def _render_campaign(self, name: str) -> str:
        return f"(SELECT c.id FROM campaigns AS c WHERE c.name = {self.bind(name)})"

    def _render_count(self, rows: str, count: tree.Count) -> str:
        if (count.op, count.times) == (">=", 1):
            return f"EXISTS (SELECT 1 {rows})"
        operator = _OPERATORS[count.op]
        return f"(SELECT count(*) {rows}) {operator} {self.bind(count.times)}"

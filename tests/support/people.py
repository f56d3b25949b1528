"""People in a database, and what an audience means said a second time, in plain Python."""

import json
import operator
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushctl.model import Millis
from pushctl.rules.audience import expression as tree
from pushctl.store import Store
from tests.support import auth, endpoint, p256dh

COMPARE = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Human:
    """One subscription with all that an audience may ask about."""

    fields: Mapping[str, str | None] = field(default_factory=dict)  # country, language, ...
    site: str = "shop"
    signed: bool = True  # the alias, by the shop
    state: str = "active"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    subscribed_at: Millis = 0
    last_seen_at: Millis = 0
    tags: Sequence[tuple[str, Millis | None]] = ()  # name, expires at
    events: Sequence[tuple[str, Millis]] = ()
    reactions: Sequence[tuple[str, str, Millis]] = ()  # kind, campaign, at
    # campaign, status of its message, what the push service answered, at
    outcomes: Sequence[tuple[str, str, int | None, Millis]] = ()


def settle(store: Store, people: Sequence[Human]) -> list[int]:
    """Write *people* and return their rows, in order."""
    rows = []
    with store.write() as connection:
        sites = {human.site for human in people}
        connection.executemany(
            "INSERT OR IGNORE INTO sites (name, origin) VALUES (?, 'https://x.example')",
            [(site,) for site in sorted(sites)],
        )
        for number, human in enumerate(people):
            rows.append(_person(store, number, human))
    for row, human in zip(rows, people, strict=True):
        for name, expires_at in human.tags:
            store.tags.add([row], name, 0, expires_at)
    return rows


def _person(store: Store, number: int, human: Human) -> int:
    connection = store.connection
    site = connection.execute("SELECT id FROM sites WHERE name = ?", (human.site,)).fetchone()
    values = {
        "public_id": human.fields.get("id") or f"{number:022}",
        "site_id": site[0],
        "endpoint_hash": number.to_bytes(16, "big"),
        "endpoint": endpoint(number),
        "p256dh": p256dh(0),
        "auth": auth(0),
        "key_id": "k",
        "state": human.state,
        "state_at": 0,
        "alias_trusted": human.signed,
        "attributes": json.dumps(human.attributes),
        "subscribed_at": human.subscribed_at,
        "last_seen_at": human.last_seen_at,
        **{key: value for key, value in human.fields.items() if key != "id"},
    }
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    row = connection.execute(
        f"INSERT INTO subscriptions ({names}) VALUES ({marks})", values
    ).lastrowid
    assert row is not None
    for place, (name, at) in enumerate(human.events):
        connection.execute(
            "INSERT INTO events (subscription_id, name, at, received_at, dedupe_key) "
            "VALUES (?, ?, ?, 0, ?)",
            (row, name, at, f"{number}-{place}"),
        )
    for campaign, status, answer, at in human.outcomes:
        _campaign(store, campaign)
        connection.execute(
            "INSERT INTO deliveries (campaign_id, subscription_id, status, http_status, "
            "changed_at) SELECT id, ?, ?, ?, ? FROM campaigns WHERE name = ?",
            (row, status, answer, at, campaign),
        )
    for place, (kind, campaign, at) in enumerate(human.reactions):
        _campaign(store, campaign)
        connection.execute(
            "INSERT OR IGNORE INTO deliveries (campaign_id, subscription_id, changed_at) "
            "SELECT id, ?, 0 FROM campaigns WHERE name = ?",
            (row, campaign),
        )
        connection.execute(
            "INSERT INTO interactions (delivery_id, kind, at, dedupe_key) "
            "SELECT d.id, ?, ?, ? FROM deliveries d JOIN campaigns c ON c.id = d.campaign_id "
            "WHERE d.subscription_id = ? AND c.name = ?",
            (kind, at, f"{number}-{place}", row, campaign),
        )
    return row


def _campaign(store: Store, name: str) -> None:
    store.connection.execute(
        "INSERT OR IGNORE INTO campaigns (name, status, template, audience, sources, "
        "created_at) VALUES (?, 'finished', 't', 'everyone', '{}', 0)",
        (name,),
    )


def send_to_nobody(store: Store, *campaigns: str) -> None:
    """Have *campaigns*, each with the message of a person who was forgotten."""
    with store.write() as connection:
        for name in campaigns:
            _campaign(store, name)
            connection.execute(
                "INSERT INTO deliveries (campaign_id, subscription_id, status, changed_at) "
                "SELECT id, NULL, 'accepted', 0 FROM campaigns WHERE name = ?",
                (name,),
            )


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold().replace("i\u0307", "i"))


def means(expression: tree.Expression, human: Human, now: Millis) -> bool:
    """Say whether *expression* means *human*: the definition, without any SQL."""
    match expression:
        case tree.Everyone():
            return True
        case tree.And(parts):
            return all(means(part, human, now) for part in parts)
        case tree.Or(parts):
            return any(means(part, human, now) for part in parts)
        case tree.Not(part):
            return not means(part, human, now)
        case tree.Tag(name):
            return any(
                " ".join(name.split()).casefold() == held.casefold()
                and (expires is None or expires > now)
                for held, expires in human.tags
            )
        case tree.Field(name, op, values):
            known = human.site if name == "site" else human.fields.get(name)
            return _field(name, op, values, known)
        case tree.Attribute(name, op, values):
            return _attribute(op, values, human.attributes.get(name))
        case tree.Age(of, within):
            at = human.subscribed_at if of == "subscribed" else human.last_seen_at
            return at >= now - within
        case tree.Event(name, count):
            return _often([at for event, at in human.events if event == name], count, now)
        case tree.Reaction(kind, campaign, count):
            times = [
                at
                for reacted, of, at in human.reactions
                if reacted == kind and campaign in (None, of)
            ]
            return _often(times, count, now)
        case tree.Outcome(kind, campaign, within):
            return any(
                campaign == of and _is(kind, status, answer)
                for of, status, answer, at in human.outcomes
                if within is None or at >= now - within
            )
    raise AssertionError(expression)


def _is(kind: str, status: str, answer: int | None) -> bool:
    if kind == "sent":
        went_out = status in ("accepted", "gone", "in_doubt", "sending")
        return went_out or (status == "rejected" and answer is not None)
    return kind == status


def _often(times: Sequence[Millis], count: tree.Count, now: Millis) -> bool:
    since = None if count.within is None else now - count.within
    return COMPARE[count.op](sum(since is None or at >= since for at in times), count.times)


def _field(name: str, op: str, values: Sequence[str], known: str | None) -> bool:
    if op == "known":
        return bool(known)
    if op == "unknown":
        return not known
    if op == "!=":
        return not _field(name, "=", values, known)
    if known is None:
        return False
    if op in ("=", "in"):
        if name in ("id", "alias", "site"):
            return known in values
        if name == "language":
            return any(fold(f"{known}-").startswith(fold(f"{value}-")) for value in values)
        return fold(known) in map(fold, values)
    return _texts(op, fold(known), fold(values[0]))


def _texts(op: str, known: str, value: str) -> bool:
    if op == "contains":
        return value in known
    pattern = re.escape(value).replace("%", ".*").replace("_", ".")
    return re.fullmatch(pattern, known, re.DOTALL) is not None


def _attribute(op: str, values: Sequence[tree.Value], known: Any) -> bool:
    if op == "known":
        return known is not None
    if op == "unknown":
        return known is None
    if op == "!=":
        return not _attribute("=", values, known)
    return any(_value(op, value, known) for value in values)


def _value(op: str, value: tree.Value, known: Any) -> bool:
    if isinstance(value, bool) or isinstance(known, bool):
        return value is known
    if isinstance(value, str):
        if not isinstance(known, str):
            return False
        if op in ("=", "in"):
            return fold(known) == fold(value)
        if op in ("contains", "like"):
            return _texts(op, fold(known), fold(value))
        return COMPARE[op](known, value)
    if not isinstance(known, int | float):
        return False
    return COMPARE["=" if op == "in" else op](known, value)

"""Export subscribers to files, and describe one of them."""

import csv
import errno
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from pushctl import durable
from pushctl.errors import InputError
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import tokens, wording
from pushctl.rules.audience.expression import Expression
from pushctl.rules.csv_lines import Lines
from pushctl.rules.delivery import endpoints
from pushctl.store import Store

_EXPORTED = (
    "public_id", "site", "endpoint", "p256dh", "auth", "key_id", "state", "alias",
    "alias_trusted", "tags", "language", "timezone", "country", "city", "browser", "os",
    "source", "attributes", "subscribed_at", "last_seen_at", "no_tracking", "worker",
)  # fmt: skip
_SECRET = frozenset({"endpoint", "p256dh", "auth"})
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})  # no fault of the path


def export(
    store: Store, audience: Expression, now: Millis, *, as_csv: bool, keys: bool = True
) -> Iterator[str]:
    """
    Yield lines, without line ends, of *audience* in any state, for ``import_file``.

    JSON lines are lossless. In CSV a cell that a spreadsheet would take for a formula has
    an apostrophe in front. Without *keys* nobody can send with them.
    """
    people = store.audience.list_subscriptions(audience, now, any_state=True)
    names = [name for name in _EXPORTED if keys or name not in _SECRET]
    if as_csv:
        yield from _render_csv(people, names)
    else:
        for person in people:
            yield wording.json_text(_build_json(person, names))


def _read_fields(person: Subscription) -> dict[str, Json]:
    values: dict[str, Json] = {name: getattr(person, name) for name in _EXPORTED}
    values["p256dh"] = tokens.encode(person.p256dh)
    values["auth"] = tokens.encode(person.auth)
    values["subscribed_at"] = wording.iso(person.subscribed_at)
    values["last_seen_at"] = wording.iso(person.last_seen_at)
    return values


def _build_json(person: Subscription, names: Sequence[str]) -> dict[str, Json]:
    values = _read_fields(person)
    row = {name: values[name] for name in names if name not in ("p256dh", "auth")}
    if "auth" in names:
        # As PushSubscription.toJSON(), which other tools read.
        row["keys"] = {"p256dh": values["p256dh"], "auth": values["auth"]}
    return row


def _render_csv(people: Iterator[Subscription], names: Sequence[str]) -> Iterator[str]:
    lines = Lines(quoting=csv.QUOTE_ALL)

    def line(cells: Sequence[Any]) -> str:
        return lines.render([cells]).removesuffix("\n")

    yield line(names)
    for person in people:
        values = _read_fields(person)
        values["tags"] = _join(person.tags)
        values["attributes"] = orjson.dumps(person.attributes).decode()
        values["alias_trusted"] = str(person.alias_trusted).lower()
        yield line([wording.csv_cell(values[name]) for name in names])


def _join(tags: Sequence[str]) -> str:
    text = "|".join(tags)
    plain = not any(mark in tag for tag in tags for mark in "|;,[{")
    return text if plain else orjson.dumps(tags).decode()


def write(path: Path, lines: Iterable[str]) -> int:
    """Write *path* atomically, readable by its owner only; return the number of lines."""
    count = 0

    def encoded() -> Iterator[bytes]:
        nonlocal count
        for line in lines:
            count += 1
            yield f"{line}\n".encode()

    write_pieces(path, encoded())
    return count


def write_to_stream(stream: BinaryIO, pieces: Iterable[bytes]) -> None:
    """Write *pieces* as they come: what reads *stream* gets them before the last is made."""
    for piece in pieces:
        stream.write(piece)
    stream.flush()


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write *path* atomically, as it comes, readable by its owner only."""
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a file in it.")
    try:
        durable.replace(path, pieces, 0o600)
    except OSError as error:
        if error.errno in _DISK:
            raise
        raise InputError(f"{path} can't be written: {error.strerror}") from error


def describe(
    store: Store, person: Subscription, clock: Callable[[Millis], str] = wording.iso
) -> Mapping[str, Json]:
    """
    Return a subscriber's data without keys, with the endpoint shortened.

    *clock* formats the times of changes, events and reactions.
    """
    values = _read_fields(person)
    about = {name: values[name] for name in _EXPORTED if name not in _SECRET}
    about["push_service"] = endpoints.short(person.endpoint)
    about["subscribed_at"], about["last_seen_at"] = person.subscribed_at, person.last_seen_at
    # With spaces, where a terminal can break the line.
    about["attributes"] = json.dumps(person.attributes, ensure_ascii=False)
    about["history"] = [
        f"{clock(one['at'])} {one['kind']}" + (f" ({one['reason']})" if one["reason"] else "")
        for one in store.subscriptions.list_changes(person.id)
    ]
    events = store.events.list_newest(person.id, 20)
    about["events"] = [f"{clock(event.at)} {event.name}" for event in events]
    about["reactions"] = [
        f"{clock(at)} {kind} {campaign}"
        for campaign, kind, _, at in store.interactions.list_newest(person.id, 20)
    ]
    return about

"""
Subscribers into the database and out of it: files in, files out, tags by hand.
"""

import csv
import gc
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from pushctl.config import Config
from pushctl.errors import ConfigError, InputError, UsageError
from pushctl.jobs import subscriber_files, subscriber_rows
from pushctl.jobs.subscriber_files import Line
from pushctl.jobs.subscriber_rows import Rules
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import endpoints, tokens, wording
from pushctl.rules.expression import Expression
from pushctl.store import Store
from pushctl.store.imports import Row

BATCH = 10_000


@dataclass
class ImportReport:
    """What a file brought: lines read, people added, updated, refused and why."""

    lines: int = 0
    added: int = 0
    updated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    rejects: Path | None = None  # the file of refused lines
    ignored: tuple[str, ...] = ()  # columns that mean nothing to us

    @property
    def refused(self) -> int:
        return self.rejected.total()


def import_file(
    store: Store,
    config: Config,
    path: Path,
    now: Millis,
    *,
    site: str | None = None,
    key: str | None = None,
    secret: bytes = b"",
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """
    Add or update the subscribers in *path* ("-": standard input), JSON lines or CSV.

    *site* and *key* are for records that name none (default: the only site, the newest
    VAPID key). *secret* finds out who was forgotten. Refused lines are written to
    ``<path>.rejects.jsonl``. Importing a file again, after a crash too, changes nothing
    that the first time did.
    """
    rules = _rules(store, config, site, key, now)
    source = subscriber_files.open_source(path)
    report = ImportReport(ignored=source.ignored)
    rejects = _Rejects(path)
    forgotten = store.tombstones.names()
    # Nothing here makes cycles; looking for them would take a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        while batch := list(islice(source.lines, BATCH)):
            _import_batch(store, rules, batch, report, rejects, (secret, forgotten))
            if progress is not None:
                progress(len(batch))
    finally:
        report.rejects = rejects.close()
        if collects:
            gc.enable()
    return report


def _rules(
    store: Store, config: Config, site: str | None, key: str | None, now: Millis
) -> Rules:
    from pushctl.push import vapid

    keys = tuple(vapid.load(config.keys))
    if not keys:
        raise ConfigError(
            f"there is no VAPID key in {config.keys}. Bring the one that these subscribers "
            "were made with, or run `pushctl init`."
        )
    if key is not None and key not in keys:
        raise UsageError(f"there is no VAPID key {key} in {config.keys}: {', '.join(keys)}")
    if site is not None and site not in config.sites:
        raise UsageError(f"no site is called {site!r} in {config.file}")
    if site is None and len(config.sites) == 1:
        site = next(iter(config.sites))
    return Rules(
        hosts=config.push.allowed_hosts,
        sites=store.sites.sync({name: one.origin for name, one in config.sites.items()}),
        site=site,
        keys=keys,
        key=key or keys[0],
        now=now,
    )


def _import_batch(
    store: Store,
    rules: Rules,
    batch: Sequence[Line],
    report: ImportReport,
    rejects: "_Rejects",
    erased: tuple[bytes, frozenset[str]],
) -> None:
    rows: list[Row] = []
    lines: list[Line] = []
    refused: list[tuple[Line, str]] = []
    for line in batch:
        row = _row(line, rules, erased)
        if isinstance(row, Row):
            rows.append(row)
            lines.append(line)
        else:
            refused.append((line, row))
    done = store.imports.upsert(rows, rules.now)
    refused += ((lines[position], reason) for position, reason in done.refused)
    report.lines += len(batch)
    report.added += done.added
    report.updated += done.updated
    for line, reason in sorted(refused, key=lambda one: one[0].number):
        report.rejected[reason] += 1
        rejects.add(line, reason)


def _row(line: Line, rules: Rules, erased: tuple[bytes, frozenset[str]]) -> Row | str:
    """Return the row of a line, or why it is refused."""
    if isinstance(line.fields, InputError):
        return str(line.fields)
    try:
        row = subscriber_rows.read(line.fields, rules)
    except InputError as error:
        return str(error)
    secret, names = erased
    if names and tokens.tombstone(secret, row.endpoint_hash) in names:
        return "the person was forgotten"
    return row


class _Rejects:
    """The file of refused lines, made with the first of them."""

    def __init__(self, path: Path) -> None:
        name = "stdin" if str(path) == "-" else path.name
        self._path = path.with_name(f"{name}.rejects.jsonl")
        self._file: io.BufferedWriter | None = None
        # Of an earlier run: it would tell of lines that are right by now.
        self._path.unlink(missing_ok=True)

    def add(self, line: Line, reason: str) -> None:
        if self._file is None:
            # The lines hold endpoints and keys: for the owner only.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        row = {"line": line.number, "reason": reason, "original": line.raw.rstrip("\r\n")}
        self._file.write(orjson.dumps(row) + b"\n")

    def close(self) -> Path | None:
        if self._file is None:
            return None
        self._file.close()
        return self._path


# --- out ---------------------------------------------------------------------------------

_EXPORTED = (
    "public_id", "site", "endpoint", "p256dh", "auth", "key_id", "state", "alias",
    "alias_trusted", "tags", "language", "timezone", "country", "city", "browser", "os",
    "source", "attributes", "subscribed_at", "last_seen_at",
)  # fmt: skip
_SECRET = frozenset({"endpoint", "p256dh", "auth"})


def export(
    store: Store, audience: Expression, now: Millis, *, as_csv: bool, keys: bool = True
) -> Iterator[str]:
    """
    Yield *audience* (in any state) as lines, without their ends, for ``import_file``.

    JSON lines lose nothing; in CSV a cell that a spreadsheet would take for a formula
    has an apostrophe in front. Without *keys* nobody can be reached with it.
    """
    people = store.audience.subscriptions(audience, now, any_state=True)
    names = [name for name in _EXPORTED if keys or name not in _SECRET]
    if as_csv:
        yield from _csv_lines(people, names)
    else:
        for person in people:
            yield wording.json_text(_json_row(person, names))


def _fields(person: Subscription) -> dict[str, Json]:
    values: dict[str, Json] = {name: getattr(person, name) for name in _EXPORTED}
    values["p256dh"] = tokens.encode(person.p256dh)
    values["auth"] = tokens.encode(person.auth)
    values["subscribed_at"] = wording.iso(person.subscribed_at)
    values["last_seen_at"] = wording.iso(person.last_seen_at)
    return values


def _json_row(person: Subscription, names: Sequence[str]) -> dict[str, Json]:
    values = _fields(person)
    row = {name: values[name] for name in names if name not in ("p256dh", "auth")}
    if "auth" in names:
        # The shape of PushSubscription.toJSON(): what every other tool reads.
        row["keys"] = {"p256dh": values["p256dh"], "auth": values["auth"]}
    return row


def _csv_lines(people: Iterator[Subscription], names: Sequence[str]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")

    def line(cells: Sequence[Any]) -> str:
        writer.writerow(cells)
        text = buffer.getvalue().removesuffix("\n")
        buffer.seek(0)
        buffer.truncate()
        return text

    yield line(names)
    for person in people:
        values = _fields(person)
        values["tags"] = _joined(person.tags)
        values["attributes"] = orjson.dumps(person.attributes).decode()
        values["alias_trusted"] = str(person.alias_trusted).lower()
        yield line([wording.csv_cell(values[name]) for name in names])


def _joined(tags: Sequence[str]) -> str:
    text = "|".join(tags)
    plain = not any(mark in tag for tag in tags for mark in "|;,[{")
    return text if plain else orjson.dumps(tags).decode()


def write(path: Path, lines: Iterable[str]) -> int:
    """Write an export to *path*, for its owner only, whole or not at all; return its lines."""
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a file in it.")
    young = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    count = 0
    try:
        handle = os.open(young, flags, 0o600)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(f"{line}\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    young.replace(path)
    return count


# --- by hand -----------------------------------------------------------------------------


def meant(
    store: Store, refs: Sequence[str], audience: Expression | None, now: Millis
) -> Sequence[int]:
    """Return the rows of those whom *refs* name, or of an *audience* in any state."""
    if audience is not None:
        return store.audience.ids(audience, now, any_state=True)
    return [one.id for ref in refs for one in store.subscriptions.find(ref)]


def described(
    store: Store, person: Subscription, clock: Callable[[Millis], str] = wording.iso
) -> Mapping[str, Json]:
    """
    Return all that is known of one subscriber but the keys, the endpoint shortened.

    *clock* writes the times of what happened.
    """
    values = _fields(person)
    about = {name: values[name] for name in _EXPORTED if name not in _SECRET}
    about["push_service"] = endpoints.short(person.endpoint)
    about["subscribed_at"], about["last_seen_at"] = person.subscribed_at, person.last_seen_at
    about["attributes"] = orjson.dumps(person.attributes).decode()
    about["history"] = [
        f"{clock(one['at'])} {one['kind']}" + (f" ({one['reason']})" if one["reason"] else "")
        for one in store.subscriptions.changes(person.id)
    ]
    about["events"] = [
        f"{clock(event.at)} {event.name}" for event in store.events.of(person.id, 20)
    ]
    about["reactions"] = [
        f"{clock(at)} {kind} {campaign}"
        for campaign, kind, _, at in store.interactions.of(person.id, 20)
    ]
    return about

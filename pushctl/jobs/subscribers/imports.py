"""Subscribers of a file come into the database: JSON lines or CSV."""

import gc
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson

from pushctl import log
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.jobs.subscribers import files
from pushctl.jobs.subscribers.files import Line
from pushctl.jobs.subscribers.rows import Rules, read
from pushctl.model import Millis
from pushctl.rules import tokens
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
    source = files.open_source(path)
    report = ImportReport(ignored=source.ignored)
    rejects = _Rejects(path)
    forgotten = store.tombstones.list_names()
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
        log.note(
            "import",
            "subscribers imported",
            file=path.name,
            lines=report.lines,
            added=report.added,
            updated=report.updated,
            rejected=report.rejected,
        )
    return report


def _rules(
    store: Store, config: Config, site: str | None, key: str | None, now: Millis
) -> Rules:
    from pushctl.push import vapid

    remedy = "Bring the one that these subscribers were made with, or run `pushctl init`."
    keys = tuple(vapid.load_required(config.keys, remedy))
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
        row = read(line.fields, rules)
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

"""Import a file of subscribers into the database."""

import gc
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import orjson

from pushctl import log, records
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.jobs.subscribers import files
from pushctl.jobs.subscribers.files import Line
from pushctl.jobs.subscribers.questions import Ask, find_answers
from pushctl.jobs.subscribers.rows import LeftOut, Rules, read_row
from pushctl.model import Millis
from pushctl.rules import limits, tokens
from pushctl.rules.web.opt_out import Answers
from pushctl.store import Store
from pushctl.store.imports import Row

BATCH = 10_000


class Bar(Protocol):
    """What shows how far the work is."""

    def advance(self, count: int = 1) -> None: ...


@dataclass
class ImportReport:
    lines: int = 0
    added: int = 0
    updated: int = 0
    unsubscribed: int = 0  # of those: they are unsubscribed since this file
    without_key: int = 0  # lines that got our own VAPID key although there are others
    rejected: Counter[str] = field(default_factory=Counter)  # by reason
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)  # by field and reason
    rejects: Path | None = None  # the file of refused lines
    rejects_left_out: int = 0  # lines that it had no room for
    ignored: tuple[str, ...] = ()  # unknown columns

    @property
    def refused(self) -> int:
        return self.rejected.total()

    @property
    def fields_left_out(self) -> Mapping[str, int]:
        """How many people each field was left out of."""
        counts: Counter[str] = Counter()
        for (name, _), count in self.left_out.items():
            counts[name] += count
        return dict(counts.most_common())


def import_file(
    store: Store,
    config: Config,
    path: Path,
    now: Millis,
    *,
    site: str | None = None,
    key: str | None = None,
    secret: bytes = b"",
    answers: Answers | None = None,
    ask: Ask | None = None,
    bar: AbstractContextManager["Bar"] | None = None,
) -> ImportReport:
    """
    Add or update the subscribers in *path* ("-": standard input), JSON or CSV.

    *site* and *key* are for records without one (default: the only site, the own VAPID
    key). *secret* recognises erased people. Refused lines go to ``<path>.rejects.jsonl``;
    fields that can't be read are left out and counted. A repeated import, after a crash
    too, changes nothing.

    What may say that somebody left, and is not understood, is looked for first: *answers*
    has what is known of it, *ask* is called for the rest; without it InputError is raised.
    *bar* is entered after the questions.
    """
    rules = _load_rules(store, config, site, key, now)
    with closing(records.open_seekable(path)) as file:
        found = find_answers(files.read(file, str(path)), str(path), answers or Answers(), ask)
        rules = replace(rules, answers=found)
        source = files.read(file, str(path))
        report = ImportReport(ignored=tuple(set(source.ignored) - found.ignored))
        with bar or nullcontext() as progress:
            _import_lines(store, rules, source, report, path, secret, progress)
    log.note(
        "import",
        "subscribers imported",
        file=path.name,
        lines=report.lines,
        added=report.added,
        updated=report.updated,
        unsubscribed=report.unsubscribed,
        rejected=report.rejected,
        left_out=report.fields_left_out,
    )
    return report


def _import_lines(
    store: Store,
    rules: Rules,
    source: files.Source,
    report: ImportReport,
    path: Path,
    secret: bytes,
    progress: "Bar | None",
) -> None:
    rejects = _Rejects(path)
    # There are no cycles here; the search for them would take a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        while batch := list(islice(source.lines, BATCH)):
            # Anew for each batch: somebody may be erased meanwhile.
            forgotten = store.tombstones.list_names()
            _import_batch(store, rules, batch, report, rejects, (secret, forgotten))
            if progress is not None:
                progress.advance(len(batch))
    finally:
        report.rejects, report.rejects_left_out = rejects.close(), rejects.left_out
        if collects:
            gc.enable()


def _load_rules(
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
        key=key or vapid.load_register(config.keys).own,
        doubt_key=key is None and len(keys) > 1,
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
        checked = _check(line, rules, erased)
        if isinstance(checked, str):
            refused.append((line, checked))
        else:
            row, left_out = checked
            rows.append(row)
            lines.append(line)
            if rules.doubt_key and row.key_id == rules.key:
                report.without_key += not _names_key(line)
            # Each reason once a person, however many tags are wrong.
            report.left_out.update(set(left_out))
    done = store.imports.upsert(rows, rules.now)
    refused += ((lines[position], reason) for position, reason in done.refused)
    report.lines += len(batch)
    report.added += done.added
    report.updated += done.updated
    report.unsubscribed += done.unsubscribed
    for line, reason in sorted(refused, key=lambda one: one[0].number):
        report.rejected[reason] += 1
        rejects.add(line, reason)


def _names_key(line: Line) -> bool:
    return not isinstance(line.fields, InputError) and "key_id" in line.fields


def _check(
    line: Line, rules: Rules, erased: tuple[bytes, frozenset[str]]
) -> tuple[Row, LeftOut] | str:
    """Return the row of a line with what was left out, or the reason of its refusal."""
    if isinstance(line.fields, InputError):
        return str(line.fields)
    try:
        row, left_out = read_row(line.fields, rules)
    except InputError as error:
        return str(error)
    secret, names = erased
    if names and tokens.tombstone(secret, row.endpoint_hash) in names:
        return "the person was forgotten"
    return row, left_out


class _Rejects:
    """
    The file of refused lines, created with the first of them.

    It is bounded: a gzip file of a megabyte may unfold to gigabytes of them.
    """

    def __init__(self, path: Path) -> None:
        name = "stdin" if str(path) == "-" else path.name
        self._path = path.with_name(f"{name}.rejects.jsonl")
        self._file: io.BufferedWriter | None = None
        self._left = limits.MAX_REJECTS_BYTES
        self.left_out = 0  # lines beyond it
        # An earlier run's file has lines that may be correct now.
        self._path.unlink(missing_ok=True)

    def add(self, line: Line, reason: str) -> None:
        row = {"line": line.number, "reason": reason, "original": line.raw.rstrip("\r\n")}
        text = orjson.dumps(row) + b"\n"
        self._left -= len(text)
        if self._left < 0:
            self.left_out += 1
            return
        if self._file is None:
            # The lines hold endpoints and keys: for the owner only.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        self._file.write(text)

    def close(self) -> Path | None:
        if self._file is None:
            return None
        self._file.close()
        return self._path

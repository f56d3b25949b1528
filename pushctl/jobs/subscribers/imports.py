"""Import a file of subscribers into the database."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pushctl import log, records
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.jobs.subscribers import files, known_people
from pushctl.jobs.subscribers.files import Line
from pushctl.jobs.subscribers.known_people import (
    Bar,
    ImportReport,
    choose_site,
    without_gc,
    write_or_rehearse,
)
from pushctl.jobs.subscribers.questions import Ask, find_answers
from pushctl.jobs.subscribers.rejects import Rejects
from pushctl.jobs.subscribers.rows import LeftOut, Rules, read_row
from pushctl.jobs.subscribers.vendor_imports import choose_worker, find_origin
from pushctl.model import Millis, Worker
from pushctl.rules import tokens
from pushctl.rules.vendors.exports import Vendor
from pushctl.rules.web.opt_out import Answers
from pushctl.store import Store
from pushctl.store.imports import Row

BATCH = 10_000


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
    bar: AbstractContextManager[Bar] | None = None,
    dry_run: bool = False,
    vendor: Vendor | None = None,
    our_worker: bool = False,
) -> ImportReport:
    """
    Add or update the subscribers in *path* ("-": standard input), JSON or CSV.

    A file without endpoints, that names people by what the shop calls them, changes those who
    are known and adds nobody (``known_people.py``). With *dry_run* all is only counted.

    *site* and *key* are for records without one (default: the only site, the own VAPID
    key). *secret* recognises erased people. Refused lines go to ``<path>.rejects.jsonl``;
    fields that can't be read are left out and counted. A repeated import, after a crash
    too, changes nothing.

    *vendor* wrote the file (default: who plainly did). Its people run its worker until their
    next visit, unless that one has become ours (*our_worker*).

    What may say that somebody left, and is not understood, is looked for first: *answers*
    has what is known of it, *ask* is called for the rest; without it InputError is raised.
    """
    with closing(records.open_seekable(path)) as file:
        known = files.read_known(file, str(path), known_people.CLUES)
        if known is not None:
            return known_people.change(
                store, config, known, path, now, bar, site=site, dry_run=dry_run
            )
        origin = find_origin(file, str(path), vendor)
        worker = choose_worker(origin, ours=our_worker)
        rules = _load_rules(store, config, site, key, now, worker)
        found = find_answers(files.read(file, str(path)), str(path), answers or Answers(), ask)
        rules = replace(rules, answers=found)
        source = files.read(file, str(path))
        report = ImportReport.begin(source.ignored, found.ignored, origin)
        _import_source(store, rules, source, report, path, secret, bar, dry_run=dry_run)
    _log(path, report)
    return report


def _import_source(
    store: Store,
    rules: Rules,
    source: files.Source,
    report: ImportReport,
    path: Path,
    secret: bytes,
    bar: AbstractContextManager[Bar] | None,
    *,
    dry_run: bool,
) -> None:
    rejects = Rejects(path, dry_run=dry_run)
    store.imports.enlarge_cache()
    try:
        with bar or nullcontext() as progress, without_gc():
            _import_lines(
                store, rules, source, report, rejects, secret, progress, dry_run=dry_run
            )
    finally:
        report.rejects, report.rejects_left_out = rejects.close(), rejects.left_out


def _log(path: Path, report: ImportReport) -> None:
    log.note(
        "import", "subscribers imported", file=path.name, lines=report.lines,
        added=report.added, updated=report.updated, unsubscribed=report.unsubscribed,
        rejected=report.rejected, left_out=report.fields_left_out,
    )  # fmt: skip


def _import_lines(
    store: Store,
    rules: Rules,
    source: files.Source,
    report: ImportReport,
    rejects: Rejects,
    secret: bytes,
    progress: Bar | None,
    *,
    dry_run: bool,
) -> None:
    while batch := list(islice(source.lines, BATCH)):
        # Anew for each batch: somebody may be erased meanwhile.
        forgotten = store.tombstones.list_names()
        erased = secret, forgotten
        _import_batch(store, rules, batch, report, rejects, erased, dry_run=dry_run)
        if progress is not None:
            progress.advance(len(batch))


def _load_rules(
    store: Store,
    config: Config,
    site: str | None,
    key: str | None,
    now: Millis,
    worker: str | None,
) -> Rules:
    from pushctl.push import vapid

    remedy = "Bring the one that these subscribers were made with, or run `pushctl init`."
    keys = tuple(vapid.load_required(config.keys, remedy))
    if key is not None and key not in keys:
        raise UsageError(f"there is no VAPID key {key} in {config.keys}: {', '.join(keys)}")
    return Rules(
        hosts=config.push.allowed_hosts,
        sites=store.sites.sync({name: one.origin for name, one in config.sites.items()}),
        site=choose_site(config, site),
        keys=keys,
        key=key or vapid.load_register(config.keys).own,
        doubt_key=key is None and (len(keys) > 1 or worker in tuple(Worker)),
        now=now,
        worker=worker,
    )


def _import_batch(
    store: Store,
    rules: Rules,
    batch: Sequence[Line],
    report: ImportReport,
    rejects: Rejects,
    erased: tuple[bytes, frozenset[str]],
    *,
    dry_run: bool,
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
    with write_or_rehearse(store, dry_run):
        done = store.imports.upsert(rows, rules.now)
    refused += ((lines[position], reason) for position, reason in done.refused)
    report.lines += len(batch)
    report.added += done.added
    report.updated += done.updated
    report.unsubscribed += done.unsubscribed
    report.untracked += done.untracked
    report.workers.update(done.workers)
    for line, reason in sorted(refused, key=lambda one: one[0].number):
        report.rejected[reason] += 1
        rejects.add(line.number, line.raw, reason)


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

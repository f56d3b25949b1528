"""
Change what is known of people by a file of the shop: points, birthdays, first names.

The file names them by alias, subscriber, basket or e-mail address. Nobody is added, and
nobody's state changes.
"""

import gc
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

from pushctl import log
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.jobs.ingest import tracking
from pushctl.jobs.subscribers import find_people
from pushctl.jobs.subscribers.files import Line, Source
from pushctl.jobs.subscribers.find_people import Clue
from pushctl.jobs.subscribers.rejects import Rejects
from pushctl.jobs.subscribers.rows import LeftOut, read_change
from pushctl.jobs.subscribers.vendor_imports import Origin
from pushctl.model import Json, Millis
from pushctl.store import Store
from pushctl.store.imports import Change

BATCH = 10_000
CLUES = frozenset(chain.from_iterable(find_people.COLUMNS.values()))  # the columns that name


class Bar(Protocol):
    """What shows how far the work is."""

    def advance(self, count: int = 1) -> None: ...


@dataclass
class ImportReport:
    lines: int = 0
    added: int = 0
    updated: int = 0
    unknown: int = 0  # lines about people who are not known
    unsubscribed: int = 0  # of those: they are unsubscribed since this file
    untracked: int = 0  # of those: they asked not to be tracked, so little was updated
    without_key: int = 0  # lines that got our own VAPID key although there are others
    rejected: Counter[str] = field(default_factory=Counter)  # by reason
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)  # by field and reason
    rejects: Path | None = None  # the file of refused lines
    rejects_left_out: int = 0  # lines that it had no room for
    ignored: tuple[str, ...] = ()  # unknown columns
    origin: Origin = field(default_factory=Origin)
    workers: Counter[str] = field(default_factory=Counter)  # active people by other's worker

    @classmethod
    def begin(
        cls, unknown: Sequence[str], left_out: Collection[str], origin: Origin
    ) -> "ImportReport":
        """Return an empty report; the owner has *left_out* columns knowingly."""
        named = tuple(each for each in unknown if each not in left_out)
        return cls(ignored=named, origin=origin)

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


def choose_site(config: Config, site: str | None) -> str | None:
    """Return the site of lines that name none: *site*, else the only one."""
    if site is not None and site not in config.sites:
        raise UsageError(f"no site is called {site!r} in {config.file}")
    return next(iter(config.sites)) if site is None and len(config.sites) == 1 else site


@contextmanager
def without_gc() -> Iterator[None]:
    """There are no cycles in an import; the search for them would take a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class _RehearsalIsOver(Exception):
    """Takes back what a dry run wrote."""


@contextmanager
def write_or_rehearse(store: Store, dry_run: bool) -> Iterator[None]:
    """Write in one transaction; with *dry_run* all of it is taken back."""
    with suppress(_RehearsalIsOver), store.write():
        yield
        if dry_run:
            raise _RehearsalIsOver


class _Told(NamedTuple):
    line: Line
    site: int
    clues: tuple[Clue, ...]
    change: Change
    left: LeftOut


def change(
    store: Store,
    config: Config,
    source: Source,
    path: Path,
    now: Millis,
    bar: AbstractContextManager[Bar] | None,
    *,
    site: str | None,
    dry_run: bool,
) -> ImportReport:
    """Change the people in *source*; *path* is for the file of refused and unknown ones."""
    origins = {name: one.origin for name, one in config.sites.items()}
    rows = store.sites.sync(origins)
    read = _Reader(config, {name: rows[name] for name in origins}, choose_site(config, site))
    report = ImportReport(ignored=source.ignored)
    rejects = Rejects(path, dry_run=dry_run)
    try:
        with bar or nullcontext() as progress, without_gc():
            while batch := list(islice(source.lines, BATCH)):
                with write_or_rehearse(store, dry_run):
                    _change_batch(store, read, batch, report, rejects, now)
                if progress is not None:
                    progress.advance(len(batch))
    finally:
        report.rejects, report.rejects_left_out = rejects.close(), rejects.left_out
    log.note(
        "import", "people changed", file=path.name, lines=report.lines, updated=report.updated,
        unknown=report.unknown, rejected=report.rejected, left_out=report.fields_left_out,
    )  # fmt: skip
    return report


class _Reader:
    def __init__(self, config: Config, sites: Mapping[str, int], site: str | None) -> None:
        self._sites, self._site = sites, site
        self._hash_email = find_people.load_hasher(config)

    def read(self, line: Line) -> _Told:
        """Return what a line tells of whom; raises InputError."""
        if isinstance(line.fields, InputError):
            raise line.fields
        clues = find_people.read_clues(_name_clues(line.fields), self._hash_email)
        site = find_people.read_site(line.fields.get("site"), self._site, self._sites)
        told, left = read_change(line.fields)
        if not any(told):
            raise InputError(left[0][0] + " " + left[0][1] if left else "it changes nothing")
        return _Told(line, site, clues, told, left)


def _name_clues(fields: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the first of the columns of each kind of clue."""
    return {
        kind: next((fields[each] for each in columns if each in fields), None)
        for kind, columns in find_people.COLUMNS.items()
    }


def _change_batch(
    store: Store,
    reader: _Reader,
    batch: Sequence[Line],
    report: ImportReport,
    rejects: Rejects,
    now: Millis,
) -> None:
    told: list[_Told] = []
    aside: list[tuple[Line, str]] = []  # with the reason
    for line in batch:
        try:
            told.append(reader.read(line))
        except InputError as error:
            aside.append((line, str(error)))
    found = _find_subscriptions(store, told)
    known = [(rows, one) for rows, one in zip(found, told, strict=True) if rows]
    too_many = store.imports.change([(rows, one.change) for rows, one in known], now)
    for position, (_, one) in enumerate(known):
        if position in too_many:
            aside.append((one.line, "the attributes would have more than 16 KiB together"))
        else:
            report.left_out.update(set(one.left))
    report.lines += len(batch)
    report.updated += len(known) - len(too_many)
    report.untracked += found.count([])
    report.unknown += found.count(None)
    report.rejected.update(reason for _, reason in aside)
    aside += (
        (one.line, find_people.say_unknown(one.clues))
        for rows, one in zip(found, told, strict=True)
        if rows is None
    )
    for line, reason in sorted(aside, key=lambda one: one[0].number):
        rejects.add(line.number, line.raw, reason)


def _find_subscriptions(store: Store, told: Sequence[_Told]) -> list[list[int] | None]:
    """Return the subscriptions that each line changes: None for nobody, [] for untracked."""
    people = {
        site: find_people.find_people(
            store, site, {one.clues for one in told if one.site == site}
        )
        for site in {one.site for one in told}
    }
    every = {
        row for some in people.values() for one in some.values() for row in one.subscriptions
    }
    untracked = tracking.find_untracked(store, every)
    found: list[list[int] | None] = []
    for one in told:
        person = people[one.site].get(one.clues)
        rows = None if person is None else person.subscriptions
        found.append(None if rows is None else [row for row in rows if row not in untracked])
    return found

"""
Ingest: what the receiver has written becomes rows, each line exactly once.

The rows of a batch and the cursors behind them are one transaction. A crash before it
leaves both to be done again, a crash after it leaves at most a drained segment.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from pushctl import inbox, lock, log
from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.inbox import BadLine, Entry, Finished
from pushctl.jobs.ingest import erasures, traces
from pushctl.jobs.ingest.requests import apply
from pushctl.jobs.ingest.verify import Desk
from pushctl.model import Millis
from pushctl.rules.units import DAY
from pushctl.store import Store

BATCH = 2000
MOST_REASONS = 50
# A segment that is copied over once more after this is applied once more.
CURSORS_KEPT: Millis = 400 * DAY


@dataclass
class IngestReport:
    """What came in: how many of each word, what was refused and why."""

    applied: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> int:
        return self.applied.total() + self.refused.total() + self.quarantined.total()

    def rows(self) -> list[dict[str, str | int]]:
        """Return result, what and lines for a table, most first."""
        counters = {
            "applied": self.applied,
            "refused": self.refused,
            "quarantined": self.quarantined,
        }
        return [
            {"result": result, "what": word, "lines": count}
            for result, counter in counters.items()
            for word, count in counter.most_common()
        ]


def drain(
    store: Store,
    config: Config,
    secret: bytes,
    now: Millis,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """
    Apply everything that the inbox held at *now*, and remove the finished segments.

    What came within ten seconds after *now* is left for the next time. *progress* is
    told how many lines are done. Raises BusyError when another run drains.
    """
    report = IngestReport()
    if not inbox.list_segments(config.inbox):
        return report
    with lock.hold(config.inbox / "drain.lock", "another import"):
        entries = inbox.read(config.inbox, store.inbox_cursors.load(), now)
        desk: Desk | None = None
        while batch := list(islice(entries, BATCH)):
            desk = desk or open_desk(store, config, secret)
            _apply_batch(desk, config, batch, report)
            if progress is not None:
                progress(len(batch))
        if desk is not None:
            store.signatures.prune(now)
            if desk.forgotten:
                _clear(desk, config)
        segments = inbox.list_segments(config.inbox)
        store.inbox_cursors.prune(now - CURSORS_KEPT, segments)
    if report.lines:
        log.note(
            "import",
            "inbox drained",
            applied=report.applied,
            refused=report.refused,
            quarantined=report.quarantined,
        )
    return report


def open_desk(store: Store, config: Config, secret: bytes) -> Desk:
    """Return what judging requests takes; raises ConfigError without a VAPID key."""
    from pushctl.push import vapid

    keys = tuple(vapid.load_required(config.keys))
    origins = {name: site.origin for name, site in config.sites.items()}
    alias_key = config.keys / "alias_secret"
    return Desk(
        store=store,
        secret=secret,
        alias_secret=alias_key.read_bytes().strip() if alias_key.exists() else None,
        sites=store.sites.sync(origins),
        origins=origins,
        hosts=config.push.allowed_hosts,
        keys=keys,
    )


def _clear(desk: Desk, config: Config) -> None:
    """Take those who asked to be erased out of the inbox's files and the log, too."""
    person = traces.Person(
        hashes=frozenset().union(*(one.endpoints for one in desk.forgotten)),
        deliveries=frozenset().union(*(one.deliveries for one in desk.forgotten)),
        secret=desk.secret,
    )
    traces.clear_files(config, person)
    desk.store.checkpoint()


def _apply_batch(desk: Desk, config: Config, batch: list[Entry], report: IngestReport) -> None:
    counts = IngestReport()
    aside: list[tuple[str, int, str, bytes]] = []
    before = len(desk.forgotten)
    with desk.store.write():
        for entry in batch:
            _apply_entry(desk, entry, counts, aside)
        desk.store.inbox_cursors.save({entry.segment: entry.offset for entry in batch})
        # Before the commit: after a crash the lines come once more, and stand there.
        inbox.quarantine(config.inbox, aside)
        erasures.note(
            config,
            desk.secret,
            ((one.public_id, one.endpoints, one.at) for one in desk.forgotten[before:]),
        )
    for name in _finished(batch):
        inbox.remove(config.inbox, name)
    report.applied += counts.applied
    report.refused += counts.refused
    for reason, count in counts.quarantined.items():
        # Some name what a stranger chose; the list must not grow with each of them.
        told = reason in report.quarantined or len(report.quarantined) < MOST_REASONS
        report.quarantined[reason if told else "other reasons"] += count


def _apply_entry(
    desk: Desk,
    entry: Entry,
    counts: IngestReport,
    aside: list[tuple[str, int, str, bytes]],
) -> None:
    segment, offset, item = entry
    if isinstance(item, Finished):
        return
    if isinstance(item, BadLine):
        counts.quarantined[item.reason] += 1
        aside.append((segment, offset, item.reason, item.raw))
        return
    try:
        with desk.store.savepoint():
            verdict = apply(desk, item)
    # The named ones first of all; the others are mistakes of ours, and one line that
    # brings them about must not keep all the lines behind it from coming in.
    except (InputError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        reason = str(error) if isinstance(error, InputError) else f"bug: {error!r}"
        counts.quarantined[reason] += 1
        aside.append((segment, offset, reason, inbox.encode(item)))
        return
    (counts.applied if verdict.done else counts.refused)[verdict.word] += 1


def _finished(batch: list[Entry]) -> Iterator[str]:
    return (entry.segment for entry in batch if isinstance(entry.item, Finished))

"""
Drain the inbox into the database, each line exactly once.

The rows of a batch and the cursors behind them are one transaction. A crash before it
leaves both to be done again, a crash after it leaves at most a drained segment.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from pushctl import inbox, lock, log, status
from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.inbox import BadLine, Entry, Finished
from pushctl.jobs.ingest import (
    aliases,
    erasures,
    event_faults,
    former_names,
    publishing,
    server_requests,
    shares,
    shop_orders,
    traces,
)
from pushctl.jobs.ingest.requests import apply
from pushctl.jobs.ingest.verify import Context
from pushctl.model import InboxRecord, Millis
from pushctl.rules.limits import MAX_BATCH_BYTES
from pushctl.rules.units import DAY
from pushctl.store import Store

BATCH = 2000
MOST_REASONS = 50
# A segment that is copied back after this is applied a second time.
CURSORS_KEPT: Millis = 400 * DAY


@dataclass
class IngestReport:
    """Lines by outcome, by reason of refusal, by fault; applied ones that lack a part."""

    applied: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)  # counted under applied, too
    events_refused: Counter[str] = field(default_factory=Counter)  # single events, by reason
    orders: Counter[str] = field(default_factory=Counter)  # purchases, by what became of them

    @property
    def lines(self) -> int:
        return self.applied.total() + self.refused.total() + self.quarantined.total()

    def count(self) -> dict[str, int]:
        """Return the lines by outcome."""
        return {name: counter.total() for name, counter in vars(self).items()}

    def rows(self) -> list[dict[str, str | int]]:
        """Return result, what and lines, most first."""
        return [
            {"result": result.replace("_", " "), "what": what, "lines": count}
            for result, counter in vars(self).items()
            for what, count in counter.most_common()
        ]


def drain(
    store: Store,
    config: Config,
    secret: bytes,
    now: Millis,
    progress: Callable[[int], None] | None = None,
    *,
    patience: float = 0.0,
) -> IngestReport:
    """
    Apply everything that the inbox held at *now*, and remove the finished segments.

    Lines of the ten seconds after *now* wait for the next drain. *progress* gets the number
    of lines done since its last call. Raises BusyError while another run drains, for longer
    than *patience* seconds.
    """
    report = IngestReport()
    erasures.erase_returned(store, config, now, secret)
    _catch_up(store, config, now)
    if inbox.list_segments(config.inbox) or traces.is_pending(store):
        with lock.hold(config.inbox / "drain.lock", "another import", patience=patience):
            _drain_inbox(store, config, secret, now, report, progress)
    # The inbox goes first: what waits there may be the payment.
    shop_orders.tell_failed_payments(store, now)
    if report.lines:
        log.note("import", "inbox drained", **vars(report))
    return report


def _catch_up(store: Store, config: Config, now: Millis) -> None:
    """Publish what could not be, if that is possible again."""
    since = publishing.get_missed(store)
    if since is None:
        return
    try:
        status.publish_proved(config.status, store.subscriptions.list_proved())
        with store.write():
            server_requests.publish_again(store, config, since, now)
            publishing.forget_missed(store)
    except OSError as error:
        publishing.log_failure(error)


def _drain_inbox(
    store: Store,
    config: Config,
    secret: bytes,
    now: Millis,
    report: IngestReport,
    progress: Callable[[int], None] | None,
) -> None:
    cursors = store.inbox_cursors.load(inbox.list_segments(config.inbox))
    entries = inbox.read(config.inbox, cursors, now)
    ctx: Context | None = None
    while batch := _take_batch(entries):
        ctx = ctx or open_context(store, config, secret)
        _apply_batch(ctx, config, batch, report)
        if progress is not None:
            progress(len(batch))
    if ctx is not None:
        store.signatures.prune(now)
        store.shop_deliveries.prune(now)
        report.left_out += ctx.left_out
        report.events_refused += ctx.event_faults
        report.orders += ctx.orders
        event_faults.record(store, ctx.event_faults, now)
        wrong = {why: n for why, n in report.refused.items() if aliases.WRONG in why}
        shares.record_left_out(store, {**ctx.left_out, **wrong}, now)
        shares.publish(store, config, anew=bool(ctx.forgotten or ctx.proved))
    if traces.is_pending(store):
        traces.clear_files(store, config, _find_erased(store, secret, ctx))
        # The write-ahead log has them, too.
        store.checkpoint()
    segments = inbox.list_segments(config.inbox)
    store.inbox_cursors.prune(now - CURSORS_KEPT, segments)


def _take_batch(entries: Iterator[Entry]) -> list[Entry]:
    """Return the next lines, as many as one transaction applies in a second or two."""
    batch: list[Entry] = []
    size = 0
    for entry in islice(entries, BATCH):
        batch.append(entry)
        size += len(entry.item.body) if isinstance(entry.item, InboxRecord) else 0
        if size >= MAX_BATCH_BYTES:
            break
    return batch


def open_context(store: Store, config: Config, secret: bytes) -> Context:
    """Raises ConfigError without a VAPID key."""
    from pushctl.push import vapid

    config = former_names.adopt(store, config)
    origins = {name: site.origin for name, site in config.sites.items()}
    keys = vapid.load_required(config.keys)
    return Context(
        store=store,
        secret=secret,
        alias_secret=aliases.load_secret(config),
        sites=store.sites.sync(origins),
        origins=origins,
        links={name: (site.origin, *site.origins) for name, site in config.sites.items()},
        currencies={name: site.currency for name, site in config.sites.items()},
        hosts=config.push.allowed_hosts,
        unproved=config.unproved,
        keys=tuple(keys),
        ended_keys=vapid.load_register(config.keys).list_ended().difference(keys),
    )


def _find_erased(store: Store, secret: bytes, ctx: Context | None) -> traces.Person:
    """Return what files have of those whom this drain has erased."""
    forgotten = ctx.forgotten if ctx else []
    return traces.Person(
        hashes=frozenset().union(*(one.endpoints for one in forgotten)),
        deliveries=frozenset().union(*(one.deliveries for one in forgotten)),
        secret=secret,
        tombstones=store.tombstones.list_names(),
        names=ctx.erased_names if ctx else (),
    )


def _apply_batch(
    ctx: Context, config: Config, batch: list[Entry], report: IngestReport
) -> None:
    counts = IngestReport()
    aside: list[tuple[str, int, str, bytes]] = []
    before, names = len(ctx.forgotten), len(ctx.erased_names)
    with ctx.store.write():
        for entry in batch:
            _apply_entry(ctx, entry, counts, aside)
        ctx.store.inbox_cursors.save({entry.segment: entry.offset for entry in batch})
        # Before the commit: after a crash the lines come once more, and stand there.
        inbox.quarantine(config.inbox, aside)
        server_requests.publish(ctx, config)
        with publishing.tolerate(ctx.store):
            if ctx.proved and status.add_proved(config.status, ctx.proved):
                ctx.proved.clear()
        if ctx.forgotten[before:] or len(ctx.erased_names) > names:
            traces.note_pending(ctx.store, _find_erased(ctx.store, ctx.secret, ctx))
        if ctx.forgotten[before:] or ctx.erased_buyers:
            erased = ((one.public_id, one.endpoints, one.at) for one in ctx.forgotten[before:])
            erasures.record(config, ctx.secret, erased)
            erasures.record_keys(config, ctx.secret, ctx.erased_buyers)
            ctx.erased_buyers.clear()
            erasures.note_carried_out(ctx.store, config)
    for entry in batch:
        if isinstance(entry.item, Finished):
            inbox.remove(config.inbox, entry.segment)
    report.applied += counts.applied
    report.refused += counts.refused
    for reason, count in counts.quarantined.items():
        # Some reasons hold a stranger's text: their number has to have a limit.
        room = reason in report.quarantined or len(report.quarantined) < MOST_REASONS
        report.quarantined[reason if room else "other reasons"] += count


def _apply_entry(
    ctx: Context, entry: Entry, counts: IngestReport, aside: list[tuple[str, int, str, bytes]]
) -> None:
    segment, offset, item = entry
    if isinstance(item, Finished):
        return
    if isinstance(item, BadLine):
        counts.quarantined[item.reason] += 1
        aside.append((segment, offset, item.reason, item.raw))
        return
    try:
        with ctx.store.savepoint():
            verdict = apply(ctx, item)
    # Beside InputError these are bugs of ours: one line must not stop all lines behind it.
    except (InputError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        reason = str(error) if isinstance(error, InputError) else f"bug: {error!r}"
        counts.quarantined[reason] += 1
        aside.append((segment, offset, reason, inbox.encode(item)))
        return
    (counts.applied if verdict.done else counts.refused)[verdict.outcome] += 1

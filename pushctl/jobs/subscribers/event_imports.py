"""
Import a file of events of people who are known: purchases, visits, whatever a shop keeps.

Each batch is one transaction, and each event is known by its id, or by what it says: after
a crash, or Ctrl-C, the same file again goes on where it was.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pushctl import log, records
from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.ingest import tracking
from pushctl.jobs.ingest.shop_orders import withhold
from pushctl.jobs.subscribers import event_files, find_people
from pushctl.jobs.subscribers.event_files import Line, Rules, ToldEvent
from pushctl.jobs.subscribers.find_people import Clue, Person
from pushctl.jobs.subscribers.known_people import Bar, choose_site, without_gc
from pushctl.jobs.subscribers.rejects import Rejects
from pushctl.model import Millis
from pushctl.rules.shops import cart, order
from pushctl.rules.shops.history import History
from pushctl.rules.shops.told import ToldOrder
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.orders import NOBODYS, Found, StoredOrder, encode_lines

# A batch writes to most pages of the indexes, however large it is.
BATCH = 30_000
SOURCE = "import"  # of the orders


@dataclass
class EventReport:
    """What became of the lines; each is counted once among new to refused."""

    lines: int = 0
    new: int = 0
    known: int = 0  # written before, or twice in the file
    unknown: int = 0  # their people are not known, or have no active browser
    not_kept: int = 0  # their people asked not to be tracked
    orders: int = 0  # new ones
    without_number: int = 0  # purchases that can be no orders
    reasons: Counter[str] = field(default_factory=Counter)  # of unknown and refused lines
    refused: int = 0
    properties: tuple[str, ...] = ()  # columns that became properties
    rejects: Path | None = None
    rejects_left_out: int = 0
    _people: set[int] = field(default_factory=set)

    @property
    def people(self) -> int:
        """How many people were found."""
        return len(self._people)


def import_file(
    store: Store,
    config: Config,
    path: Path,
    now: Millis,
    bar: Bar,
    *,
    site: str | None = None,
    event: str | None = None,
    dry_run: bool = False,
) -> EventReport:
    """
    Add the events in *path* ("-": standard input), JSON or CSV, to the people they name.

    *site* and *event* are for lines without one. With *dry_run* all is only counted.
    Refused lines, and those of unknown people, go to ``<path>.rejects.jsonl``.
    """
    chosen = choose_site(config, site)
    origins = {name: one.origin for name, one in config.sites.items()}
    rows = store.sites.sync(origins)
    rules = Rules({name: rows[name] for name in origins}, chosen, event, now,
                  find_people.load_hasher(config))  # fmt: skip
    with closing(records.open_seekable(path)) as file:
        source = event_files.read(file, str(path), rules)
        report = EventReport(properties=source.properties)
        work = _Import(store, config, rules, report, dry_run)
        rejects = Rejects(path, dry_run=dry_run)
        try:
            with without_gc():
                while batch := list(islice(source.lines, BATCH)):
                    work.take(batch, rejects)
                    bar.advance(len(batch))
        finally:
            report.rejects, report.rejects_left_out = rejects.close(), rejects.left_out
    if not dry_run:
        log.note(
            "import", "events imported", file=path.name, lines=report.lines, new=report.new,
            unknown=report.unknown, orders=report.orders, refused=report.refused,
        )  # fmt: skip
    return report


class _Import:
    def __init__(
        self, store: Store, config: Config, rules: Rules, report: EventReport, dry_run: bool
    ) -> None:
        self._store = store
        self._rules = rules
        self._report = report
        self._dry_run = dry_run
        rows = {row: config.sites[name] for name, row in rules.sites.items()}
        self._currencies = {row: site.currency for row, site in rows.items()}
        self._seen: set[int] = set()  # of a dry run: hashes of the keys of new events

    def take(self, batch: Sequence[Line], rejects: Rejects) -> None:
        """Take the lines of a batch in one transaction."""
        why: list[str | None]
        if self._dry_run:
            why = self._take(batch)
        else:
            with self._store.write():
                why = self._take(batch)
        self._report.lines += len(batch)
        for line, reason in zip(batch, why, strict=True):
            if reason is not None:
                self._report.reasons[reason] += 1
                rejects.add(line.number, line.raw, reason)

    def _take(self, batch: Sequence[Line]) -> list[str | None]:
        """Write what can be written; return for each line why it was not, or None."""
        people = self._find_people(batch)
        untracked = self._find_untracked(people.values())
        why: list[str | None] = []
        owned: list[tuple[ToldEvent, Person]] = []
        for line in batch:
            told = line.found
            if isinstance(told, InputError):
                self._report.refused += 1
                why.append(str(told))
                continue
            person = people.get((told.site, told.clues))
            if person is None or not person.active:
                self._report.unknown += 1
                why.append(_say_why(told, person))
            else:
                self._report._people.add(person.subscriptions[0])
                owned.append((told, person))
                why.append(None)
        self._write_events(owned, untracked)
        self._write_orders(batch, people, untracked)
        return why

    def _find_people(
        self, batch: Sequence[Line]
    ) -> Mapping[tuple[int, tuple[Clue, ...]], Person]:
        asked: dict[int, set[tuple[Clue, ...]]] = {}
        for line in batch:
            if isinstance(line.found, ToldEvent):
                asked.setdefault(line.found.site, set()).add(line.found.clues)
        return {
            (site, clues): person
            for site, several in asked.items()
            for clues, person in find_people.find_people(self._store, site, several).items()
        }

    def _find_untracked(self, people: Iterable[Person]) -> frozenset[int]:
        rows = {row for person in people for row in person.subscriptions}
        return tracking.find_untracked(self._store, rows)

    def _write_events(
        self, owned: Sequence[tuple[ToldEvent, Person]], untracked: Collection[int]
    ) -> None:
        now, report = self._rules.now, self._report
        events: dict[str, Event] = {}
        keys: list[list[str]] = []
        stopping: list[Event] = []
        for told, person in owned:
            theirs: list[str] = []
            for one in person.active:
                key = f"{one}:{told.key}"
                event = Event(one, told.name, told.at, now, told.properties, key)
                if one in untracked:
                    stopping.append(event)
                else:
                    theirs.append(key)
                    events.setdefault(key, event)
            keys.append(theirs)
        fresh = events.keys() - self._store.events.find_known(events)
        if self._dry_run:
            fresh = {key for key in fresh if hash(key) not in self._seen}
            self._seen.update(map(hash, fresh))
        else:
            tracking.end_reminders(self._store, stopping)
            self._store.events.add_new(_sort(events[key] for key in events if key in fresh))
        for theirs in keys:
            if not theirs:
                report.not_kept += 1
            elif fresh.isdisjoint(theirs):
                report.known += 1
            else:
                report.new += 1
                fresh.difference_update(theirs)

    def _write_orders(
        self,
        batch: Sequence[Line],
        people: Mapping[tuple[int, tuple[Clue, ...]], Person],
        untracked: Collection[int],
    ) -> None:
        purchases = [
            one.found
            for one in batch
            if isinstance(one.found, ToldEvent) and one.found.name == cart.PURCHASE
        ]
        told = [
            (one, bought)
            for one in purchases
            if (bought := order.read(one.properties, self._currencies[one.site]))
        ]
        self._report.without_number += len(purchases) - len(told)
        known = {
            (site, number): row
            for site in {one.site for one, _ in told}
            for number, row in self._store.orders.find_all(
                site, {bought.number for one, bought in told if one.site == site}
            ).items()
        }
        for one, bought in told:
            key = one.site, bought.number
            row = known.get(key)
            # What a page told before is this order, too; a shop's own word goes before ours.
            if (row is not None and row.source != order.PAGE) or hash(key) in self._seen:
                continue
            made = self._make_order(one, bought, people.get((one.site, one.clues)), row)
            made = withhold(made, untracked=made.found.subscription in untracked)
            known[key] = made
            self._report.orders += 1
            if self._dry_run:
                self._seen.add(hash(key))
            else:
                self._store.orders.save(made, bought.codes)

    def _make_order(
        self,
        one: ToldEvent,
        bought: order.Purchase,
        person: Person | None,
        row: StoredOrder | None,
    ) -> StoredOrder:
        """Return an order as it is written; *row* is what a page has told of it."""
        told = ToldOrder(
            bought.number, order.State.PAID, bought.total, None, bought.lines, one.at
        )
        if row is not None and row.found.unmatched in NOBODYS:
            found = row.found
        elif person is not None:
            found = Found(person.subscriptions[0], None, person.how)
        else:
            found = row.found if row else Found(None, find_people.say_unknown(one.clues))
        return StoredOrder(
            id=row.id if row else None,
            site=one.site,
            source=SOURCE,
            number=bought.number,
            history=History().add(told),
            lines=encode_lines(bought.lines),
            codes=tuple(sorted({*bought.codes, *(row.codes if row else ())})),
            test=bool(row and row.test),
            received_at=row.received_at if row else self._rules.now,
            found=found,
            clues=find_people.to_clues(one.clues),
        )


def _sort(events: Iterable[Event]) -> list[Event]:
    """Return *events* as they are written fastest: old ones by person; sweeps need no order."""
    fresh: list[Event] = []
    old: list[Event] = []
    for one in events:
        (old if one.received_at - one.at > DAY else fresh).append(one)
    old.sort(key=lambda one: (one.subscription, one.name, one.at))
    return old + fresh


def _say_why(told: ToldEvent, person: Person | None) -> str:
    if person is None:
        return find_people.say_unknown(told.clues)
    return "none of the person's browsers is active"

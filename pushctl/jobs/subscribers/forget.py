"""
Erase a person for good from database, inbox and quarantine.

A tombstone remains that names nobody: it keeps earlier lines from bringing the person
back. docs/subscribers.md lists the copies that pushctl can't delete.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

from pushctl import lock
from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.jobs.ingest import drain, erasures, shares, traces
from pushctl.model import Millis, Subscription
from pushctl.rules.shops.told import Clues
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.store.erasure import Traces


@dataclass(frozen=True)
class Forgotten(Traces):
    """Counts of what was, or would be, erased."""

    inbox_lines: int
    quarantined_lines: int


def forget(
    store: Store, config: Config, secret: bytes, ref: str, now: Millis, *, dry_run: bool
) -> Forgotten:
    """
    Erase the person of *ref*: a public id, or ``alias:NAME`` for all browsers with it, and
    what orders say of that buyer.

    Drains the inbox first. With *dry_run* nothing is drained or erased. Raises
    NotFoundError, or BusyError while another run drains the inbox.
    """
    if not dry_run:
        drain.drain(store, config, secret, now, patience=lock.PATIENCE_SECONDS)
    people = find_people(store, ref)
    ids = [one.id for one in people]
    person = traces.Person(
        hashes=store.erasure.list_endpoints(ids),
        deliveries=store.erasure.list_deliveries(ids),
        secret=secret,
        tombstones=store.tombstones.list_names(),
        names={*store.erasure.list_names(ids), *_list_aliases(ref)},
    )
    rows = store.erasure.count_traces(ids)
    config.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config.inbox / "drain.lock"
    with lock.hold(path, "an erasure", patience=lock.PATIENCE_SECONDS):
        if not dry_run:
            _erase(store, config, people, _list_aliases(ref), person, now)
        lines, aside = traces.clear_files(store, config, person, dry_run=dry_run)
    return Forgotten(**asdict(rows), inbox_lines=lines, quarantined_lines=aside)


def find_people(store: Store, ref: str) -> list[Subscription]:
    """
    Return whom *ref* names; nobody where an alias stands in orders alone.

    Raises NotFoundError where nothing is known of *ref*.
    """
    try:
        return store.subscriptions.find(ref)
    except NotFoundError:
        if any(store.erasure.count_orders(alias) for alias in _list_aliases(ref)):
            return []
        raise


def describe(store: Store, ref: str) -> str:
    """Return what an erasure would take, for its question."""
    if people := find_people(store, ref):
        return f"{counted(len(people), 'browser')} will be erased for good"
    orders = sum(store.erasure.count_orders(alias) for alias in _list_aliases(ref))
    return f"No browser here; the buyer of {counted(orders, 'order')} will be erased for good"


def _list_aliases(ref: str) -> list[str]:
    return [ref.removeprefix("alias:")] if ref.startswith("alias:") else []


def _erase(
    store: Store, config: Config, people: Sequence[Subscription], named: Sequence[str],
    person: traces.Person, now: Millis,
) -> None:  # fmt: skip
    secret = person.secret
    known = {one.public_id: store.erasure.list_endpoints([one.id]) for one in people}
    erasures.record(config, secret, ((who, hashes, now) for who, hashes in known.items()))
    # What a page only claims is another person's, perhaps.
    signed = (one.alias for one in people if one.alias is not None and one.alias_trusted)
    aliases = {*named, *signed}
    erasures.record_keys(config, secret, ((key, now) for key in _list_keys(config, aliases)))
    with store.write():
        for endpoint_hash in set().union(*known.values()):
            store.tombstones.add(secret, endpoint_hash, now)
        for alias in aliases:
            store.erasure.remove_alias(alias)
        store.erasure.erase([one.id for one in people], now)
        erasures.note_carried_out(store, config)
        traces.note_pending(store, person)
    shares.publish(store, config, anew=True)
    # The deleted bytes are overwritten in the file only once the log is copied into it.
    store.checkpoint()


def _list_keys(config: Config, aliases: Collection[str]) -> Iterator[bytes]:
    for alias in aliases:
        for site in config.sites:
            yield from erasures.list_buyer_keys(site, "", Clues(alias=alias), ())

"""
Erase a person for good from database, inbox and quarantine.

A tombstone remains that names nobody: it keeps earlier lines from bringing the person
back. docs/subscribers.md lists the copies that pushctl can't delete.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pushctl import lock
from pushctl.config import Config
from pushctl.jobs.ingest import drain, erasures, shares, traces
from pushctl.model import Millis, Subscription
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
    Erase the person of *ref*: a public id, or ``alias:NAME`` for all browsers with it.

    Drains the inbox first. With *dry_run* nothing is drained or erased. Raises
    NotFoundError, or BusyError while another run drains the inbox.
    """
    if not dry_run:
        drain.drain(store, config, secret, now)
    people = store.subscriptions.find(ref)
    ids = [one.id for one in people]
    person = traces.Person(
        hashes=store.erasure.list_endpoints(ids),
        deliveries=store.erasure.list_deliveries(ids),
        secret=secret,
        tombstones=store.tombstones.list_names(),
    )
    rows = store.erasure.count_traces(ids)
    config.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.hold(config.inbox / "drain.lock", "an erasure"):
        if not dry_run:
            _erase(store, config, people, secret, now)
        lines, aside = traces.clear_files(config, person, dry_run=dry_run)
    return Forgotten(**asdict(rows), inbox_lines=lines, quarantined_lines=aside)


def _erase(
    store: Store, config: Config, people: Sequence[Subscription], secret: bytes, now: Millis
) -> None:
    known = {one.public_id: store.erasure.list_endpoints([one.id]) for one in people}
    erasures.record(config, secret, ((who, hashes, now) for who, hashes in known.items()))
    with store.write():
        for endpoint_hash in set().union(*known.values()):
            store.tombstones.add(secret, endpoint_hash, now)
        for one in people:
            if one.alias is not None:
                store.erasure.remove_alias(one.alias)
        store.erasure.erase([one.id for one in people], now)
        erasures.note_carried_out(store, config)
    shares.publish(store, config, anew=True)
    # The deleted bytes are overwritten in the file only once the log is copied into it.
    store.checkpoint()

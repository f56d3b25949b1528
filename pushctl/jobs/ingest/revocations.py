"""
Consents to channels that were taken back, in a file beside the database: a backup does not
have them.

A line is a hash of a subscription's public id and a channel, and the time; it names nobody,
as a public id is random. The database keeps how long the file was when it had carried all
of it out: a longer file means a backup, in which people still agree. A second file keeps
the lines where a backup is copied over (``kept_lines``).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pushctl.jobs.ingest import kept_lines
from pushctl.model import Millis
from pushctl.rules.triggers.consents import ChannelConsent, Revocation
from pushctl.store import Store

_CARRIED_OUT = "revoked.bytes"


def find_path(store: Store) -> Path:
    return store.path.with_name(f"{store.path.name}.revoked")


def note(store: Store, told: Iterable[ChannelConsent | Revocation]) -> int:
    """
    Add and revoke consents in the order in which they were told; return how many changed.

    Revocations are in the file before the caller's transaction is committed.
    """
    count = 0
    for one in told:
        if isinstance(one, ChannelConsent):
            count += store.channel_consents.add([one])
            continue
        count += store.channel_consents.revoke([one])
        names = store.channel_consents.list_public_ids(one.subscriptions)
        lines = "".join(f"{_hash(name, one.channel)} {one.at}\n" for name in names)
        if lines:
            kept_lines.append(find_path(store), lines.encode())
        store.meta.set(_CARRIED_OUT, str(_measure(store)))
    return count


def revoke_returned(store: Store) -> int:
    """
    Revoke what a backup brought back, before anybody is called; return how many.

    Costs a look at one file where there is nothing. Who agreed anew since has agreed.
    """
    size = _measure(store)
    if size <= int(store.meta.get(_CARRIED_OUT) or 0):
        return 0
    kept_lines.unite(find_path(store))
    with store.write():
        known = _read(find_path(store))
        ended = [
            (one.row, at)
            for one in store.channel_consents.list_open()
            if (at := known.get(_hash(one.id, one.channel))) is not None and one.at <= at
        ]
        store.channel_consents.end(ended)
        store.meta.set(_CARRIED_OUT, str(size))
    return len(ended)


def _hash(public_id: str, channel: str) -> str:
    return hashlib.sha256(f"{public_id}\n{channel}".encode()).hexdigest()


def _measure(store: Store) -> int:
    return kept_lines.measure(find_path(store))


def _read(file: Path) -> Mapping[str, Millis]:
    # A crash may have torn a line. Of several the newest counts.
    lines = sorted(
        (int(found[2]), found[1])
        for line in kept_lines.read(file).decode("ascii", "replace").splitlines()
        if (found := re.fullmatch(r"([0-9a-f]{64}) (\d+)", line))
    )
    return {name: at for at, name in lines}

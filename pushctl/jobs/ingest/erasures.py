"""
Who was forgotten, written down beside the database: a backup does not know of it.

A line is the tombstone of an endpoint or of a subscription's public id, and its time; it
tells nobody who (``rules.tokens.tombstone``). The public id is there for those whose
endpoint has changed since the backup was made.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pushctl import durable
from pushctl.config import Config
from pushctl.model import Millis
from pushctl.rules import tokens
from pushctl.store import Store


def path(config: Config) -> Path:
    return config.database.with_name(f"{config.database.name}.forgotten")


def note(
    config: Config, secret: bytes, people: Iterable[tuple[str, Collection[bytes], Millis]]
) -> None:
    """Write down, on disk before it returns, public id, endpoints' hashes and time of each."""
    text = "".join(
        f"{tokens.tombstone(secret, key)} {at}\n"
        for public_id, endpoints, at in people
        for key in (*endpoints, public_id.encode())
    )
    if text:
        durable.append_durably(path(config), text.encode(), 0o600)


def again(store: Store, config: Config, now: Millis) -> int:
    """
    Forget whom a backup has brought back; return how many browsers that were.

    Who has subscribed anew since stays.
    """
    known = _read(path(config))
    if not known:
        return 0
    secret = config.secret()

    ids = []
    for row, endpoint_hash, public_id, since in store.erasure.list_subscriptions():
        at = known.get(tokens.tombstone(secret, endpoint_hash))
        back = at is not None and since <= at
        if back or tokens.tombstone(secret, public_id.encode()) in known:
            ids.append(row)
    with store.write():
        store.erasure.erase(ids, now)
        store.tombstones.merge(known)
    store.checkpoint()
    return len(ids)


def _read(file: Path) -> Mapping[str, Millis]:
    try:
        lines = file.read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split(" ") for line in lines)
    # A crash may have torn one.
    return {
        pair[0]: int(pair[1])
        for pair in pairs
        if len(pair) == 2 and len(pair[0]) == 64 and pair[1].isdecimal()
    }

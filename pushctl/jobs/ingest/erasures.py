"""
Erasures, recorded in a file beside the database: a backup does not have them.

A line is the tombstone of an endpoint or of a public id, and its time; it names nobody
(``rules.tokens.tombstone``). The public id is for endpoints changed since the backup. Of a
buyer, who may have no browser here, lines stand for what orders have: alias, e-mail hash,
basket key, number. A second file keeps the lines where a backup is copied over
(``kept_lines``).

The database keeps how long the file was when it had carried all of it out: a longer file
means a backup, which may hold people who were erased after it was made.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from pushctl.config import Config
from pushctl.jobs.ingest import kept_lines, shares, traces
from pushctl.model import Millis
from pushctl.rules import tokens
from pushctl.rules.shops.told import Clues
from pushctl.store import Store

_CARRIED_OUT = "forgotten.bytes"


def find_path(config: Config) -> Path:
    return config.database.with_name(f"{config.database.name}.forgotten")


def record(
    config: Config, secret: bytes, people: Iterable[tuple[str, Collection[bytes], Millis]]
) -> None:
    """Record (public id, hashes of endpoints, time), durably before it returns."""
    record_keys(
        config,
        secret,
        (
            (key, at)
            for public_id, endpoints, at in people
            for key in (*endpoints, public_id.encode())
        ),
    )


def list_buyer_keys(
    site: str, source: str, clues: Clues, numbers: Collection[str]
) -> Iterator[bytes]:
    """Yield what stands for a buyer at a site, and for the orders of a source."""
    # A line's end is in no name: none of these is an endpoint's, or another site's.
    for name in (clues.alias, clues.email_hash, clues.cart_key):
        if name is not None:
            yield f"{site}\n{name}".encode()
    for number in numbers:
        yield f"{site}\n{source}\n{number}".encode()


def record_keys(config: Config, secret: bytes, keys: Iterable[tuple[bytes, Millis]]) -> None:
    """Record what stands for people, each with its time, durably before it returns."""
    text = "".join(f"{tokens.tombstone(secret, key)} {at}\n" for key, at in keys)
    if text:
        kept_lines.append(find_path(config), text.encode())


def note_carried_out(store: Store, config: Config) -> None:
    """Store that every line is carried out, in the caller's transaction and drain lock."""
    store.meta.set(_CARRIED_OUT, str(measure(config)))


def erase_returned(
    store: Store, config: Config, now: Millis, secret: bytes | None = None
) -> int:
    """
    Erase whom a backup brought back, before anything is sent; return how many.

    Costs a look at one file where there is nobody.
    """
    if measure(config) <= int(store.meta.get(_CARRIED_OUT) or 0):
        return 0
    return erase_again(store, config, secret or config.secret(), now)


def erase_again(store: Store, config: Config, secret: bytes, now: Millis) -> int:
    """Erase people whom a backup brought back, not those subscribed anew; return how many."""
    size = measure(config)
    kept_lines.unite(find_path(config))
    known = _read(find_path(config))
    if not known:
        return 0
    ids = []
    for row, endpoint_hash, public_id, since in store.erasure.list_subscriptions():
        at = known.get(tokens.tombstone(secret, endpoint_hash))
        back = at is not None and since <= at
        if back or tokens.tombstone(secret, public_id.encode()) in known:
            ids.append(row)
    person = traces.Person(
        hashes=store.erasure.list_endpoints(ids),
        deliveries=store.erasure.list_deliveries(ids),
        secret=secret,
        names=store.erasure.list_names(ids),
    )
    with store.write():
        if ids:  # the next drain clears the files of the inbox
            traces.note_pending(store, person)
        store.erasure.erase(ids, now)
        store.erasure.blank_rows(_find_orders(store, secret, known))
        store.tombstones.merge(known)
        store.meta.set(_CARRIED_OUT, str(size))
    shares.publish(store, config, anew=True)
    store.checkpoint()
    return len(ids)


def _find_orders(store: Store, secret: bytes, known: Mapping[str, Millis]) -> list[int]:
    """Return the orders whose buyers were erased after these had come."""
    found = []
    for row, site, source, number, clues, came in store.erasure.list_buyers():
        keys = list_buyer_keys(site, source, clues, (number,))
        times = (known.get(tokens.tombstone(secret, key)) for key in keys)
        if any(at is not None and came <= at for at in times):
            found.append(row)
    return found


def measure(config: Config) -> int:
    """Return the length of the file in bytes, 0 where there is none."""
    return kept_lines.measure(find_path(config))


def _read(file: Path) -> Mapping[str, Millis]:
    lines = kept_lines.read(file).decode("ascii", "replace").splitlines()
    # A crash may have torn a line.
    found = (re.fullmatch(r"(\S{64}) (\d+)", line) for line in lines)
    return {each[1]: int(each[2]) for each in found if each}

"""
How much of a day's inbox unproved people have used: the receiver's counts, as a file.

``usage-PORT.json`` beside the segments, one for each receiver of a folder. Addresses stand
in it as hashes with the day's salt, and both are overwritten the next day.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from pushctl import durable

SALT_BYTES = 16


@dataclass
class Usage:
    """One day's counts of one receiver."""

    day: int  # of UTC, since the epoch
    salt: str = field(default_factory=lambda: secrets.token_hex(SALT_BYTES))
    total: int = 0  # bytes, of all addresses together
    senders: OrderedDict[str, int] = field(default_factory=OrderedDict)  # bytes
    used_up: int = 0  # addresses that have no more
    all_used_up: bool = False
    refused: int = 0  # requests
    # some of the refused ones came through a proxy that is not trusted
    forwarded: bool = False


def save(path: Path, usage: Usage, least: float) -> None:
    """Write *usage*, of its senders only those with *least* bytes or more."""
    known = asdict(usage)
    known["senders"] = {name: size for name, size in usage.senders.items() if size >= least}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.replace(path, orjson.dumps(known), 0o600)


def load(path: Path) -> Usage | None:
    """Return what *path* holds, or None: without a file, and where it is damaged."""
    try:
        known = orjson.loads(path.read_bytes())
        usage = Usage(**known)
        usage.senders = OrderedDict(usage.senders)
        numbers = (usage.day, usage.total, usage.used_up, *usage.senders.values())
        if len(bytes.fromhex(usage.salt)) != SALT_BYTES or {type(it) for it in numbers} != {
            int
        }:
            return None
    except (OSError, ValueError, TypeError):
        return None
    return usage


def load_all(folder: Path) -> Iterator[Usage]:
    """Yield the counts of all receivers that write to *folder*."""
    for path in sorted(folder.glob("usage-*.json")):
        if (usage := load(path)) is not None:
            yield usage

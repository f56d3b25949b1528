"""Backups of test projects, with one key for all of them."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from pushctl.archive import seal
from pushctl.config import Config
from pushctl.jobs.project import backup, restore
from pushctl.store import Store
from tests.support import NOON, sending


@lru_cache(maxsize=1)
def key_pair() -> seal.KeyPair:
    return seal.make_key_pair()


def make_key() -> backup.Key:
    return backup.Key(seal.read_recipients([key_pair().recipient]))


OPENER = restore.Opener(key_pair().identity.encode())


def tell_nobody(_: int) -> None:
    """Take the progress of a test."""


def write(store: Store, config: Config, file: Path) -> Path:
    backup.write_file(store, config, file, make_key(), sending.soon(), tell_nobody)
    return file


def bring_back(file: Path, folder: Path, former: Path | None = None) -> restore.Restored:
    return restore.restore(file, folder, OPENER, tell_nobody, former)


def pack_plain(
    store: Store, config: Config, after: Callable[[str], None] = lambda _: None
) -> bytes:
    """Return a plain backup; *after* is called with each file's name once that was read."""
    collecting = backup._Collecting(store, config, NOON, tell_nobody)

    def watched(name: str, content: Iterable[bytes]) -> Iterator[bytes]:
        yield from content
        after(name)

    files = ((entry, watched(entry.name, content)) for entry, content in collecting.collect())
    return b"".join(backup.pack(files))

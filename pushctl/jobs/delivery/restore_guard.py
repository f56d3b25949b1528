"""
The restore guard: a database that was brought back, or copied, sends nothing by itself.

Whoever got a message after a backup was made is unknown to the backup: to send from it
would send twice. So each batch that is claimed counts ``generation`` up, first in the
database, then in a file beside it. A database whose count is behind the file's is an
older one; a file that is missing, was copied (another inode) or names another machine
tells of a clone. All of them refuse until `pushctl release` says what to think of it.

What no file on the same disk can tell: a whole machine set back to a snapshot.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.store import Store

GENERATION = "generation"
_MACHINE = Path("/etc/machine-id")


def path(config: Config) -> Path:
    return config.database.with_name(f"{config.database.name}.generation")


def trouble(store: Store, config: Config) -> str | None:
    """Say why this database must not send, or None when it may."""
    # The file first: another process may count up meanwhile, the database before it.
    told = _read(path(config))
    ours = generation(store)
    if told is None:
        if ours == 0:
            return None  # it has never sent anything
        return f"{path(config)} is missing: the database seems to be a copy"
    if told["generation"] > ours:
        behind = told["generation"] - ours
        return (
            f"the database is older than what was sent from here ({behind:,} batches): "
            "it seems to be restored from a backup"
        )
    if told["machine"] != _machine():
        return "the project was copied or moved to another machine"
    if told["inode"] != path(config).stat().st_ino:
        return "the project was copied, or brought back from a backup"
    return None


def check(store: Store, config: Config) -> None:
    """Raise ConfigError where this database must not send before somebody has decided."""
    why = trouble(store, config)
    if why is not None:
        raise ConfigError(
            f"{why}. Nothing is sent, for nobody must get a message twice. If that is so: "
            "pushctl release. If you only moved the project: pushctl release --moved."
        )


def generation(store: Store) -> int:
    return int(store.meta.get(GENERATION) or 0)


def count_up(store: Store) -> int:
    """Begin a new generation inside the caller's transaction; return its number."""
    number = generation(store) + 1
    store.meta.set(GENERATION, str(number))
    return number


def note(config: Config, number: int) -> None:
    """
    Write down, on disk before it returns, that messages of generation *number* go out.

    To be called once the transaction of ``count_up`` is committed.
    """
    with _held(path(config)) as handle:
        known = _parse(os.pread(handle, 1000, 0))
        if known is None or known["generation"] < number:
            _write(handle, number)


def accept(store: Store, config: Config) -> None:
    """Take this database for the one that counts, from now on."""
    with store.write():
        known = _read(path(config))
        number = max(generation(store), known["generation"] if known else 0) + 1
        store.meta.set(GENERATION, str(number))
    with _held(path(config)) as handle:
        _write(handle, number)


@contextmanager
def _held(file: Path) -> Iterator[int]:
    """Open *file* alone; in place, for its inode is what tells it from a copy."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}") from error


def _write(handle: int, number: int) -> None:
    told = {
        GENERATION: number,
        "machine": _machine(),
        "inode": os.fstat(handle).st_ino,
    }
    # Padded: a shorter line over a longer one would leave its tail.
    os.pwrite(handle, (json.dumps(told).ljust(199) + "\n").encode(), 0)
    os.fsync(handle)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        return _parse(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
        return {
            GENERATION: int(told[GENERATION]),
            "machine": str(told["machine"]),
            "inode": int(told["inode"]),
        }
    except (ValueError, KeyError, TypeError):
        return None  # empty or torn: as good as missing


def _machine() -> str:
    """Return what names this machine, or "" where nothing does (most containers)."""
    try:
        name = _MACHINE.read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(name).hexdigest()[:16] if name else ""

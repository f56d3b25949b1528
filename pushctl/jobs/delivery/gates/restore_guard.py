"""
The restore guard: a database that was restored or copied sends nothing by itself.

A backup lacks the messages sent after it was made, and would send them twice. So each
claimed batch counts ``generation`` up, first in the database, then in a file beside it. A
count behind the file's means a restored database; a file that is missing, was copied
(another inode) or names another machine means a copy. A database that `pushctl restore` wrote
says so itself, even one that had sent nothing. `pushctl release` lifts the refusal.

What is copied over a project in place (`cp -a backup/. project/`) keeps the file's inode and
brings an old count with the old database. So a second, empty file has the last count in its
name: nobody who copies files over others takes that one away.

The file is made before the first count is committed: a kill at any point leaves a database
that is even with its file or one ahead, and that goes on by itself.

Not detected: a whole machine set back to a snapshot.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pushctl import durable
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.store import Store

GENERATION = "generation"
# When the backup was made that `pushctl restore` took this database from, in milliseconds.
RESTORED = "restored"
_MACHINE = Path("/etc/machine-id")


def make_path(config: Config) -> Path:
    return config.database.with_name(f"{config.database.name}.generation")


def find_trouble(store: Store, config: Config) -> str | None:
    """Return why this database must not send; None: it may."""
    if (made_at := store.meta.get(RESTORED)) is not None:
        at = datetime.fromtimestamp(int(made_at) / 1000, UTC)
        return f"the project was restored from the backup of {at:%Y-%m-%d %H:%M} UTC"
    # The file first: another process may count up meanwhile, the database before the file.
    kept = _read(make_path(config))
    sent = _find_sent(make_path(config), kept)
    ours = load_generation(store)
    if ours == 0 and sent == 0:
        return None  # it has never sent anything; a kill may have left the file
    if kept is None:
        return f"{make_path(config)} is missing: the database seems to be a copy"
    if sent > ours:
        behind = sent - ours
        return (
            f"the database is older than what was sent from here ({behind:,} batches): "
            "it seems to be restored from a backup"
        )
    if kept["machine"] != _hash_machine_id():
        return "the project was copied or moved to another machine"
    if kept["inode"] != make_path(config).stat().st_ino:
        return "the project was copied, or brought back from a backup"
    return None


def count_lost(store: Store, config: Config) -> int | None:
    """
    Return how many batches were claimed here since this database was backed up.

    None: it is not known, for the file that counts them is missing, copied or restored, too.
    """
    kept = _read(make_path(config))
    if kept is None or kept["machine"] != _hash_machine_id():
        return None
    if kept["inode"] != make_path(config).stat().st_ino:
        return None
    return max(_find_sent(make_path(config), kept) - load_generation(store), 0)


def check(store: Store, config: Config) -> None:
    """Raise ConfigError where this database must not send before `pushctl release`."""
    if why := find_trouble(store, config):
        raise ConfigError(
            f"{why}. Nothing is sent, for nobody must get a message twice. If that is so: "
            "pushctl release. If you only moved the project: pushctl release --moved."
        )


def load_generation(store: Store) -> int:
    return int(store.meta.get(GENERATION) or 0)


def count_up(store: Store, config: Config) -> int:
    """Begin a generation inside the caller's transaction; return its number."""
    number = load_generation(store) + 1
    if number == 1:
        write_generation(config, 0)
    store.meta.set(GENERATION, str(number))
    return number


def write_generation(config: Config, number: int) -> None:
    """
    Write *number* to the file, durably, before a letter of it goes out.

    Call it once the transaction of ``count_up`` is committed.
    """
    with _lock(make_path(config)) as handle:
        kept = _parse(os.pread(handle, 1000, 0))
        # 0: nothing was sent from here yet. So the file may be a copied one, to be made ours.
        if kept is None or kept[GENERATION] < number or kept[GENERATION] == 0:
            _write(handle, number)
            _note(make_path(config), kept[GENERATION] if kept else 0, number)


def accept(store: Store, config: Config) -> None:
    """Let this database send from now on, with a generation above all earlier ones."""
    with store.write():
        kept = _read(make_path(config))
        number = max(load_generation(store), _find_sent(make_path(config), kept)) + 1
        store.meta.set(GENERATION, str(number))
        store.meta.remove(RESTORED)
    with _lock(make_path(config)) as handle:
        _write(handle, number)
        _note(make_path(config), 0, number)


def carry_over(former: Path, file: Path) -> bool:
    """
    Let *file* say what the *former* one does of what was sent; return whether it can.

    It can't where that one was copied, or comes from another machine.
    """
    kept = _read(former)
    if kept is None or kept["machine"] != _hash_machine_id():
        return False
    if kept["inode"] != former.stat().st_ino:
        return False
    with _lock(file) as handle:
        _write(handle, _find_sent(former, kept))
    return True


def _find_sent(file: Path, kept: dict[str, Any] | None) -> int:
    """Return the last count of what was sent from here, by *file* and the name beside it."""
    return 0 if kept is None else max(kept[GENERATION], *_list_names(file), 0)


def _list_names(file: Path) -> list[int]:
    """Return the counts in the names of the empty files beside *file*."""
    start = f"{file.name}-"
    with os.scandir(file.parent) as found:
        ends = [one.name.removeprefix(start) for one in found if one.name.startswith(start)]
    return [int(end) for end in ends if end.isascii() and end.isdecimal()]


def _note(file: Path, before: int, number: int) -> None:
    """
    Have the count *number* in the name of a file that had *before* in it; the lock is held.

    0 for *before*: whatever stands there is of another database, or released. It is not
    synced: after a power loss, or a kill, an older name says less, and nothing wrong.
    """
    new = file.with_name(f"{file.name}-{number}")
    with suppress(FileNotFoundError):
        file.with_name(f"{file.name}-{before}").rename(new)
        return
    for each in _list_names(file):
        if each < number or not before:
            file.with_name(f"{file.name}-{each}").unlink(missing_ok=True)
    if number:
        new.touch(mode=0o600)


@contextmanager
def _lock(file: Path) -> Iterator[int]:
    """Open and lock *file*; it is written in place, as a copy differs in its inode."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not file.exists()
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if new:  # its name, too, has to survive a power loss
                durable.sync_folder(file.parent)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}") from error


def _write(handle: int, number: int) -> None:
    state = {
        GENERATION: number,
        "machine": _hash_machine_id(),
        "inode": os.fstat(handle).st_ino,
    }
    # Padded: a shorter line over a longer one would leave its tail.
    os.pwrite(handle, (json.dumps(state).ljust(199) + "\n").encode(), 0)
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
        kept = json.loads(text)
        return {
            GENERATION: int(kept[GENERATION]),
            "machine": str(kept["machine"]),
            "inode": int(kept["inode"]),
        }
    except (ValueError, KeyError, TypeError):
        return None  # empty or torn: as good as missing


def _hash_machine_id() -> str:
    """Return a hash of the machine id; "" where there is none, as in most containers."""
    try:
        name = _MACHINE.read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(name).hexdigest()[:16] if name else ""

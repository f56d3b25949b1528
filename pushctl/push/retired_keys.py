"""
keys/retired/: the private halves of keys that nobody has any more, until they are removed.

A key signs from either folder, so a move may be cut short anywhere: the register is written
first, the files follow, and ``settle`` ends what a kill has left. Each file is in one of both
folders at any time.
"""

import contextlib
from pathlib import Path

from pushctl import durable
from pushctl.errors import ConfigError
from pushctl.push.key_register import Register, Use

NAME = "retired"
_HALVES = (".pem", ".pub")


def list_halves(folder: Path) -> list[Path]:
    """Return the files of private halves that wait in *folder*'s keys/retired/."""
    retired = folder / NAME
    files = list(retired.iterdir()) if retired.is_dir() else []
    return sorted(one for one in files if one.match("vapid-*.pem"))


def check(folder: Path, name: str) -> None:
    """Raise ConfigError where the files of the key *name* can't be moved."""
    for half in _HALVES:
        file = folder / f"vapid-{name}{half}"
        if file.is_symlink():
            raise ConfigError(
                f"{file} is a link, which a move would break. Put the file itself there."
            )


def put_aside(folder: Path, name: str) -> None:
    """Move the halves of the key *name* into keys/retired/; the caller holds the folder."""
    (folder / NAME).mkdir(mode=0o700, exist_ok=True)
    _move(folder, folder / NAME, name)


def bring_back(folder: Path, name: str) -> None:
    """Move them back into *folder*, those that wait; the caller holds it."""
    _move(folder / NAME, folder, name)


def remove(folder: Path, name: str) -> None:
    """Remove the retired key *name* for good; the caller holds the folder."""
    for half in _HALVES:
        with contextlib.suppress(FileNotFoundError):
            durable.remove(folder / NAME / f"vapid-{name}{half}")


def settle(folder: Path, known: Register) -> None:
    """End moves that a kill has cut short; the caller holds the folder."""
    for name, entry in known.entries.items():
        if entry.use is Use.RETIRED and (folder / f"vapid-{name}.pem").exists():
            put_aside(folder, name)
        elif entry.use in (Use.OWN, Use.EARLIER):
            bring_back(folder, name)


def is_settled(folder: Path, known: Register) -> bool:
    """Return whether all halves are where the register says."""
    waiting = {file.stem.removeprefix("vapid-") for file in list_halves(folder)}
    return not any(
        (entry.use is Use.RETIRED and (folder / f"vapid-{name}.pem").exists())
        or (entry.use in (Use.OWN, Use.EARLIER) and name in waiting)
        for name, entry in known.entries.items()
    )


def _move(source: Path, target: Path, name: str) -> None:
    for half in _HALVES:
        file = source / f"vapid-{name}{half}"
        if file.exists():
            durable.move(file, target / file.name)

"""
The register of VAPID keys, keys/keys.toml: since when each is there, and for whom.

One key is ``own``: new subscribers get it. The others are ``earlier``: who came with them
is still reached. A ``retired`` one had nobody left; its private half waits in keys/retired/
until it is removed. A ``lost`` one was given up: its private half is nowhere. Times of files
say nothing once the register is there, because a copy, a restore and ``touch`` change them.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pushctl import durable, lock
from pushctl.errors import BusyError, ConfigError
from pushctl.model import Millis
from pushctl.rules import units

NAME = "keys.toml"
_LOCK = "keys.lock"
ID = re.compile(r"[A-Za-z0-9_-]{8}", re.ASCII)
_HEAD = """\
# The VAPID keys of this folder. "own": new subscribers get it; only one has it. "earlier":
# who came with it is still reached. "retired": nobody had it any more. "lost": its private
# half is gone. Change it with `pushctl keys new`, `use`, `retire` and `lost`.
# No secret stands here; copy this file along with the vapid-* files.
"""


class Use(StrEnum):
    OWN = "own"
    EARLIER = "earlier"
    RETIRED = "retired"
    LOST = "lost"


ENDED = (Use.RETIRED, Use.LOST)


@dataclass(frozen=True)
class Entry:
    created: Millis
    use: Use
    ended: Millis | None = None  # since when it is retired or lost


@dataclass(frozen=True)
class Register:
    entries: Mapping[str, Entry] = field(default_factory=dict)  # by key id, the oldest first

    @property
    def own(self) -> str | None:
        return next((name for name, one in self.entries.items() if one.use is Use.OWN), None)

    def is_retired(self, name: str) -> bool:
        return name in self.entries and self.entries[name].use is Use.RETIRED

    def list_ended(self) -> frozenset[str]:
        """Return the ids of keys that are retired or lost."""
        return frozenset(name for name, one in self.entries.items() if one.use in ENDED)

    def list_newest(self) -> list[str]:
        """Return the key ids: the own one, the others, newest first, then ended ones."""

        # Of two that came in one millisecond the later entry is the newer.
        places = {name: place for place, name in enumerate(self.entries)}

        def rank(name: str) -> tuple[bool, bool, Millis, int]:
            entry = self.entries[name]
            return entry.use is Use.OWN, entry.use not in ENDED, entry.created, places[name]

        return sorted(self.entries, key=rank, reverse=True)


def load(folder: Path, times: Mapping[str, Millis]) -> Register:
    """
    Return the register of *folder*, with the keys of its files; *times* are theirs, by id.

    A folder without a register has the newest file as its own key: what builds did that
    knew none. A file that the register does not know is an earlier key. Nothing is
    written. Raises ConfigError for a register that can't be read.
    """
    entries = _read(folder / NAME)
    if entries is None:
        newest = max(times, key=lambda name: (times[name], name), default=None)
        entries = {
            name: Entry(times[name], Use.OWN if name == newest else Use.EARLIER)
            for name in sorted(times, key=lambda name: (times[name], name))
        }
    unknown = {
        name: Entry(at, Use.EARLIER) for name, at in times.items() if name not in entries
    }
    return Register({**entries, **unknown})


def settle(folder: Path, times: Mapping[str, Millis]) -> Register:
    """Return what ``load`` does, and write it down where that can be done."""
    found = load(folder, times)
    if found.entries and found.entries != _read(folder / NAME):
        try:
            with hold(folder):
                found = load(folder, times)
                _write(folder, found)
        except (OSError, BusyError):
            pass  # a receiver may have no right to; the next one writes it
    return found


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the lock of *folder*'s keys, for ``begin`` and ``enter``; raises BusyError."""
    with lock.hold(folder / _LOCK, keep=False):
        yield


def begin(folder: Path, times: Mapping[str, Millis]) -> None:
    """
    Write the register of a folder that has none, before a key comes; the caller holds it.

    Else that key's file would be the newest, and the own key by that alone.
    """
    if _read(folder / NAME) is None:
        _write(folder, load(folder, times))


def enter(folder: Path, name: str, use: Use, now: Millis, times: Mapping[str, Millis]) -> None:
    """
    Enter the key *name* for *use*; the caller holds the folder.

    One that is known keeps its time, and its use unless that has ended. A new own key makes
    the former one an earlier key.
    """
    entries = dict(load(folder, times).entries)
    known = entries.get(name)
    if use is Use.OWN:
        entries = {
            one: Entry(it.created, Use.EARLIER) if it.use is Use.OWN else it
            for one, it in entries.items()
        }
    if known is None or use is Use.OWN or known.use in ENDED:
        entries[name] = Entry(now if known is None else known.created, use)
    _write(folder, Register(entries))


def end(folder: Path, name: str, use: Use, now: Millis, times: Mapping[str, Millis]) -> None:
    """
    Note that the key *name* is retired or lost; the caller holds the folder.

    One that is so already keeps the time. Raises ConfigError for the own key.
    """
    entries = dict(load(folder, times).entries)
    known = entries.get(name)
    if known is not None and known.use is Use.OWN:
        raise ConfigError(
            f"{name} is the key of new subscribers ({folder / NAME}). Give them another one "
            "first: `pushctl keys new`, or `pushctl keys use ID`."
        )
    if known is None or known.use is not use:
        entries[name] = Entry(now if known is None else known.created, use, now)
        _write(folder, Register(entries))


def _write(folder: Path, register: Register) -> None:
    blocks = [_HEAD]
    for name, entry in register.entries.items():
        created = _write_time(entry.created)
        blocks.append(f'\n[{name}]\ncreated = {created}\nuse = "{entry.use}"\n')
        if entry.ended is not None:
            blocks.append(f"ended = {_write_time(entry.ended)}\n")
    durable.replace(folder / NAME, "".join(blocks).encode(), 0o644)


def _write_time(at: Millis) -> str:
    text = datetime.fromtimestamp(at / units.SECOND, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _read(file: Path) -> dict[str, Entry] | None:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _fault(file, f"is no TOML: {error}") from error
    entries = {name: _read_entry(file, name, about) for name, about in found.items()}
    own = [name for name, entry in entries.items() if entry.use is Use.OWN]
    if len(own) > 1:
        raise _fault(file, f'has the keys {" and ".join(own)} as "own", and only one can be it')
    return entries


def _read_entry(file: Path, name: str, about: object) -> Entry:
    if not ID.fullmatch(name) or not isinstance(about, dict):
        raise _fault(file, f"has {name[:40]!r}, which is no table of a key")
    use, created, ended = about.get("use"), about.get("created"), about.get("ended")
    if use not in tuple(Use):
        raise _fault(file, f'has no use = "own" or "earlier" for {name}')
    if not isinstance(created, datetime):
        raise _fault(file, f"has no created = 2026-04-28T08:00:00Z for {name}")
    if use not in ENDED:
        return Entry(_read_time(created), Use(use))
    if not isinstance(ended, datetime):
        raise _fault(file, f"has no ended = 2026-04-28T08:00:00Z for {name}")
    return Entry(_read_time(created), Use(use), _read_time(ended))


def _read_time(at: datetime) -> Millis:
    return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * units.SECOND)


def _fault(file: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{file} {what}. Mend it or bring it back from a backup. Without it the newest file "
        "would become the key of new subscribers."
    )

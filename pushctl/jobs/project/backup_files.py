"""
Which files a backup has, and under which names.

The names are those of a project of its own: what pushctl.toml keeps in another place comes
into the folder, and the copy of pushctl.toml names it there. So nothing that is restored
leads back to the files of the project that still runs.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushctl import config as configs
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.inbox import QUARANTINE, list_segments
from pushctl.jobs.ingest import erasures, revocations
from pushctl.store import Store

# Settings that name a file or folder of the project, and where it goes if it is elsewhere.
PLACES = {
    ("database",): "pushctl.db",
    ("inbox",): "inbox",
    ("templates",): "templates",
    ("keys",): "keys",
    ("journal",): "journal",
    ("approval", "folder"): "approvals",
    ("figures", "rates"): "rates.csv",
}
# Of no use elsewhere, or not whole.
_LEFT_OUT = (".lock", ".new", ".swp", "~")


@dataclass(frozen=True)
class Plan:
    """A backup's files, by the names that they get."""

    settings: bytes  # pushctl.toml
    places: dict[tuple[str, ...], str]

    @property
    def database(self) -> str:
        return self.places["database",]

    @property
    def inbox(self) -> str:
        return self.places["inbox",]


def find_place(config: Config, setting: tuple[str, ...]) -> Path | None:
    """Return the path that a setting of ``PLACES`` has."""
    found: Any = config
    for name in setting:
        found = getattr(found, name, None)
    return found if isinstance(found, Path) else None


def plan(config: Config) -> Plan:
    """Return where each part of the project goes in a backup."""
    text = config.file.read_text("utf-8-sig")
    plain, _ = configs.read(config.file, {})
    places, moved = {}, {}
    for setting, usual in PLACES.items():
        if (path := find_place(config, setting)) is None:
            continue
        inside = Path(os.path.normpath(path))
        if inside.is_relative_to(config.folder) and inside != config.folder:
            places[setting] = inside.relative_to(config.folder).as_posix()
        else:
            places[setting] = usual
        # What pushctl.toml itself says: a variable may have said something else.
        written = find_place(plain, setting) if plain else None
        if (
            written is None
            or Path(os.path.normpath(written)) != config.folder / places[setting]
        ):
            moved[setting] = places[setting]
    return Plan(_rewrite(text, moved).encode(), places)


def _rewrite(text: str, moved: dict[tuple[str, ...], str]) -> str:
    """Return pushctl.toml with these settings changed, its comments kept."""
    if not moved:
        return text
    import tomlkit

    document: Any = tomlkit.parse(text)
    for names, value in moved.items():
        table = document
        for name in names[:-1]:
            table = table.setdefault(name, tomlkit.table())
        table[names[-1]] = value
    return tomlkit.dumps(document)


def list_inbox(config: Config, made: Plan) -> Iterator[tuple[str, Path]]:
    """
    Yield name and path of each segment, oldest first.

    They have to be read before the database is: what a drain removes meanwhile, the database
    knows.
    """
    for name in list_segments(config.inbox):
        yield f"{made.inbox}/{name}", config.inbox / name


def list_others(store: Store, config: Config, made: Plan) -> Iterator[tuple[str, Path]]:
    """
    Yield name and path of what is read after the database.

    A key that its subscribers need, and an erasure that it has carried out, are then there.
    """
    for path in (erasures.find_path(config), revocations.find_path(store)):
        if path.exists():
            suffix = path.name.removeprefix(config.database.name)
            yield f"{made.database}{suffix}", path
    yield from _walk(config.keys, made.places["keys",])
    yield from _walk(config.templates, made.places["templates",])
    yield from _walk(config.inbox / QUARANTINE, f"{made.inbox}/{QUARANTINE}")
    for name in ("campaigns", "sw"):
        yield from _walk(config.folder / name, name)
    if config.approval is not None:
        yield from _walk(config.approval.folder, made.places["approval", "folder"])
    if config.figures.rates.is_file():
        yield made.places["figures", "rates"], config.figures.rates
    yield from _list_named(config)


def _list_named(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield files in the project's folder that settings name: programs, certificates."""
    programs = [step.exec[:1] for it in config.triggers.values() for step in it.steps]
    programs += [it.exec[:1] for it in config.alerts]
    paths = [config.folder / name for found in programs for name in found]
    paths += [it for it in (config.receiver.certificate, config.receiver.certificate_key) if it]
    paths.append(config.folder / ".gitignore")
    for path in paths:
        inside = Path(os.path.normpath(path))
        if inside.is_relative_to(config.folder) and inside.is_file():
            yield inside.relative_to(config.folder).as_posix(), inside


def _walk(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield all files below *folder*, those behind links, too; each folder once."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        below = Path(place).relative_to(folder)
        for file in sorted(files):
            path = Path(place, file)
            if not file.endswith(_LEFT_OUT) and path.is_file():
                yield (Path(name) / below / file).as_posix(), path


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise ConfigError(f"{error.filename} can't be read: {error.strerror}") from error

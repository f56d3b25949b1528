"""
What the former folder of a project knows, and a backup of it can't.

Who was erased and what was revoked since; requests that were acknowledged, but not imported;
keys that were made; how much was sent. Nothing in it is changed, and much may be missing.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pushctl import apikeys, durable, inbox, lock
from pushctl import config as configs
from pushctl.config import Config
from pushctl.errors import BusyError, ConfigError, InputError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import kept_lines
from pushctl.jobs.project import backup_files
from pushctl.rules.wording import counted

_BESIDE = {
    ".forgotten": "who was erased since",
    ".revoked": "which consents were revoked since",
}


def refuse_busy(former: Path) -> None:
    """Raise BusyError while something works in the *former* folder, InputError without one."""
    if not former.is_dir():
        raise InputError(f"{former} is no folder. Name the project's former one.")
    database = _find_places(former, {})["database",]
    for name in (".sweep", ".watch"):
        if lock.is_held(database.with_name(f"{database.name}{name}")):
            raise BusyError(
                f"a sweep is at work in {former}. Stop it and all else there first: two "
                "projects must not send to the same people."
            )


def take(former: Path, config: Config) -> list[str]:
    """Bring over what is newer in the *former* folder; return what it was, for people."""
    usual = {
        setting: path.relative_to(config.folder)
        for setting in backup_files.PLACES
        if (path := backup_files.find_place(config, setting)) is not None
    }
    places = _find_places(former, usual)
    database, taken = places["database",], []
    for suffix, what in _BESIDE.items():
        if _merge(database.with_name(database.name + suffix), config, suffix):
            taken.append(what)
    if count := _take_segments(places["inbox",], config):
        taken.append(counted(count, "file of the inbox", "files of the inbox"))
    if count := _take_keys(places["keys",], config):
        taken.append(counted(count, "key file"))
    counter = restore_guard.make_path(config)
    if restore_guard.carry_over(database.with_name(counter.name), counter):
        taken.append("how much was sent since")
    return taken


def _find_places(
    former: Path, usual: Mapping[tuple[str, ...], Path]
) -> dict[tuple[str, ...], Path]:
    """Return where the former project has its parts; its settings may be damaged."""
    found = None
    with suppress(ConfigError):
        found, _ = configs.read(former / configs.FILE, {})
    places = {
        setting: former / usual.get(setting, Path(name))
        for setting, name in backup_files.PLACES.items()
    }
    if found is not None:
        for setting in places:
            if (path := backup_files.find_place(found, setting)) is not None:
                places[setting] = path
    return places


def _merge(file: Path, config: Config, suffix: str) -> bool:
    """Add the lines of the former *file* to ours; return whether there were new ones."""
    try:
        theirs = kept_lines.read(file)
    except OSError:
        return False
    if not theirs:
        return False
    ours_file = config.database.with_name(config.database.name + suffix)
    ours = ours_file.read_bytes() if ours_file.exists() else b""
    if ours == theirs:
        return False
    # Lines are only ever added; where theirs is no longer version of ours, both hold. It
    # must be longer than what the database has carried out, so that all of it is carried out.
    merged = theirs if theirs.startswith(ours) else ours + b"\n" + theirs
    durable.replace(ours_file, merged, 0o600)
    return True


def _take_segments(folder: Path, config: Config) -> int:
    """Take what receivers wrote since; the cursors in the database say what was applied."""
    count = 0
    for name in inbox.list_segments(folder) if folder.is_dir() else []:
        ours = config.inbox / name
        theirs = (folder / name).read_bytes()
        if not ours.exists() or ours.stat().st_size <= len(theirs):
            count += not ours.exists() or ours.read_bytes() != theirs
            durable.replace(ours, theirs, 0o600)
    return count


def _take_keys(folder: Path, config: Config) -> int:
    """Take the keys that were made since; which API keys are valid, the former file says."""
    count = 0
    for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
        ours = config.keys / file.relative_to(folder)
        if not file.is_file() or file.name.endswith((".lock", ".new")):
            continue
        newer = file.name == apikeys.NAME and _can_be_read(folder)
        if not ours.exists() or (newer and ours.read_bytes() != file.read_bytes()):
            ours.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.replace(ours, file.read_bytes(), file.stat().st_mode & 0o644 | 0o600)
            count += 1
    return count


def _can_be_read(folder: Path) -> bool:
    try:
        apikeys.load(folder)
    except ConfigError:
        return False
    return True

"""
The shortest way through: `pushctl sweep` on a minute in which there is nothing to do.

Cron asks every minute, all year. What is loaded here is the standard library and what
answers the question; anything but a plain "nothing to do" goes the long way.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_OURS = "PUSHCTL_"


def answered(arguments: Sequence[str]) -> bool:
    """Say whether *arguments* ask for a sweep and there is nothing for it to do."""
    folder = _asked(arguments)
    if folder is None or any(
        name.startswith(_OURS) and name != "PUSHCTL_PROJECT" for name in os.environ
    ):
        return False
    file = _find(folder)
    return file is not None and _idle(file)


def _asked(arguments: Sequence[str]) -> Path | None:
    """Return the folder of a plain ``[--project FOLDER] sweep``, else None."""
    match list(arguments):
        case ["sweep"]:
            return Path(os.environ.get("PUSHCTL_PROJECT", "."))
        case ["--project", folder, "sweep"]:
            return Path(folder)
    return None


def _find(folder: Path) -> Path | None:
    start = folder.absolute()
    for each in (start, *start.parents):
        if (each / "pushctl.toml").is_file():
            return each / "pushctl.toml"
    return None


def _idle(file: Path) -> bool:
    import time
    import tomllib

    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        database = file.parent / table.get("database", "pushctl.db")
        inbox = file.parent / table.get("inbox", "inbox")
        ping_url = table.get("sweep", {}).get("ping_url")
    except (OSError, ValueError, TypeError, AttributeError):
        return False  # whatever is wrong, the long way says it better
    now = time.time_ns() // 1_000_000
    if not _nothing_to_do(database, inbox, file, now):
        return False
    if ping_url:
        from pushctl.jobs import ping

        ping.send(str(ping_url), good=True)
    return True


def _nothing_to_do(database: Path, inbox: Path, file: Path, now: int) -> bool:
    from pushctl.store import KNOWN_MIGRATIONS
    from pushctl.store.idle import in_step, nothing_to_do, stamp

    lock = database.with_name(f"{database.name}.sweep")
    # A clock that leapt is worth a word, which the long way has.
    if not in_step(lock, now):
        return False
    if not nothing_to_do(database, inbox, file, KNOWN_MIGRATIONS, now):
        return False
    stamp(lock, now)
    return True


def main() -> None:
    """Answer the shortest way, or let the whole program do it."""
    if answered(sys.argv[1:]):
        return
    from pushctl.cli import main as program

    program()

"""
What pushctl.toml says, before anybody has checked it.

Reading and checking all of it takes as long as a short command. A sweep has done that for
the file as it is, and noted so in the database: what needs the database alone goes by that.
"""

import os
import re
from pathlib import Path
from typing import Any

_PREFIX = "PUSHCTL_"
# A line that may set the database's name or the log's file. Where there is none, both are the
# usual ones, and the file needs no parsing.
_SETTING = re.compile(
    rb"""^[^\w#\n]*(database|file|log[ \t"']*[.=])|^[ \t]*"[^\n]*\\""", re.MULTILINE
)


def is_set_up(*harmless: str) -> bool:
    """Return whether a variable sets more than the project's folder, and than *harmless*."""
    plain = ("PUSHCTL_PROJECT", *harmless)
    return any(name.startswith(_PREFIX) and name not in plain for name in os.environ)


def find(folder: Path) -> Path | None:
    """Return the pushctl.toml of *folder* or of the nearest one above it."""
    start = folder.absolute()
    for each in (start, *start.parents):
        file = each / "pushctl.toml"
        # As config.find: a file of another user in a parent folder is ignored.
        if file.is_file() and (each == start or file.stat().st_uid in (os.getuid(), 0)):
            return file
    return None


def find_database(project: Path) -> tuple[Path, bytes] | None:
    """
    Return the database that a *project*'s pushctl.toml names, and that file's content.

    None: all of it has to be read, for its problems or its log.
    """
    if is_set_up("PUSHCTL_NOW", "PUSHCTL_PLAIN") or project.is_file():
        return None
    try:
        file = find(project)
        if file is None:
            return None
        content = file.read_bytes()
        table = _read(content) if _SETTING.search(content) else {}
        if table.get("log", {}).get("file") is not None:
            return None
        return file.parent / table.get("database", "pushctl.db"), content
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _read(content: bytes) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(content.decode("utf-8-sig"))

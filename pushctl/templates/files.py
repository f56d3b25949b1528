"""The folder of templates on disk: their names, and the sources of one."""

import re
from pathlib import Path

from pushctl.errors import NotFoundError, Problem, TemplateError
from pushctl.rules.limits import MAX_TEMPLATE_FILE_BYTES, MAX_TEMPLATE_FILES

_NAME = re.compile(r"\w[\w-]{0,99}")


def list_names(folder: Path) -> list[str]:
    """Return the names of all templates below *folder*, sorted."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if _NAME.fullmatch(entry.name) and entry.is_dir() and any(entry.glob("*.toml"))
    )


def read(folder: Path, name: str) -> dict[str, str]:
    """
    Return the sources of template *name*: relative file -> text.

    Raises NotFoundError when there is none, TemplateError when a file can't be read.
    """
    home = folder / name
    if not _NAME.fullmatch(name) or not home.is_dir():
        raise NotFoundError(_describe_unknown(folder, name))
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    files = sorted([*home.glob("*.toml"), *home.glob("*/*.toml")])
    for path in files[:MAX_TEMPLATE_FILES]:
        relative = path.relative_to(home).as_posix()
        if any(part.startswith(".") for part in relative.split("/")) or not path.is_file():
            continue
        try:
            sources[relative] = _read_text(path)
        except (OSError, ValueError) as error:
            place = f"templates/{name}/{relative}"
            problems.append(Problem(place, f"can't be read: {error}", "Save it as UTF-8 text."))
    if problems:
        raise TemplateError(f"template {name!r} can't be read", problems)
    if not sources:
        raise NotFoundError(_describe_unknown(folder, name))
    return sources


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    if len(raw) > MAX_TEMPLATE_FILE_BYTES:
        raise ValueError(f"{len(raw):,} bytes, more than {MAX_TEMPLATE_FILE_BYTES:,}")
    return raw.decode("utf-8-sig").replace("\r\n", "\n")


def _describe_unknown(folder: Path, name: str) -> str:
    known = ", ".join(list_names(folder)) or "none yet"
    return (
        f"there is no template {name!r} in {folder}. Write one, or choose another with "
        f"--template. Known templates: {known}."
    )

"""The folder of templates on disk: their names, and the sources of one."""

import re
from pathlib import Path

from pushctl.errors import NotFoundError, Problem, TemplateError, describe_unread
from pushctl.rules import wording
from pushctl.rules.limits import MAX_TEMPLATE_FILE_BYTES, MAX_TEMPLATE_FILES
from pushctl.templates import phrases

_NAME = re.compile(r"\w[\w-]{0,99}")


def is_name(name: str) -> bool:
    """Return whether a template may be called *name*."""
    return _NAME.fullmatch(name) is not None


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

    The shared phrases that it uses are among them, as ``phrases.toml``.

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
            unread = describe_unread(error, "Save it as UTF-8 text.")
            problems.append(Problem(place, *unread))
    if phrases.NAME in sources:
        place = f"templates/{name}/{phrases.NAME}"
        remedy = f"Move it to templates/{phrases.NAME}: all templates share it."
        problems.append(Problem(place, "phrases stand in no template's folder", remedy))
    shared, wrong = phrases.read(folder, sources.values())
    problems += wrong
    if problems:
        raise TemplateError(f"template {name!r} can't be read", problems)
    if not sources:
        raise NotFoundError(_describe_unknown(folder, name))
    return sources | phrases.pack(shared)


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    if len(raw) > MAX_TEMPLATE_FILE_BYTES:
        raise ValueError(f"{len(raw):,} bytes, more than {MAX_TEMPLATE_FILE_BYTES:,}")
    return raw.decode("utf-8-sig").replace("\r\n", "\n")


def _describe_unknown(folder: Path, name: str) -> str:
    known = list_names(folder)
    hint = wording.ask_nearest(name, known) or (
        f"Known templates: {', '.join(known) or 'none yet'}."
    )
    return (
        f"there is no template {name!r} in {folder}. {hint} `pushctl templates new` makes one."
    )

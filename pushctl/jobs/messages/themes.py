"""
The templates that come with pushctl, as themes for new ones.

A theme is copied in the languages that somebody writes. Where it has no text in one, the
English one is put there to be translated, if that is wished.
"""

import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pushctl import shipped, templates
from pushctl.config import Config
from pushctl.errors import NotFoundError, UsageError
from pushctl.rules.messages import languages
from pushctl.templates import Template, phrases, translations

MAIN = "en"  # every theme has it

_COMMENTS = re.compile(r"(?:#.*\n)*")


@dataclass(frozen=True, slots=True)
class Theme:
    name: str
    purpose: str  # one sentence or two
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A new template: its folder, and which languages it has, still needs, and lacks."""

    folder: Path
    languages: tuple[str, ...]
    copied: tuple[str, ...]  # English texts, to be translated
    missing: tuple[str, ...]


def list_themes() -> Iterator[Theme]:
    folder = shipped.find("templates")
    for name in templates.list_names(folder):
        sources = templates.read(folder, name)
        comments = _COMMENTS.match(sources["message.toml"])
        lines = comments[0].splitlines() if comments else []
        yield Theme(
            name, " ".join(line.removeprefix("#").strip() for line in lines), _list_own(sources)
        )


def create(config: Config, name: str, theme: str, wanted: Sequence[str] | None) -> Made:
    """
    Make the template *name* of *theme* in the *wanted* languages, or the sites'.

    Raises UsageError for a name that can't be used or is taken, or an unknown language,
    NotFoundError for an unknown theme.
    """
    target = _find_place(config, name)
    source = shipped.find("templates")
    known = templates.list_names(source)
    if theme not in known:
        close = get_close_matches(theme, known, 1)
        meant = f"Did you mean {close[0]!r}? " if close else ""
        raise NotFoundError(
            f"there is no theme {theme!r}. {meant}`pushctl templates themes` lists all."
        )
    sites = config.sites.values()
    tags = wanted or list(dict.fromkeys(it for site in sites for it in site.written_languages))
    for tag in tags:
        if languages.canonical(tag) != tag:
            raise UsageError(f"{tag!r} is no language as browsers write it: en, pt-BR")
    needed = {site.language for site in sites} | set(wanted or ())
    with _made_whole(target) as young:
        copied = copy_theme(theme, young, tags, needed)
    found = _list_own(templates.read(config.templates, name))
    lacking = tuple(tag for tag in tags if tag not in found)
    return Made(target, found, copied, lacking)


def copy_theme(
    theme: str, target: Path, wanted: Sequence[str], needed: Collection[str]
) -> tuple[str, ...]:
    """
    Copy a theme's texts in the *wanted* languages into the folder *target*.

    Return those of *needed* in which it has none: there the English text was copied.
    """
    sources = templates.read(shipped.find("templates"), theme)
    there = _list_own(sources)
    lacking = []
    for tag in wanted:
        nearest = next((it for it in languages.list_own(tag) if it in there), None)
        for file, text in sources.items():
            if nearest and _find_tag(file) == nearest:
                _write(target / file.replace(f"{nearest}.", f"{tag}.", 1), text)
        if nearest is None and tag in needed:
            lacking.append(tag)
            # Only here: to parse and compile all shipped themes takes a second.
            english = Template.from_sources(theme, sources).choose(MAIN, (), MAIN)
            note = f"# Still English: write it in {tag!r}.\nreviewed = false\n"
            of = f'of = "{translations.describe_source(english)}"\n'
            _write(target / f"{tag}.toml", note + of + sources[f"{MAIN}.toml"])
            if english.thanks:  # they translate nothing: see templates.md
                _write(target / f"{tag}.bought.toml", note + sources[english.thanks.file])
    _write(target / "message.toml", sources["message.toml"])
    return tuple(lacking)


def copy_template(config: Config, source: str, name: str) -> Path:
    """Copy a template with all its languages, variants and segments; return the new folder."""
    target = _find_place(config, name)
    files = templates.read(config.templates, source)
    with _made_whole(target) as young:
        for file, text in files.items():
            if file != phrases.NAME:  # shared by all templates
                _write(young / file, text)
    return target


def _find_place(config: Config, name: str) -> Path:
    if not templates.is_name(name):
        raise UsageError(
            f"{name[:100]!r} can't be the name of a template: use letters, digits, _ and -"
        )
    target = config.templates / name
    if target.exists():
        raise UsageError(f"{target} exists already, and is never overwritten")
    return target


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """Give a folder beside *target* that gets its name once all files are in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    young = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    young.mkdir()
    try:
        yield young
        os.rename(young, target)  # noqa: PTH104 - Path.rename would replace an empty folder
    finally:
        shutil.rmtree(young, ignore_errors=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def _list_own(sources: Mapping[str, str]) -> tuple[str, ...]:
    """Return the languages of a template's general texts."""
    return tuple(
        sorted(
            {_find_tag(file) for file in sources if "/" not in file} - {"message", "phrases"}
        )
    )


def _find_tag(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0]

"""
Which language's text a translation was made of, and whether that text has changed since.

A language's file may say ``of = "en 3f2a9c01"``: it translates the English text whose words
have this hash. The words count, not the time of a file: git gives every file a new time.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from pushctl.templates.parts import Thanks

OF = re.compile(r"(?P<language>[A-Za-z0-9-]+) (?P<words>[0-9a-f]{8})")


class Written(Protocol):
    """One text file, as far as its standing goes: ``templates.Text`` is one."""

    @property
    def file(self) -> str: ...
    @property
    def segment(self) -> str | None: ...
    @property
    def language(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def reviewed(self) -> bool: ...
    @property
    def of(self) -> str | None: ...
    @property
    def words(self) -> str: ...
    @property
    def thanks(self) -> Thanks | None: ...


class Standing(NamedTuple):
    """What is known of a template's texts, by file without ".toml": "tr", "vip/tr", "tr.b"."""

    outdated: tuple[str, ...]  # the text that they translate has changed
    copied: tuple[str, ...]  # word for word the text that they should translate
    unreviewed: tuple[str, ...]  # nobody who speaks the language well has read them


def hash_words(table: Mapping[str, object]) -> str:
    """Return 8 digits of hex that stand for title, body and labels, however they are set."""
    labels = table.get("actions")
    labels = sorted(labels.items()) if isinstance(labels, dict) else []
    words = [table.get("title", ""), table.get("body", ""), labels]
    plain = " ".join(json.dumps(words, ensure_ascii=False).replace("\\n", " ").split())
    return hashlib.sha256(plain.encode()).hexdigest()[:8]


def describe_source(main: Written) -> str:
    """Return what a translation of *main* says in ``of``."""
    return f"{main.language} {main.words}"


def find_standing(texts: Iterable[Written]) -> Standing:
    """Return which of a template's texts need somebody's eye."""
    texts = list(texts)
    by_place = {(it.segment, it.variant, it.language): it for it in texts}
    outdated, copied = [], []
    for text in texts:
        match = OF.fullmatch(text.of or "")
        main = by_place.get((text.segment, text.variant, match["language"])) if match else None
        if match is None or main is None or main is text:
            continue
        if main.words == text.words:
            copied.append(text)
        elif main.words != match["words"]:
            outdated.append(text)
    # Several texts, variants above all, share their thanks.
    thanks = {text.thanks.file: text.thanks for text in texts if text.thanks}
    files: list[Written | Thanks] = [*texts, *thanks.values()]
    unread = [it for it in files if not it.reviewed]
    return Standing(
        tuple(map(cut_name, outdated)),
        tuple(map(cut_name, copied)),
        tuple(map(cut_name, unread)),
    )


def cut_name(text: Written | Thanks) -> str:
    return text.file.removesuffix(".toml")


def write_marks(source: str, of: str | None, reviewed: bool) -> str:
    """Return a file's *source* with ``of``, and without ``reviewed = false`` if *reviewed*."""
    import tomlkit

    document = tomlkit.parse(source)
    if reviewed:
        document.pop("reviewed", None)
    if of is None:
        return tomlkit.dumps(document)
    if "of" in document:
        document["of"] = of
        return tomlkit.dumps(document)
    return f'of = "{of}"\n{tomlkit.dumps(document)}'

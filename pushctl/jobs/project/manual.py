"""The pages of documentation that ship with the program."""

import re
from collections.abc import Iterator
from pathlib import Path

from pushctl import shipped
from pushctl.errors import NotFoundError
from pushctl.model import Json
from pushctl.rules.config.structure import suggest

_INDEX_ROW = re.compile(r"^\| \[([\w-]+)\.md\]\([^)]*\) \| (.*) \|$", re.MULTILINE)


def list_pages() -> list[dict[str, Json]]:
    """Return each page's name and content, in the order of the index."""
    return [{"page": name, "content": content} for name, content in _read_index()]


def read_page(name: str) -> str:
    """Return the text of the page called *name*."""
    known = [name for name, _ in _read_index()]
    plain = name.removesuffix(".md").lower()
    if plain not in known:
        near = suggest(plain, known)
        raise NotFoundError(f"there is no page {name!r}. {near} `pushctl docs` lists them all.")
    return _find_file(plain).read_text("utf-8")


def search(words: str) -> Iterator[dict[str, Json]]:
    """Yield each line that has all of *words*, in any case: page, chapter, line."""
    wanted = words.casefold().split()
    for name, _ in _read_index():
        chapter, fenced = "", False
        for line in _find_file(name).read_text("utf-8").splitlines():
            fenced ^= line.startswith("```")
            if line.startswith("#") and not fenced:
                chapter = line.lstrip("# ")
            text = line.strip("|#` ")
            if wanted and all(word in line.casefold() for word in wanted):
                yield {"page": name, "chapter": chapter, "line": text}


def _read_index() -> list[tuple[str, str]]:
    text = (shipped.find("docs") / "index.md").read_text("utf-8")
    return [*_INDEX_ROW.findall(text), ("changelog", "what has changed, release by release")]


def _find_file(name: str) -> Path:
    folder = shipped.find("docs")
    if name == "changelog" and not (folder / "changelog.md").exists():
        return folder.parent / "CHANGELOG.md"  # in a checkout
    return folder / f"{name}.md"

"""
Words that many templates share: templates/phrases.toml, one table a phrase, one key a language.

A text says ``{{ phrases.free_delivery }}``. A phrase is words alone, without variables. What
a campaign uses of them is part of its frozen sources (``pack``), so later edits don't reach
it.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from pushctl.errors import Problem, describe_unread
from pushctl.rules.limits import MAX_VALUE_CHARACTERS
from pushctl.rules.messages import languages

NAME = "phrases.toml"  # also in a template's sources
ROOT = "phrases"

# Name -> language -> words.
Phrases = Mapping[str, Mapping[str, str]]

_USED = re.compile(rf"""\b{ROOT}\s*(?:\.\s*(\w+)|\[\s*["'](\w+)["']\s*\])""")
_BARE = re.compile(r"[\x00-\x1f\x7f-\x9f]|\{[{%#]")


class Unknown(Exception):
    """There is no such phrase, or it lacks the language."""

    def __init__(self, fault: str, line: int) -> None:
        super().__init__(fault)
        self.line = line


def find_used(sources: Iterable[str]) -> set[str]:
    """Return the names of the phrases that files of a template mention."""
    return {a or b for text in sources for a, b in _USED.findall(text)}


def read(folder: Path, sources: Iterable[str]) -> tuple[Phrases, list[Problem]]:
    """Return the phrases that *sources* use, and every problem of the file in *folder*."""
    used = find_used(sources)
    file = folder / NAME
    if not used or not file.is_file():
        return {}, []
    place = f"templates/{NAME}"
    try:
        text = file.read_text("utf-8-sig")
        table = tomllib.loads(text)
    except RecursionError as error:
        return {}, [Problem(place, f"can't be read: {error}", "Nest less.")]
    except (OSError, ValueError) as error:
        line = re.search(r"at line ([0-9]+)", str(error))
        at = f":{line[1]}" if line else ""
        return {}, [Problem(place + at, *describe_unread(error, "Write it as TOML, UTF-8."))]
    problems = [
        Problem(f"{place}:{_find_line(text, name, key)}", fault, remedy)
        for name, key, fault, remedy in _find_faults(table)
    ]
    return {} if problems else {name: table[name] for name in used & table.keys()}, problems


def _find_faults(table: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (phrase, language, fault, remedy)."""
    for name, words in table.items():
        if not isinstance(words, dict):
            yield name, "", f"{name} is no table", f'Write [{name}] and en = "..." below it.'
            continue
        for tag, text in words.items():
            what = f"{name}.{tag}"
            if languages.canonical(tag) != tag:
                yield name, tag, f"{what} is no language", "Write it like en or pt-BR."
            elif not isinstance(text, str) or not text.strip():
                yield name, tag, f"{what} is no text", "Put words in quotes."
            elif _BARE.search(text):
                fault = f"{what} has a variable or a control character"
                yield name, tag, fault, "Write words alone; variables stand in the texts."
            elif len(text) > MAX_VALUE_CHARACTERS:
                yield name, tag, f"{what} is too long", f"At most {MAX_VALUE_CHARACTERS:,}."


def _find_line(text: str, name: str, key: str) -> int:
    head = re.search(rf"^[ \t]*\[?[ \t]*[\"']?{re.escape(name)}\b", text, re.MULTILINE)
    start = head.start() if head else 0
    found = re.compile(rf"^[ \t]*[\"']?{re.escape(key)}\b", re.MULTILINE).search(text, start)
    return text.count("\n", 0, found.start() if key and found else start) + 1


def pack(phrases: Phrases) -> dict[str, str]:
    """Return *phrases* as a file of a template's sources; none where there are none."""
    # JSON's strings are TOML's, too.
    tables = [
        "\n".join([f"[{name}]", *(f"{tag} = {json.dumps(it[tag])}" for tag in sorted(it))])
        for name, it in sorted(phrases.items())
    ]
    return {NAME: "\n\n".join(tables) + "\n"} if tables else {}


def unpack(sources: Mapping[str, str]) -> Phrases:
    return tomllib.loads(sources.get(NAME, ""))


class Inliner(NodeTransformer):
    """Write the words in the place of ``phrases.name``; raises Unknown."""

    def __init__(self, phrases: Phrases, language: str) -> None:
        self._phrases, self._language = phrases, language

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        return self._inline(node, node.attr)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return self._inline(node, key)

    def _inline(self, node: Any, name: object) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.node, nodes.Name) or node.node.name != ROOT:
            return node  # type: ignore[no-any-return]
        if not self._language:
            raise Unknown("phrases are for the texts of a language", node.lineno)
        found = self._phrases.get(name) if isinstance(name, str) else None
        if found is None:
            raise Unknown(f"there is no phrase {name!r} in templates/{NAME}", node.lineno)
        for tag in languages.list_own(self._language):
            if tag in found:
                return nodes.Const(found[tag], lineno=node.lineno)
        fault = f"the phrase {name!r} in templates/{NAME} has no {self._language}"
        raise Unknown(fault, node.lineno)

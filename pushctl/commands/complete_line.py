"""
What a shell may complete on pushctl's command line, without loading the program.

``completions/`` has the scripts of the shells, which call pushctl with _PUSHCTL_COMPLETE, and
``tree.json``, all commands with their options (docs/generate.py writes it). Names of the
project come from its files and its database. Whatever goes wrong, nothing is offered: an
error in the middle of somebody's line would be worse.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pushctl import shipped

FILES = ":files"  # the shell completes a path itself
_FOLDER = Path(__file__).parent / "completions"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class _Line:
    """How far a command line has been read. No dataclass: those load slowly."""

    def __init__(self, node: dict[str, Any], project: str) -> None:
        self.node = node
        self.project = project
        self.values = 0  # arguments that are there
        self.waiting: str | None = None  # the kind of the value that an option waits for
        self.only_values = False  # after "--"


def answer(shell: str, arguments: Sequence[str]) -> str:
    """
    Return what fits, a line each: a value, for zsh and fish with a tab and its meaning.

    bash gives the line up to the cursor and the word as it sees it, the others the words;
    the last one is to be completed.
    """
    if shell == "bash":
        line, seen = arguments
        words, quote = split(line)
        found = _complete(words[1:])
        cut = len(words[-1]) - len(_strip(words[-1], seen))
        values = [value for value, _ in found]
        if values != [FILES]:
            values = [quote_for_bash(value[cut:], quote) for value in values]
        return "".join(f"{value}\n" for value in values)
    *before, last = arguments
    if shell == "fish":
        last = split(last)[0][-1]
    option = re.match(r"--[a-z-]+=", last)
    start = option[0] if option else ""
    found = _complete([*before, last])
    return "".join(
        f"{value if value == FILES else start + value}\t{meaning}".rstrip("\t") + "\n"
        for value, meaning in found
    )


def _strip(word: str, seen: str) -> str:
    """Return the part of *word* that bash replaces: ":" and "=" begin words of its own."""
    if seen in (":", "="):
        return ""
    plain = split(seen)[0][-1]
    return plain if word.endswith(plain) else word


def split(line: str) -> tuple[list[str], str]:
    """Return the words of a line that may end within quotes, and the quote that is open."""
    words, quote, there = [""], "", False
    position = 0
    while position < len(line):
        mark = line[position]
        position += 1
        if quote == "'" or (quote == '"' and mark not in '\\"'):
            if mark == quote:
                quote = ""
            else:
                words[-1] += mark
        elif mark == "\\":
            words[-1] += line[position : position + 1]
            position += 1
        elif mark in "'\"":
            quote, there = ("" if quote else mark), True
        elif mark.isspace():
            if words[-1] or there:
                words.append("")
            there = False
        else:
            words[-1] += mark
    return words, quote


def quote_for_bash(value: str, quote: str) -> str:
    """Return *value* as bash reads it again; *quote* is the one that is open."""
    if quote == "'":
        return value.replace("'", "'\\''")
    special = r'(["\\$`])' if quote else r"([^\w@%+=:,./-])"
    return re.sub(special, r"\\\1", value)


def _complete(words: Sequence[str]) -> list[tuple[str, str]]:
    tree = json.loads((_FOLDER / "tree.json").read_bytes())
    line = _Line(tree, os.environ.get("PUSHCTL_PROJECT", "."))
    *before, last = words
    for word in before:
        _read(line, word)
    if line.waiting is not None:
        return _find(line, line.waiting, last)
    option, equals, start = last.partition("=")
    options = {} if line.only_values else line.node["options"]
    if equals and option in options:
        return _find(line, options[option][0] or "", start)
    if last.startswith("-") and not line.only_values:
        return [
            (name, meaning)
            for name, (_, meaning) in options.items()
            if name.startswith(last) and (len(name) > 2 or name == last)
        ]
    commands = line.node.get("commands", {})
    if commands:
        return [(name, it["help"]) for name, it in commands.items() if name.startswith(last)]
    kinds = line.node.get("arguments", [])
    if not kinds or (line.values >= len(kinds) and not line.node.get("many")):
        return []
    return _find(line, kinds[min(line.values, len(kinds) - 1)], last)


def _read(line: _Line, word: str) -> None:
    """Go on in the tree by one whole word."""
    if line.waiting is not None:
        if line.waiting == "project":
            line.project = word
        line.waiting = None
    elif line.only_values:
        line.values += 1
    elif word == "--":
        line.only_values = True
    elif word.startswith("-"):
        name, equals, value = word.partition("=")
        kind = line.node["options"].get(name, [None])[0]
        if kind == "project" and equals:
            line.project = value
        elif kind is not None and not equals:
            line.waiting = kind
    elif word in line.node.get("commands", {}):
        line.node = line.node["commands"][word]
    else:
        line.values += 1


def _find(line: _Line, kind: str, start: str) -> list[tuple[str, str]]:
    """Return values of *kind*: the name of a source, a list "a|b", or "" for any text."""
    if kind in ("path", "project"):
        return [(FILES, "")]
    if "|" in kind:
        values: Iterator[str] = iter(kind.split("|"))
    elif kind:
        values = _list_names(Path(line.project), kind)
    else:
        return []
    folded = start.casefold()
    return [
        (value, "")
        for value in values
        if value.casefold().startswith(folded) and not _CONTROLS.search(value)
    ]


def _list_names(project: Path, kind: str) -> Iterator[str]:
    """Yield the names of one *kind* in the project; none where it can't be read."""
    try:
        if kind == "pages":
            yield from sorted(each.stem for each in shipped.find("docs").glob("*.md"))
            return
        file = _find_settings(project)
        text = file.read_bytes().decode("utf-8-sig")
        if kind in ("tags", "campaigns", "pools"):
            from pushctl.store import KNOWN_MIGRATIONS, names

            database = file.parent / _read_setting(text, "database", "pushctl.db")
            yield from names.list_names(database, kind, KNOWN_MIGRATIONS)
        elif kind == "templates":
            folder = file.parent / _read_setting(text, "templates", "templates")
            yield from sorted(each.parent.name for each in folder.glob("*/message.toml"))
        else:
            yield from _list_tables(text, kind)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return


def _read_setting(text: str, name: str, default: str) -> str:
    """Return a text before the first table of pushctl.toml: parsing it all takes 10 ms."""
    before = re.split(r"^\s*\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.search(rf"^\s*{name}\s*=\s*([\"'])(.*?)\1", before, re.MULTILINE)
    return found[2] if found else default


def _list_tables(text: str, kind: str) -> Iterator[str]:
    import tomllib

    section = tomllib.loads(text).get(kind, {})
    for each in section:
        yield each if isinstance(section, dict) else str(each["name"])


def _find_settings(start: Path) -> Path:
    for each in (start.absolute(), *start.absolute().parents):
        file = each / "pushctl.toml"
        # As config.find: a file of another user in a parent folder is ignored.
        if file.is_file() and (each == start or file.stat().st_uid in (os.getuid(), 0)):
            return file
    raise FileNotFoundError

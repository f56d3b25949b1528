"""One TOML file of a template while it is read: its keys, strings and problems with lines."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from pushctl.errors import Problem
from pushctl.rules.messages import values
from pushctl.templates import sandbox
from pushctl.templates.parts import Parsed, Part

SWITCH, TOPIC = (bool, dict), (str, bool)
_TAKE_BOOL = (bool, SWITCH, TOPIC)  # True is no number where it is not in the kinds
URLS = ("url", "icon", "image", "badge")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_TYPES = {
    TOPIC: "a text",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    SWITCH: "false or a table",
}


class SourceFile:
    """One TOML file being read: its table, and where its problems go."""

    def __init__(self, parsed: Parsed, file: str, source: str, keys: Mapping[str, Any]) -> None:
        self.parsed, self.file, self.source = parsed, file, source
        self.language, self.dir = "", "ltr"  # of the words in it; "": none
        self.table: dict[str, Any] = {}
        self.broken = False
        try:
            self.table = tomllib.loads(source)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            self.broken = True
            line = re.search(r"at line ([0-9]+)", str(error))
            self.add_problem(
                f"not valid TOML: {error}",
                "Put texts in quotes, one key per line.",
                int(line[1]) if line else len(source.splitlines()),
            )
        self.drop_bad_keys(self.table, keys)

    def add_problem(self, fault: str, remedy: str, line: int = 0) -> None:
        place = f"templates/{self.parsed.name}/{self.file}" + (f":{line}" if line else "")
        self.parsed.problems.append(Problem(place, fault, remedy))

    def find_line(self, key: str) -> int:
        """Return the line where *key* is set, 0 when it can't be found."""
        found = self._find(key)
        return self.source.count("\n", 0, found.start()) + 1 if found else 0

    def _find(self, key: str) -> re.Match[str] | None:
        name = re.escape(key)
        return re.search(rf"^[ \t]*\[*[\"']?{name}\b", self.source, re.MULTILINE) or re.search(
            rf"\b{name}\b", self.source
        )

    def find_first_line(self, key: str) -> int:
        """Return the line where the text of *key* begins: below an opening \"\"\"."""
        found = self._find(key)
        if found is None:
            return 0
        opened = re.match(r"[\"']?[ \t]*=[ \t]*(?:\"{3}|'{3})\n", self.source[found.end() :])
        return self.find_line(key) + (1 if opened else 0)

    def drop_bad_keys(self, table: dict[str, Any], keys: Mapping[str, Any]) -> None:
        """Remove unknown keys and wrong types from *table*, with a problem for each."""
        for key, value in list(table.items()):
            if key not in keys:
                self.add_problem(
                    f"unknown key {key!r}", suggest(key, keys), self.find_line(key)
                )
            elif not isinstance(value, keys[key]) or (
                isinstance(value, bool) and keys[key] not in _TAKE_BOOL
            ):
                kind = _TYPES.get(keys[key], "a number of seconds or a text like '30m'")
                self.add_problem(f"{key} is not {kind}", f"Write {kind}.", self.find_line(key))
            else:
                continue
            del table[key]

    def check_part(self, slot: str, key: str, source: str) -> Part:
        """Check one string; a bad one becomes an empty constant and a problem."""
        line = self.find_line(key)
        url = slot.rpartition(":")[2] in URLS
        control = _CONTROL.search(source)
        if control:
            fault = f"{key} has a control character (U+{ord(control[0]):04X})"
            self.add_problem(fault, "Remove it.", line)
        elif not any(mark in source for mark in ("{{", "{%", "{#")):
            return Part(slot, source, None)
        else:
            try:
                words = not url and slot != "tag"
                checked = sandbox.parse(
                    slot,
                    source,
                    url=url,
                    language=self.language if words else "",
                    rtl=words and self.dir == "rtl",
                    phrases=self.parsed.phrases,
                )
                sandbox.Renderer([checked])  # compiles, or raises
            except sandbox.Refused as error:
                at = self.find_first_line(key) + error.line - 1 if line else 0
                self.add_problem(f"{key}: {error.fault}", "See docs/templates.md.", at)
            else:
                self._check_variables(key, checked.variables, line)
                return Part(slot, None, checked)
        return Part(slot, "", None)

    def _check_variables(self, key: str, paths: Iterable[str], line: int) -> None:
        own = self.parsed.values
        for path in sorted(paths):
            root, _, rest = path.partition(".")
            if root in own and root not in values.KNOWN:
                continue
            fields = values.KNOWN.get(root)
            if root not in values.KNOWN:
                remedy = suggest(root, [*values.KNOWN, *own])
                self.add_problem(f"{key}: unknown variable {root!r}", remedy, line)
            elif fields is not None and rest.partition(".")[0] not in fields:
                fault = (
                    f"{key}: {root} has no {rest!r}" if rest else f"{key}: {root} is a table"
                )
                self.add_problem(fault, suggest(rest, fields), line)


def suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    listed = ", ".join(sorted(known))
    return f"Did you mean {close[0]!r}?" if close else f"Known names: {listed}."

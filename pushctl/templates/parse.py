"""
Sources -> checked parts of a template, with every problem found on the way.

TOML is read first and each string is a template of its own, so a quote in a value can
never become a key.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pushctl.errors import InputError, Problem
from pushctl.model import Json
from pushctl.rules import limits, timing, units
from pushctl.rules.messages import languages, values
from pushctl.templates import sandbox

DEFAULT_TTL_SECONDS = units.DAY // units.SECOND
URGENCIES = ("very-low", "low", "normal", "high")

_TEXT_FILE = re.compile(
    r"(?:(?P<segment>[^/]+)/)?(?P<language>[A-Za-z0-9_-]+)(?:\.(?P<variant>[a-z]))?\.toml"
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,40}")

_URLS = ("url", "icon", "image", "badge")
_MESSAGE_KEYS = {
    **dict.fromkeys((*_URLS, "tag", "urgency"), str),
    **dict.fromkeys(("topic", "require_interaction", "silent"), bool),
    "ttl": (int, str),
    "actions": list,
    "values": dict,
}
_TEXT_KEYS = {**dict.fromkeys(("title", "body", "dir", *_URLS), str), "actions": dict}
_ACTION_KEYS = dict.fromkeys(("action", "url", "icon"), str)
_TYPES = {str: "a text", bool: "true or false", list: "a list of tables", dict: "a table"}


@dataclass(frozen=True)
class Settings:
    ttl: int = DEFAULT_TTL_SECONDS  # seconds that a push service keeps them
    urgency: str = "normal"
    topic: bool = True  # a newer message of the same campaign replaces a waiting one


@dataclass(frozen=True)
class Part:
    """One string of a message: a constant, or a checked source."""

    slot: str  # "title", "url", "action:open:title"
    constant: str | None
    source: sandbox.Field | None


@dataclass(frozen=True)
class TextParts:
    """The content of one text file, joined with message.toml."""

    file: str
    segment: str | None
    language: str
    variant: str | None  # None: the plain file
    dir: str
    parts: tuple[Part, ...]


@dataclass
class Parsed:
    """All files of one template; *problems* is empty when it can be used."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    require_interaction: bool = False
    silent: bool = False
    values: Mapping[str, Json] = field(default_factory=dict)
    texts: list[TextParts] = field(default_factory=list)


def parse(name: str, sources: Mapping[str, str]) -> Parsed:
    """Parse all files of a template; their faults become *problems*."""
    parsed = Parsed(name)
    main = _File(parsed, "message.toml", sources.get("message.toml", ""), _MESSAGE_KEYS)
    _read_settings(parsed, main)
    parts = _read_common(parsed, main)
    for file, source in sorted(sources.items()):
        if file != "message.toml":
            _read_text(parsed, file, source, parts)
    plain = {(it.segment, it.language) for it in parsed.texts if it.variant is None}
    for text in parsed.texts:
        if (text.segment, text.language) not in plain:
            fault = "a variant without its plain file"
            remedy = f"Write {text.file[: -len('.b.toml')]}.toml too."
            parsed.problems.append(Problem(f"templates/{name}/{text.file}", fault, remedy))
    if not any(text.segment is None for text in parsed.texts) and not parsed.problems:
        parsed.problems.append(
            Problem(f"templates/{name}", "no text for all subscribers", "Write en.toml.")
        )
    return parsed


class _File:
    """One TOML file being read: its table, and where its problems go."""

    def __init__(self, parsed: Parsed, file: str, source: str, keys: Mapping[str, Any]) -> None:
        self.parsed, self.file, self.source = parsed, file, source
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
                    f"unknown key {key!r}", _suggest(key, keys), self.find_line(key)
                )
            elif not isinstance(value, keys[key]) or (
                isinstance(value, bool) and keys[key] is not bool
            ):
                kind = _TYPES.get(keys[key], "a number of seconds or a text like '30m'")
                self.add_problem(f"{key} is not {kind}", f"Write {kind}.", self.find_line(key))
            else:
                continue
            del table[key]

    def check_part(self, slot: str, key: str, source: str) -> Part:
        """Check one string; a bad one becomes an empty constant and a problem."""
        line = self.find_line(key)
        url = slot.rpartition(":")[2] in _URLS
        control = _CONTROL.search(source)
        if control:
            fault = f"{key} has a control character (U+{ord(control[0]):04X})"
            self.add_problem(fault, "Remove it.", line)
        elif not any(mark in source for mark in ("{{", "{%", "{#")):
            return Part(slot, source, None)
        else:
            try:
                checked = sandbox.parse(slot, source, url=url)
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
                remedy = _suggest(root, [*values.KNOWN, *own])
                self.add_problem(f"{key}: unknown variable {root!r}", remedy, line)
            elif fields is not None and rest.partition(".")[0] not in fields:
                fault = (
                    f"{key}: {root} has no {rest!r}" if rest else f"{key}: {root} is a table"
                )
                self.add_problem(fault, _suggest(rest, fields), line)


def _read_settings(parsed: Parsed, main: _File) -> None:
    table = main.table
    ttl = table.get("ttl", DEFAULT_TTL_SECONDS)
    if isinstance(ttl, str):
        try:
            ttl = timing.duration(ttl) // units.SECOND
        except InputError as error:
            main.add_problem(f"ttl: {error}", "Write ttl = '30m'.", main.find_line("ttl"))
            ttl = DEFAULT_TTL_SECONDS
    if not 0 <= ttl <= limits.MAX_TTL_SECONDS:
        main.add_problem(
            "ttl is not between 0 and 4 weeks", "Write ttl = '1d'.", main.find_line("ttl")
        )
    urgency = table.get("urgency", "normal")
    if urgency not in URGENCIES:
        remedy = f"Write one of {', '.join(URGENCIES)}."
        main.add_problem(f"urgency is {urgency!r}", remedy, main.find_line("urgency"))
    parsed.settings = Settings(ttl, urgency, table.get("topic", True))
    parsed.require_interaction = table.get("require_interaction", False)
    parsed.silent = table.get("silent", False)
    own = table.get("values", {})
    for key in own:
        if not key.isidentifier() or key in ("subscriber", "attributes", "site", "campaign"):
            remedy = "Use another name of letters, digits and _."
            main.add_problem(
                f"values: {key!r} can't be used as a name", remedy, main.find_line(key)
            )
    parsed.values = {key: values.clean(value) for key, value in own.items()}


def _read_common(parsed: Parsed, main: _File) -> dict[str, Part]:
    """Return the parts of message.toml, by slot; titles of actions are missing."""
    table = main.table
    parts = {
        key: main.check_part(key, key, table[key]) for key in (*_URLS, "tag") if key in table
    }
    parts.setdefault("url", Part("url", "/", None))
    for action in table.get("actions", []):
        if not isinstance(action, dict):
            main.add_problem(
                "actions is not a list of tables",
                "Write [[actions]].",
                main.find_line("actions"),
            )
            continue
        main.drop_bad_keys(action, _ACTION_KEYS)
        name = action.get("action", "")
        if not _ACTION.fullmatch(name) or f"action:{name}:title" in parts:
            remedy = "Give each a name of its own: action = 'open'."
            main.add_problem(
                f"an action has the name {name!r}", remedy, main.find_line("actions")
            )
            continue
        parts[f"action:{name}:title"] = Part(f"action:{name}:title", None, None)
        for key in ("url", "icon"):
            if key in action:
                slot = f"action:{name}:{key}"
                parts[slot] = main.check_part(slot, key, action[key])
    return parts


def _read_text(parsed: Parsed, file: str, source: str, common: Mapping[str, Part]) -> None:
    read = _File(parsed, file, source, _TEXT_KEYS)
    match = _TEXT_FILE.fullmatch(file)
    language = languages.canonical(match["language"]) if match else None
    if match is None or language is None:
        remedy = "Name it by its language: en.toml, pt-BR.toml, en.b.toml, <segment>/en.toml."
        read.add_problem("the file name is not a language", remedy)
        return
    if read.broken:
        return
    table = read.table
    parts = dict(common)
    for key in ("title", "body"):
        if not table.get(key, "").strip():
            read.add_problem(f"{key} is missing", f'Write {key} = "...".', read.find_line(key))
        parts[key] = read.check_part(key, key, table.get(key, ""))
    for key in _URLS:
        if key in table:
            parts[key] = read.check_part(key, key, table[key])
    _read_labels(read, table.get("actions", {}), parts)
    direction = table.get("dir", languages.direction(language))
    if direction not in ("ltr", "rtl"):
        read.add_problem(f"dir is {direction!r}", "Write ltr or rtl.", read.find_line("dir"))
    parsed.texts.append(
        TextParts(
            file, match["segment"], language, match["variant"], direction, tuple(parts.values())
        )
    )


def _read_labels(read: _File, labels: Mapping[str, Any], parts: dict[str, Part]) -> None:
    wanted = [slot.split(":")[1] for slot in parts if slot.endswith(":title")]
    for name, label in labels.items():
        if name not in wanted:
            remedy = "Add it to actions in message.toml, or remove it here."
            read.add_problem(
                f"actions: message.toml has no {name!r}", remedy, read.find_line(name)
            )
        elif isinstance(label, str):
            slot = f"action:{name}:title"
            parts[slot] = read.check_part(slot, name, label)
    for name in wanted:
        if not isinstance(labels.get(name), str) or not labels[name].strip():
            remedy = f'Write [actions] and {name} = "...".'
            read.add_problem(
                f"the label of action {name!r} is missing", remedy, read.find_line("actions")
            )


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    listed = ", ".join(sorted(known))
    return f"Did you mean {close[0]!r}?" if close else f"Known names: {listed}."

"""
TOML tables -> frozen dataclasses, with every fault found at once.

Nothing is coerced, unknown keys are faults. A field's metadata may hold ``check``, a
function that returns (fault, remedy) for a wrong value; for mappings and tuples ``each``
checks every element. Written here because the libraries for it cost more start-up than an
idle run may take (docs/performance.md).
"""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Path = tuple[str, ...]
Check = Callable[[Any], tuple[str, str] | None]

_NAMES = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at *path* (keys from the top of the file), and its remedy."""

    path: Path
    text: str
    remedy: str


@dataclass
class _Reader:
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, text: str, remedy: str) -> Any:
        self.faults.append(Fault(path, text, remedy))
        return MISSING

    def read(self, kind: Any, value: Any, path: Path) -> Any:
        """Return *value* as *kind*, or MISSING after noting the fault."""
        if kind is Any:
            return value
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (types.UnionType, Union):
            # TOML has no null: what is written is never the None of "X | None".
            (kind,) = (each for each in arguments if each is not types.NoneType)
            return self.read(kind, value, path)
        if origin is tuple:
            return self.list(arguments[0], value, path)
        mapping = isinstance(origin, type) and issubclass(origin, Mapping)
        if not (mapping or is_dataclass(kind)):
            return self.plain(kind, value, path)
        if not isinstance(value, Mapping):
            text = f"is {_show(value)}, not a table"
            return self.fault(path, text, f"Write [{'.'.join(path)}].")
        if mapping:
            return self.mapping(arguments[1], value, path)
        return self.table(kind, value, path)

    def plain(self, kind: type, value: Any, path: Path) -> Any:
        if hasattr(kind, "__fspath__") and isinstance(value, str):
            return kind(value)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is kind:
            return value
        wanted = _NAMES.get(kind, _NAMES[str])
        return self.fault(path, f"is {_show(value)}, not {wanted}", f"Write {wanted}.")

    def list(self, kind: Any, value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            return self.fault(path, f"is {_show(value)}, not a list", "Write [...].")
        read = [self.read(kind, each, (*path, str(i))) for i, each in enumerate(value, 1)]
        return MISSING if MISSING in read else tuple(read)

    def mapping(self, kind: Any, value: Any, path: Path) -> Any:
        read = {key: self.read(kind, each, (*path, key)) for key, each in value.items()}
        return {key: each for key, each in read.items() if each is not MISSING}

    def table(self, kind: Any, value: Any, path: Path) -> Any:
        hints = get_type_hints(kind)
        known = {each.name: each for each in fields(kind) if not each.metadata.get("given")}
        for key in value:
            if key not in known:
                self.fault((*path, key), "there is no such setting", suggest(key, known))
        # The key of [sites.NAME] is a value, too.
        read: dict[str, Any] = dict.fromkeys(
            [each.name for each in fields(kind)], ("", *path)[-1]
        )
        for name, each in known.items():
            read[name] = self._field(each, hints[name], value, (*path, name))
        there = {name: each for name, each in read.items() if each is not MISSING}
        missing = (each for each in fields(kind) if each.name not in there)
        return kind(**there) if all(map(_has_default, missing)) else MISSING

    def _field(self, each: Any, kind: Any, value: Mapping[str, Any], path: Path) -> Any:
        if each.name not in value:
            if not _has_default(each):
                self.fault(path, "is missing", each.metadata.get("remedy", "Write it."))
            return MISSING
        before = len(self.faults)
        read = self.read(kind, value[each.name], path)
        if read is not MISSING:
            self.check(each.metadata, read, path, whole=len(self.faults) == before)
        return read

    def check(
        self, metadata: Mapping[Any, Any], value: Any, path: Path, *, whole: bool
    ) -> None:
        check: Check | None = metadata.get("check")
        # A value that has lost its faulty elements is not checked as a whole.
        if check and whole and (fault := check(value)):
            self.fault(path, *fault)
        each: Check | None = metadata.get("each")
        if each is None:
            return
        items = value.items() if isinstance(value, Mapping) else enumerate(value, 1)
        for key, item in items:
            if fault := each((key, item) if isinstance(value, Mapping) else item):
                self.fault((*path, str(key)), *fault)


def _has_default(each: Any) -> bool:
    return each.default is not MISSING or each.default_factory is not MISSING


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 40 else f"{text[:39]}…"


def suggest(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """Return the remedy for an unknown *name*: the nearest known one, or all of them."""
    near = get_close_matches(name, list(known), n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Known names: {', '.join(sorted(known))}."


def structure(kind: type[T], value: Any, path: Path = ()) -> tuple[T | None, list[Fault]]:
    """
    Return *value*, a table, as a *kind* with every fault in it.

    A faulty setting gets its default, so that the rest is checked, too; None when a
    required setting is missing. Use the value only when there is no fault.
    """
    reader = _Reader()
    read = reader.read(kind, value, path)
    return (None if read is MISSING else read), reader.faults


_HEADER = re.compile(r"\s*\[\[?(?P<keys>[^\[\]]+)\]\]?\s*(#.*)?")
_SETTING = re.compile(
    r"""\s*(?P<keys>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*="""
)
_KEY = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(path: Path, text: str) -> int | None:
    """
    Return the number of the line of TOML *text* that sets *path*, or most of it.

    tomllib keeps no positions, so this reads headers and keys once more. A missing
    setting has the line of its table's header.
    """
    best, depth = None, 0
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _keys(header["keys"])
            if line.lstrip().startswith("[["):  # one of several: they count from 1
                counts[table] = counts.get(table, 0) + 1
                table = (*table, str(counts[table]))
            here = table
        elif setting := _SETTING.match(line):
            here = table + _keys(setting["keys"])
        else:
            continue
        if len(here) > depth and path[: len(here)] == here:
            best, depth = number, len(here)
    if best is not None and path[depth : depth + 1] and path[depth].isdecimal():
        return _element(text, best, int(path[depth]))
    return best


# Strings and comments, in which brackets mean nothing.
_MEANINGLESS = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*")


def _element(text: str, first: int, wanted: int) -> int:
    """Return the line of the *wanted*th table of the list that begins in line *first*."""
    depth = count = 0
    lines = text.splitlines()
    for number, line in enumerate(lines[first - 1 :], first):
        for mark in _MEANINGLESS.sub("", line):
            if mark == "{" and depth == 1:
                count += 1
                if count == wanted:
                    return number
            depth += (mark in "[{") - (mark in "]}")
            if mark == "]" and depth <= 0:
                return first
    return first


def _keys(text: str) -> Path:
    return tuple(each.strip("\"'") for each in _KEY.findall(text))

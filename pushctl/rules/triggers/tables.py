"""Reads values out of one TOML table; what is wrong with it becomes faults."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.rules.config.structure import Fault, Path, suggest

T = TypeVar("T")
D = TypeVar("D")


class Table:
    """One TOML table being read; its faults go to *faults*."""

    def __init__(self, values: Mapping[str, Json], path: Path, faults: list[Fault]) -> None:
        self.values, self.path, self.faults = values, path, faults

    def blame(self, key: str, text: str, remedy: str) -> None:
        path = (*self.path, key) if key else self.path
        self.faults.append(Fault(path, text, remedy))

    def inner(self, key: str, values: Mapping[str, Json]) -> "Table":
        return Table(values, (*self.path, key), self.faults)

    def only(self, known: Collection[str]) -> None:
        for key in self.values:
            if key not in known:
                self.blame(key, "no setting is called that", suggest(key, sorted(known)))

    def read(self, key: str, how: Callable[[Any], T], default: D) -> T | D:
        """Return what *how* returns for the value; *default* and a fault if it can't."""
        if key not in self.values:
            return default
        try:
            return how(self.values[key])
        except InputError as error:
            self.blame(key, f"is {self.values[key]!r}", str(error))
            return default


def read_text(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"Write a text in quotes, not {value!r}.")
    return value.strip()


def read_names(value: Json) -> tuple[str, ...]:
    if isinstance(value, str):
        return (read_text(value),)
    if not isinstance(value, list) or not value:
        raise InputError('Write one name, or several: ["one", "two"].')
    return tuple(read_text(one) for one in value)


def read_flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise InputError("Write true or false.")
    return value


def read_whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("Write a whole number.")
    return value


def read_share(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 0.5:
        raise InputError("Write a share from 0 to 0.5: 0.05 holds back 5 %.")
    return float(value)


def read_duration(value: Json) -> Millis:
    return timing.duration(read_text(value))

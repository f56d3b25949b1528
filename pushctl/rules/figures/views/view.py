"""How a view is declared that people may ask: its columns, their units and meanings."""

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The type of a column's values; each may be NULL: unknown, or there is none."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"  # 0 or 1 in SQL
    TIME = "time"  # in SQL milliseconds since 1970 in UTC


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a view; *name* is a public interface."""

    name: str
    meaning: str
    type: Type = Type.TEXT
    personal: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """
    One view; a row stands for *meaning*.

    *moment* names the column that --since and --until look at. A view that can be exported
    has a column ``id``, by which it is read in pages.
    """

    name: str
    meaning: str
    fields: tuple[Field, ...]
    moment: str = "at"

    @property
    def is_exported(self) -> bool:
        return self.fields[0].name == "id"

    def list_fields(self, *, people: bool) -> tuple[Field, ...]:
        """Return the columns; with *people* also those that name a person."""
        return tuple(field for field in self.fields if people or not field.personal)


def integer(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.INTEGER)


def real(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.REAL)


def yes(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.BOOLEAN)


def time(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.TIME)

"""
Conditions on what an event or an enrolment carries, as a marketer writes them in TOML.

``where = { page = "/trial/*", value = ">= 50", line = ["windows", "mac"] }``: each key
names a field ("cart.total" looks inside), each value says what it must be; all must
hold. A field that isn't there satisfies only "!=". Amounts are read as people write them
("49,90 €"); one that can't be read is above and below nothing.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import amounts
from pushctl.rules.amounts import LARGEST, Amount
from pushctl.rules.folding import fold

_COMPARISON = re.compile(r"\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*", re.DOTALL)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One field and what it must be: an operator of _ORDER, "=", "!=", "like" or "in"."""

    field: str
    operator: str
    value: Json

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else repr(self.value)
        return f"{self.field} {self.operator} {value}"

    def holds(self, values: Mapping[str, Json]) -> bool:
        found, there = look_up(values, self.field)
        if not there or found is None:
            return self.operator == "!="
        if self.operator == "in":
            number = self._read(found, values)
            return any(_same(found, number, one) for one in self.value)
        if self.operator == "like":
            return fnmatchcase(fold(str(found)), fold(str(self.value)))
        if self.operator in _ORDER:
            known = self._read(found, values).number
            return known is not None and _ORDER[self.operator](known, self.value)
        return _same(found, self._read(found, values), self.value) == (self.operator == "=")

    def _read(self, found: Json, values: Mapping[str, Json]) -> Amount:
        """Return the amount that a field holds; the message it stands in may decide it."""
        amount = amounts.read(found)
        if amount.number is not None or not isinstance(found, str):
            return amount
        table, there = look_up(values, self.field.rpartition(".")[0])
        around = table if there and isinstance(table, Mapping) else values
        currency = amounts.read_currency(around.get("currency"))
        return amounts.read(found, currency, amounts.find_decimal(around))


def parse(table: Mapping[str, Json]) -> tuple[Condition, ...]:
    """Return the conditions of a TOML table; InputError names a wrong one."""
    return tuple(_one(field, value) for field, value in table.items())


def unmet(conditions: tuple[Condition, ...], values: Mapping[str, Json]) -> Condition | None:
    """Return the first condition that does not hold, or None."""
    return next((one for one in conditions if not one.holds(values)), None)


def look_up(values: Mapping[str, Json], path: str) -> tuple[Json, bool]:
    """Return the value at "cart.total" and whether there is one."""
    found: Json = values
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None, False
        found = found[name]
    return found, True


def _one(field: str, value: Json) -> Condition:
    if isinstance(value, list):
        if not value or not all(isinstance(one, str | int | float) for one in value):
            raise InputError(f"{field}: a list must hold texts or numbers, any of which fits.")
        return Condition(field, "in", tuple(value))
    if isinstance(value, bool | int | float):
        return Condition(field, "=", value)
    if not isinstance(value, str):
        raise InputError(
            f'{field}: write a text, a number, a list, or a comparison such as ">= 50".'
        )
    match = _COMPARISON.fullmatch(value)
    if match is None:
        return Condition(field, "like" if "*" in value else "=", value)
    sign, right = match.groups()
    if sign in _ORDER:
        number = _parse_number(right)
        if number is None:
            raise InputError(
                f'{field}: {value!r} compares with no number. Write it alone: "{sign} 50".'
            )
        return Condition(field, sign, number)
    return Condition(field, "!=" if sign == "!=" else "=", right)


def _parse_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if -LARGEST < number < LARGEST else None  # "nan" is not between them


def _same(found: Json, amount: Amount, wanted: Json) -> bool:
    """Return whether *found*, which may be *amount*, is what was *wanted*."""
    right = amounts.read(wanted)
    if amount.number is not None and right.number is not None:
        alike = not (amount.currencies and right.currencies) or bool(
            amount.currencies & right.currencies
        )
        return alike and amount.number == right.number
    return fold(str(found)) == fold(str(wanted))

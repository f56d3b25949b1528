"""
Amounts in one currency: the rates of a file, by day.

A line is date, from, to, rate: "2026-11-02,USD,EUR,0.8671" says that a dollar was worth
0.8671 euros. Where no rate is told of a day, the newest of the seven days before it holds:
banks tell none at weekends. Without one the amount stays in its own currency.
"""

import csv
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

from pushctl.errors import InputError
from pushctl.rules import amounts
from pushctl.rules.limits import MAX_RATE_LINES
from pushctl.rules.money import Money

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("date", "from", "to", "rate")
_HOLDS = timedelta(days=7)


class Rate(NamedTuple):
    day: date
    rate: Decimal


class Rates:
    """The rates from each currency to one other."""

    def __init__(self, currency: str, told: Mapping[str, list[Rate]]) -> None:
        self.currency = currency
        self._told = {code: sorted(rates) for code, rates in told.items()}

    def find(self, currency: str, day: date) -> Decimal | None:
        """Return what one unit of *currency* was worth on *day*, None where it is unknown."""
        if currency == self.currency:
            return Decimal(1)
        told = self._told.get(currency, [])
        place = bisect_right(told, day, key=lambda one: one.day)
        if not place or told[place - 1].day < day - _HOLDS:
            return None
        return told[place - 1].rate

    def convert(self, amount: Money, day: date) -> Money:
        """Return *amount* in the one currency, or as it is where no rate is known."""
        if amount.currency is None or (rate := self.find(amount.currency, day)) is None:
            return amount
        exponent = amounts.count_decimals(self.currency)
        exact = (amount.exact * rate).scaleb(exponent)
        return Money(int(exact.to_integral_value(ROUND_HALF_UP)), exponent, self.currency)


def read(lines: Iterable[str], currency: str, name: str) -> Rates:
    """
    Return the rates to *currency* from the *lines* of the file *name*.

    Raises InputError, with the line, for what is no rate, or told twice.
    """
    rows = csv.reader(lines)
    try:
        return _read(rows, currency, name)
    except csv.Error as error:
        raise InputError(f"{name}:{rows.line_num}: this is no line of CSV: {error}") from None


def _read(rows: "Reader", currency: str, name: str) -> Rates:
    told: dict[str, dict[date, Decimal]] = {}
    head = next(rows, [])
    if tuple(one.strip().lower().lstrip("\ufeff") for one in head) != COLUMNS:
        raise InputError(f"{name}:1: the first line is not {','.join(COLUMNS)!r}. Write it.")
    for row in rows:
        if not any(row):
            continue
        place = f"{name}:{rows.line_num}"
        if rows.line_num > MAX_RATE_LINES:
            raise InputError(f"{place}: more than {MAX_RATE_LINES} lines. Remove old days.")
        day, source, target, rate = _read_row(row, place)
        if target != currency:
            continue
        if told.setdefault(source, {}).setdefault(day, rate) != rate:
            raise InputError(f"{place}: another line has another rate of {source} on {day}.")
    return Rates(
        currency, {code: [Rate(*one) for one in days.items()] for code, days in told.items()}
    )


def _read_row(row: list[str], place: str) -> tuple[date, str, str, Decimal]:
    example = "Write it like 2026-11-02,USD,EUR,0.8671."
    if len(row) != len(COLUMNS):
        raise InputError(f"{place}: {len(row)} values, not {len(COLUMNS)}. {example}")
    day, source, target, rate = (one.strip() for one in row)
    for code in (source, target):
        if code not in amounts.CURRENCIES:
            raise InputError(f"{place}: {code[:20]!r} is not the code of a currency. {example}")
    try:
        value = Decimal(rate)
        if not (value.is_finite() and Decimal("1e-9") <= value <= Decimal("1e9")):
            raise InvalidOperation
        return date.fromisoformat(day), source, target, value
    except InvalidOperation:
        raise InputError(f"{place}: {rate[:20]!r} is not a rate. {example}") from None
    except ValueError:
        raise InputError(f"{place}: {day[:20]!r} is not a day. {example}") from None

"""
Money: whole minor units of a currency, as ISO 4217 counts them. No float is kept or added.

1999 of exponent 2 in EUR is 19.99 EUR. Where the currency is unknown, exponent is the number
of digits that were written, so that the amount stays exact.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pushctl.rules import amounts

# A float keeps fifteen digits of what was written: twelve here, and three of a coin.
LARGEST = 10**12
# What is finer is noise of a script's floats: 59.97000000000001.
_FINEST = Decimal("0.000001")


class Money(NamedTuple):
    """An amount; *currency* is None where it is unknown."""

    minor: int
    exponent: int  # digits behind the separator
    currency: str | None

    @property
    def exact(self) -> Decimal:
        return Decimal(self.minor).scaleb(-self.exponent)

    @property
    def number(self) -> float | int | None:
        """The amount as templates and events have it: to be shown, not to be added."""
        return amounts.plain(float(self.exact))

    @property
    def text(self) -> str:
        """Return "19.99", with all digits of the exponent."""
        return f"{self.exact:f}"

    @property
    def spoken(self) -> str:
        """Return "1,240.50 EUR": for people, with the currency's code, never ambiguous."""
        return f"{self.exact:,f} {self.currency or '?'}"

    def __str__(self) -> str:
        return f"{self.text} {self.currency or 'of unknown currency'}"


def of(number: float | None, currency: str | None, *, fine: bool = False) -> Money | None:
    """
    Return *number* as money, half a minor unit rounded up; None for what is unknown.

    *fine* keeps more digits than the currency has coins for: a litre costs 1.799 EUR.
    *currency* is a code of ``amounts.CURRENCIES``, or None.
    """
    if number is None or not -LARGEST < number < LARGEST:
        return None
    # The shortest text of a float is what was written.
    return of_exact(Decimal(repr(number)), currency, fine=fine)


def of_exact(number: Decimal, currency: str | None, *, fine: bool = False) -> Money:
    """Return *number*, below ``LARGEST``, as ``of`` does."""
    exact = number.quantize(_FINEST, ROUND_HALF_UP).normalize()
    written = max(0, -int(exact.as_tuple().exponent))
    exponent = written
    if currency is not None:
        exponent = amounts.count_decimals(currency)
        exponent = max(exponent, written) if fine else exponent
    minor = int(exact.scaleb(exponent).to_integral_value(ROUND_HALF_UP))
    return Money(minor, exponent, currency)


def sum_up(parts: Iterable[Money]) -> list[Money]:
    """Return one sum for each currency, by its code, that of unknown ones last."""
    sums: dict[str | None, Money] = {}
    for part in parts:
        known = sums.get(part.currency, Money(0, part.exponent, part.currency))
        exponent = max(known.exponent, part.exponent)
        minor = sum(one.minor * 10 ** (exponent - one.exponent) for one in (known, part))
        sums[part.currency] = Money(minor, exponent, part.currency)
    return [sums[code] for code in sorted(sums, key=lambda code: (code is None, code or ""))]

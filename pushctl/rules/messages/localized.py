"""
Prices, dates and numbers of things as a language writes them: CLDR's data, by Babel.

Babel is loaded at first use. Digits are Latin in every language, as shops and codes have
them.
"""

import datetime
import functools
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from pushctl.rules.messages import languages
from pushctl.rules.money import Money

if TYPE_CHECKING:
    from babel import Locale

# Unicode's names of plural forms (https://unicode.org/reports/tr35/tr35-numbers.html).
PLURAL_FORMS = ("zero", "one", "two", "few", "many", "other")
DATE_FORMATS = ("short", "medium", "long", "full")


@functools.lru_cache(maxsize=4096)
def format_money(amount: Money, language: str) -> str:
    """Return "€49.00" or "49,00 €"; digits finer than a coin stay. *amount* has a currency."""
    from babel import numbers

    exact = amount.exact
    # CLDR counts no coins where ISO 4217 does: 1.250 IQD is not 1 IQD.
    whole = exact == round(exact, numbers.get_currency_precision(amount.currency or ""))
    return numbers.format_currency(
        exact, amount.currency or "", locale=_find_locale(language), decimal_quantization=whole
    )


@functools.lru_cache(maxsize=4096)
def format_date(day: datetime.date, language: str, format: str = "long") -> str:
    """Return "24 December 2026"; *format* is one of DATE_FORMATS."""
    from babel import dates

    return dates.format_date(day, format, locale=_find_locale(language))


@functools.lru_cache(maxsize=4096)
def format_number(number: float, language: str) -> str:
    """Return "1,249.5" with at most three digits behind the separator."""
    from babel import numbers

    return numbers.format_decimal(Decimal(repr(number)), locale=_find_locale(language))


@functools.lru_cache(maxsize=4096)
def format_percent(share: float, language: str) -> str:
    """Return a fraction as per cent with one digit behind the point: 0.0423 is "4.2%"."""
    from babel import numbers

    shape = str(_find_locale(language).percent_formats[None].pattern).replace(
        "#,##0", "#,##0.0"
    )
    return numbers.format_percent(share, format=shape, locale=_find_locale(language))


@functools.lru_cache(maxsize=4096)
def format_short_day(day: datetime.date, language: str) -> str:
    """Return "24 Dec" without a year, as the language writes it."""
    from babel import dates

    return dates.format_skeleton("MMMd", day, locale=_find_locale(language))


def choose_plural(number: float, forms: Mapping[str, str], language: str) -> str | None:
    """
    Return the form of *forms* for *number* in *language*, else "other"; None: not even that.

    1 is "one" in English and "one" also for 21 in Russian; Arabic has six forms.
    """
    if not math.isfinite(number):
        return None
    name = _find_locale(language).plural_form(Decimal(repr(number)).normalize())
    return forms.get(name, forms.get("other"))


@functools.lru_cache(maxsize=256)
def _find_locale(language: str) -> "Locale":
    """Return CLDR's data for *language* or its nearest parent, English where there is none."""
    from babel import Locale, UnknownLocaleError

    for tag in languages.list_own(language):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")

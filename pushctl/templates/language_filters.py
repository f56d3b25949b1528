"""
The filters that depend on the language of a text: letters, names, prices, dates, plurals.

The sandbox writes the language in front of their arguments when it compiles a text; in URLs
it is "". What isn't known stays unknown, so that ``default`` can follow.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context

from pushctl.model import Json
from pushctl.rules import amounts, money
from pushctl.rules.limits import MAX_VALUE_CHARACTERS
from pushctl.rules.messages import casing, localized, names
from pushctl.rules.zones import find_zone
from pushctl.templates.plain import Missing, Own, clean, isolate

_MILLIS_FROM = 1e11  # as seconds it is the year 5138, as milliseconds 1973
_DATE_CHARACTERS = 40
_MOST_DIGITS = 3  # numbers that a plural writes: each has up to 25 characters


def _write(change: Callable[[str, str], str]) -> Callable[[Any, str], str]:
    return lambda value, language: change(clean(value), language)[:MAX_VALUE_CHARACTERS]


def first_name(value: Any, language: str) -> Any:
    """``{{ attributes.name|first_name|default('friend') }}``: unknown where it isn't sure."""
    if isinstance(value, Undefined):
        return value
    return names.find_first_name(clean(value), language) or Missing(
        "nobody's first name can be told from this one"
    )


@pass_context
def write_money(context: Context, value: Any, language: str, *currency: Any) -> Any:
    """
    ``{{ cart.total|money(cart.currency) }}``, ``{{ item|money }}``: "49,00 €".

    A table has its own currency. Without any, it is the site's; one that is named and not
    known makes the price unknown.
    """
    if len(currency) > 1:
        raise SecurityError("money takes one currency")
    if isinstance(value, dict):
        currency = (value.get("currency"),)
        value = value.get("price", value.get("total", Missing("the price is not known")))
    if isinstance(value, Undefined):
        return value
    site = context.get("site")
    usual = site.get("currency") if isinstance(site, dict) else None
    code = _find_currency(value, currency, usual)
    if code is None:
        return Missing("the price's currency is not known: {{ price|money('EUR') }}")
    amount = money.of(amounts.read(value, code).number, code, fine=True)
    return localized.format_money(amount, language) if amount else Missing("it is no price")


def _find_currency(value: Json, given: tuple[Any, ...], usual: str | None) -> str | None:
    """Return the one currency that *value* may be of; "$" is the site's where it can be."""
    possible = beside = amounts.read(value).currencies
    if given:
        named = amounts.list_currencies(given[0])
        possible = named & beside if beside else named
    elif not beside:
        return usual
    if usual in possible:
        return usual
    return next(iter(possible)) if len(possible) == 1 else None


@pass_context
def write_date(context: Context, value: Any, language: str, format: str = "long") -> Any:
    """
    ``{{ event.until|date }}``: "24 December 2026"; formats in ``localized.DATE_FORMATS``.

    Takes ISO 8601 and seconds or milliseconds since 1970. A moment is a day in the
    subscriber's time zone, else the site's.
    """
    if isinstance(value, Undefined):
        return value
    if format not in localized.DATE_FORMATS:
        raise SecurityError(f"date takes {', '.join(localized.DATE_FORMATS)}")
    try:
        found = _read_moment(value)
        if isinstance(found, datetime.datetime):
            found = found.astimezone(_find_zone(context)).date()
    except (ValueError, OverflowError, OSError):
        return Missing("it is no date, like 2026-12-24")
    return localized.format_date(found, language, format)


def _read_moment(value: Any) -> datetime.date:
    """Return a day, or a moment with its zone; ValueError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1_000 if abs(value) > _MILLIS_FROM else value
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    text = clean(value).strip()[:_DATE_CHARACTERS]
    if len(text) <= len("2026-12-24"):
        return datetime.date.fromisoformat(text)
    found = datetime.datetime.fromisoformat(text)
    return found if found.tzinfo else found.date()


def _find_zone(context: Context) -> datetime.tzinfo:
    for root in ("subscriber", "site"):
        table = context.get(root)
        zone = table.get("timezone") if isinstance(table, dict) else None
        if isinstance(zone, str) and zone and (found := find_zone(zone)) is not None:
            return found
    return datetime.UTC


def choose_plural(value: Any, language: str, isolated: bool = False, **forms: Any) -> Any:
    """
    ``{{ cart.count|plural(one='# item', other='# items') }}``: "#" is the number.

    The names are CLDR's: zero, one, two, few, many, other. Which of them a language has for
    which number, Babel knows; "other" serves where one is not given.
    """
    if isinstance(value, Undefined):
        return value
    number = amounts.read_number(value)
    form = None if number is None else localized.choose_plural(number, forms, language)
    if form is None or number is None:
        return Missing("it is no number")
    digits = localized.format_number(amounts.plain(number) or 0, language)
    if isolated:
        digits = isolate(digits)
    return Own(clean(form).replace("#", digits, _MOST_DIGITS))


# The language comes first in their arguments.
SPOKEN: Mapping[str, Callable[..., Any]] = {
    "upper": _write(casing.write_upper),
    "lower": _write(casing.write_lower),
    "capitalize": _write(casing.write_capital),
    "title": _write(casing.write_title),
    "first_name": first_name,
    "money": write_money,
    "date": write_date,
    "plural": choose_plural,
}

"""
Reads numbers and amounts of money as people and programs write them.

"1.249,00", "49,90 €", "1 249.00" and 49.9 are numbers. What can't be read, or may mean two
numbers, is unknown: never 0, and never the cheaper one.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pushctl.states import Json

# Beyond any price: sums and roundings of larger numbers fail.
LARGEST = 1e15

# ISO 4217, list one, as of 2025; without funds and metals.
_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP
BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR
KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
# Their smallest coin is a thousandth: "1.249" may be 1 and a bit.
_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
# They have no smaller coin by ISO 4217; CLDR counts fifteen more to them, HUF and IQD too.
_NO_DIGITS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV",
     "XAF", "XOF", "XPF"}
)  # fmt: skip

# What stands beside numbers instead of a code; some mean one of several currencies.
_SIGNS: Mapping[str, str] = {
    "€": "EUR", "£": "GBP", "₺": "TRY", "tl": "TRY", "₽": "RUB", "руб": "RUB", "₴": "UAH",
    "₹": "INR", "rs": "INR PKR LKR NPR", "₪": "ILS", "₫": "VND", "₩": "KRW", "zł": "PLN",
    "kč": "CZK", "ft": "HUF", "lei": "RON", "лв": "BGN", "r$": "BRL", "us$": "USD",
    "¥": "JPY CNY", "kr": "SEK NOK DKK ISK", "fr": "CHF",
    "$": "USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP", "د.إ": "AED", "ر.س": "SAR",
    "ج.م": "EGP", "euro": "EUR", "eur": "EUR",
}  # fmt: skip

_MAX_CHARACTERS = 60
_SPACES = " \u00a0\u2009\u202f"
# ARABIC DECIMAL and THOUSANDS SEPARATOR mean one thing; apostrophes are Swiss.
# A dot behind letters is theirs: "Rs.500".
_BODY = re.compile(
    rf"[+\-\u2212]?(?:(?<![^\W\d_])[.,\u066b])?\d(?:[\d.,'\u2019\u066b\u066c{_SPACES}]*\d)?"
)
_DASH = re.compile(r"(?<=\d)[.,]?[-\u2013\u2014]+(?!\s*\d)")  # "49,-"
_PLAIN = re.compile(r"\d+")
_GROUPED = re.compile(r"\d{1,3}(?:(?P<mark>[.,'\u2019\u066c ])\d{2,3})*(?<=[^\d]\d{3})")
# Where a message holds amounts; a version or an article number proves nothing about them.
_FIELDS = frozenset(
    {"price", "total", "value", "amount", "subtotal", "shipping", "tax", "was", "quantity"}
)


class Amount(NamedTuple):
    """A number, None where it is unknown, and the currencies that its sign may mean."""

    number: float | None
    currencies: frozenset[str] = frozenset()  # none: no sign stands there

    def fits(self, currency: str | None) -> bool:
        """Return whether the amount may be one of *currency*."""
        return not self.currencies or currency in self.currencies


_UNKNOWN = Amount(None)


def count_decimals(currency: str) -> int:
    """Return ISO 4217's exponent of a currency: the digits of its minor unit."""
    if currency in _NO_DIGITS:
        return 0
    return 3 if currency in _THREE_DIGITS else 2


def read_number(value: Json) -> float | None:
    """Return the number that *value* is for itself, or None; the message may decide more."""
    return read(value).number


def read(value: Json, currency: str | None = None, decimal: str | None = None) -> Amount:
    """
    Return the amount that a JSON value is: a number, or a text that people wrote.

    One separator with three digits behind it (1.249) is unknown, unless *currency*, or that
    of the text, has two digits or none, or *decimal* is the separator of other amounts of
    the message (``find_decimal``).
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Amount(_bound(value))
    if not isinstance(value, str) or len(value) > _MAX_CHARACTERS:
        return _UNKNOWN
    parts = _part(value)
    if parts is None:
        return _UNKNOWN
    body, currencies = parts
    known = currencies or ({currency} if currency in CURRENCIES else frozenset())
    number = _read_body(body, _Hints(decimal, bool(known) and not known & _THREE_DIGITS))
    return Amount(number, currencies)


def read_currency(value: Json) -> str | None:
    """Return the code of a currency from a code or a sign, None where it may be several."""
    found = list_currencies(value)
    return next(iter(found)) if len(found) == 1 else None


def list_currencies(value: Json) -> frozenset[str]:
    """Return the codes that a code or a sign may mean; none where it is neither."""
    found = _list_currencies(value) if isinstance(value, str) else None
    return found or frozenset()


def find_decimal(values: Json) -> str | None:
    """Return "." or "," where the texts of a message's amounts show it, all the same one."""
    return agree(_list_texts(values))


def fits_all(values: Json, currency: str) -> bool:
    """Return whether no amount of a message names another currency."""
    return all(read(text).fits(currency) for text in _list_texts(values))


def agree(texts: Iterable[str]) -> str | None:
    """Return the decimal separator that amounts show, all the same one; else None."""
    found = {mark for text in texts if (mark := _show_decimal(text))}
    return found.pop() if len(found) == 1 else None


def plain(number: float | None) -> float | int | None:
    """Return 50 for 50.0, as sentences and lists have it."""
    return int(number) if number is not None and number == int(number) else number


class _Hints(NamedTuple):
    decimal: str | None = None
    two_digits: bool = False  # no price has three digits behind its separator


def _bound(number: float) -> float | None:
    try:
        return float(number) if -LARGEST < number < LARGEST else None  # "nan" isn't either
    except OverflowError:
        return None


def _part(text: str) -> tuple[str, frozenset[str]] | None:
    """Return the digits with their separators, and the currencies beside them."""
    text = _DASH.sub("", "".join(_to_ascii(mark) for mark in text).strip())
    found = _BODY.search(text)
    if found is None:
        return None
    beside = [part.strip(_SPACES) for part in (text[: found.start()], text[found.end() :])]
    if beside[0].endswith(("-", "\u2212", "+")):  # "-€5": rare, and as good as unreadable
        return None
    named = [_list_currencies(part) for part in beside if part.strip(".")]
    if None in named or len(named) > 1:
        return None
    return found[0], (named[0] or frozenset()) if named else frozenset()


def _to_ascii(mark: str) -> str:
    """Return the Latin digit for a digit of any script, and one space for all of them."""
    if mark in _SPACES:
        return " "
    return mark if mark.isascii() or not mark.isdecimal() else str(unicodedata.decimal(mark))


def _list_currencies(text: str) -> frozenset[str] | None:
    """Return what a code or a sign may mean, None where it is neither."""
    plain = text.strip().strip(".")
    if plain.upper() in CURRENCIES:
        return frozenset({plain.upper()})
    meant = _SIGNS.get(text.strip().lower()) or _SIGNS.get(plain.lower())
    return None if meant is None else frozenset(meant.split())


def _read_body(body: str, hints: _Hints) -> float | None:
    sign = -1.0 if body[0] in "-\u2212" else 1.0
    body = body.lstrip("+-\u2212").strip()
    whole, mark, rest = _cut_decimal(body, hints)
    if mark is None or not (whole or rest):
        return None
    if whole and not _PLAIN.fullmatch(whole):
        grouped = _GROUPED.fullmatch(whole)
        marks = set(re.sub(r"\d", "", whole))
        if grouped is None or len(marks) != 1:
            return None
        whole = re.sub(r"\D", "", whole)
    return _bound(sign * float(f"{whole or 0}.{rest or 0}"))


def _cut_decimal(body: str, hints: _Hints) -> tuple[str, str | None, str]:
    """
    Return what stands before and behind the decimal separator, and "" or that between them.

    The separator is None where it may be one or not.
    """
    marks = [mark for mark in body if mark in ".,\u066b"]
    if not marks:
        return body, "", ""
    last = marks[-1]
    whole, _, rest = body.rpartition(last)
    if not (rest == "" or _PLAIN.fullmatch(rest)):
        return body, None, ""
    if last == "\u066b" or len(set(marks)) > 1:  # "1.249,00": the last is the decimal
        return whole, last if marks.count(last) == 1 else None, rest
    if len(marks) > 1:  # "1.249.000"
        return body, "", ""
    if not _is_ambiguous(whole, rest):
        return whole, last, rest
    if hints.decimal is not None:
        return (whole, last, rest) if hints.decimal == last else (body, "", "")
    return (body, "", "") if hints.two_digits else (body, None, "")


def _is_ambiguous(whole: str, rest: str) -> bool:
    """Return whether "1.249" may be grouped: with "0.750" and "1249.000" it can't be meant."""
    return len(rest) == 3 and len(whole) <= 3 and whole.isdecimal() and whole[:1] != "0"


def _show_decimal(text: str) -> str | None:
    """Return the decimal separator that an amount's text shows beyond doubt."""
    parts = _part(text) if len(text) <= _MAX_CHARACTERS else None
    if parts is None or _read_body(parts[0], _Hints()) is None:
        return None
    whole, mark, _ = _cut_decimal(parts[0].lstrip("+-\u2212"), _Hints())
    if mark in (".", ","):
        return mark
    grouped = {mark for mark in whole if mark in ".,"}  # "1.249.000": the other one
    return {".": ",", ",": "."}[grouped.pop()] if len(grouped) == 1 else None


def _list_texts(values: Json) -> Iterator[str]:
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        if isinstance(value, str) and name in _FIELDS:
            yield value
        elif isinstance(value, Mapping):
            yield from _list_texts(value)
        elif isinstance(value, list):
            for one in value:
                yield from _list_texts(one)

"""
Checks of a subscriber's fields, wherever they come from.

Each returns the value as it is kept, or raises InputError with the fault, never with the
value: that may be a secret, or an escape sequence.
"""

import math
import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import folding, limits, units
from pushctl.rules.zones import find_zone

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)
# BCP 47 wants the shorter code of ISO 639 where there is one.
_SHORTER = {
    "ara": "ar", "aze": "az", "bul": "bg", "ces": "cs", "cze": "cs", "chi": "zh", "zho": "zh",
    "dan": "da", "deu": "de", "ger": "de", "dut": "nl", "nld": "nl", "ell": "el", "gre": "el",
    "eng": "en", "fas": "fa", "per": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "heb": "he",
    "hin": "hi", "hun": "hu", "ind": "id", "ita": "it", "jpn": "ja", "kaz": "kk", "kor": "ko",
    "nor": "no", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "spa": "es",
    "swe": "sv", "tur": "tr", "ukr": "uk", "urd": "ur", "uzb": "uz", "vie": "vi",
}  # fmt: skip
_OFFSET = re.compile(r"(?:GMT|UTC)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # 16 bytes as base64url
_EMAIL_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
# What proxies say when they don't know, or for Tor.
_NOWHERE = frozenset({"XX", "ZZ", "T1"})
# What databases, scripts, pandas and spreadsheets write for "nothing".
NOTHING = frozenset(
    form
    for word in ("null", "(null)", "\\n", "none", "undefined", "nan", "nil", "n/a", "#n/a")
    for form in (word, word.upper(), word.capitalize(), "NaN")
)
# Persian and Indic words are written with joiners, French with narrow spaces; Arabic
# and Hebrew need their marks: isprintable() refuses them all.
_WRITTEN = dict.fromkeys(map(ord, "\u200c\u200d\u00a0\u202f\u200e\u200f\u061c"))


def label(text: Json, most: int = limits.MAX_LABEL_CHARACTERS) -> str:
    """Return a name on one line, 1 to *most* characters, NFC, without spaces around."""
    if not isinstance(text, str):
        raise InputError("is no text")
    usual = 0 < len(text) <= most and text.isascii() and text.isprintable()
    if usual and text[0] != " " and text[-1] != " ":
        return text  # nearly all of them, in a fifth of the time
    plain = unicodedata.normalize("NFC", text.strip())
    if not plain:
        raise InputError("is empty")
    if len(plain) > most:
        raise InputError(f"has {len(plain)} characters, more than {most}")
    if not plain.isprintable() and not plain.translate(_WRITTEN).isprintable():
        raise InputError("has control characters")
    return plain


def alias(text: Json) -> str:
    """Return the shop's own id of a person; a word for "nothing" would make many people one."""
    plain = label(text)
    if plain in NOTHING:
        raise InputError("is a word for nothing, such as null or undefined")
    return plain


def cart_key(text: Json) -> str:
    """Return the key that our script puts into a basket."""
    return _match(_KEY, text, "is no key of 22 characters of base64url")


def public_id(text: Json) -> str:
    """Return the id that names a subscription to programs."""
    return _match(_KEY, text, "is no id of 22 characters of base64url")


def email_hash(text: Json) -> str:
    """Return the keyed hash of an e-mail address (``tokens.hash_email``)."""
    return _match(_EMAIL_HASH, text, "is no hash of 64 digits of hex, in lower case")


def _match(form: re.Pattern[str], text: Json, fault: str) -> str:
    if not isinstance(text, str) or not form.fullmatch(text):
        raise InputError(fault)
    return text


@lru_cache(maxsize=4096)
def tag(text: str) -> str:
    """Return a tag's name as it is kept: a label with single spaces, and something to see."""
    plain = " ".join(label(text).split())
    if not folding.fold(plain).strip():
        raise InputError("is empty")
    return plain


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return the key of a tag: its name as it is compared."""
    return fold_tag(tag(text))


def fold_tag(name: str) -> str:
    """Return the key of a tag's name that is kept already."""
    return " ".join(folding.fold(name).split())


@lru_cache(maxsize=4096)
def language(text: str) -> str:
    """Return a BCP 47 tag such as ``pt-BR``; ``pt_BR`` is taken too."""
    plain = text.strip().replace("_", "-")
    if not _LANGUAGE.fullmatch(plain):
        raise InputError("is no language tag such as en or pt-BR")
    primary, dash, rest = plain.partition("-")
    return _SHORTER.get(primary.lower(), primary) + dash + rest


@lru_cache(maxsize=4096)
def country(text: str) -> str:
    """Return the two capital letters of ISO 3166-1."""
    plain = text.strip().upper()
    if not _COUNTRY.fullmatch(plain) or plain in _NOWHERE:
        raise InputError("is no country code of two letters")
    return plain


# Zones that are off by half or quarter hours all year. Others of these offsets, such as
# Newfoundland's, hold for half the year only.
_HALF_HOURS = {
    12_600: "Asia/Tehran", 16_200: "Asia/Kabul", 19_800: "Asia/Kolkata",
    20_700: "Asia/Kathmandu", 23_400: "Asia/Yangon", 31_500: "Australia/Eucla",
    34_200: "Australia/Darwin", -34_200: "Pacific/Marquesas",
}  # fmt: skip


@lru_cache(maxsize=4096)
def timezone(text: str) -> str:
    """Return an IANA name; an offset from UTC is taken too: 7200 seconds, +02:00, GMT+2."""

    plain = text.strip()
    seconds = None
    # OneSignal exports seconds, pandas makes 7200.0 of them.
    if re.fullmatch(r"-?\d{1,5}(?:\.0)?", plain, re.ASCII):
        seconds = int(plain.removesuffix(".0"))
    elif offset := _OFFSET.fullmatch(plain):
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        seconds = minutes * 60 * (-1 if offset[1] == "-" else 1)
    if seconds is not None:
        # POSIX counts the other way round: Etc/GMT-2 is +02:00.
        hours, rest = divmod(seconds, 3600)
        whole = f"Etc/GMT{-hours:+d}" if hours else "Etc/UTC"
        plain = _HALF_HOURS.get(seconds, "") if rest else whole
    found = find_zone(plain)
    if found is None:
        raise InputError("is no time zone such as Europe/Istanbul")
    return found.key


# Seconds below this are before 2001, when nobody could subscribe: a spreadsheet's day
# number (45123.5), a year, a date without marks (20241231).
_LEAST_SECONDS = 1e9
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)", re.ASCII)


def moment(value: Json, now: Millis) -> Millis:
    """
    Return when something happened, as files and servers write it, however long ago.

    A time of ISO 8601 (UTC where no zone is named), of "31.12.2024 13:45", or of seconds or
    milliseconds since 1970. InputError for what is not between 1970 and *now*; a clock may be
    a day ahead.
    """
    if type(value) is int and 1e11 < value <= now:
        return value
    text = value.strip() if isinstance(value, str) else str(value)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if abs(number) > 1e11:
        found = number
    elif abs(number) >= _LEAST_SECONDS:
        found = number * units.SECOND
    else:
        found = _read_iso(text)
    if not 0 <= found <= now + units.DAY:
        raise InputError("is not between 1970 and now")
    return min(int(found), now)


def _read_iso(text: str) -> float:
    if found := _DAY_FIRST.fullmatch(text):
        day, month, year, rest = found.groups()
        text = f"{year}-{month:0>2}-{day:0>2}{rest}"
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError as error:
        raise InputError("is no time such as 2026-04-28T08:00:00Z") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * units.SECOND


def free(value: Json) -> dict[str, Json]:
    """Return an object that a shop fills freely; InputError beyond the limits."""
    if not isinstance(value, dict):
        raise InputError("is no object")
    _check(value, limits.MAX_STORED_LEVELS)
    return value


# As tuples: "int | float" would be built anew for each value of each event.
_NUMBERS, _CONTAINERS = (int, float), (dict, list)


def _check(value: Json, depth: int) -> None:
    if isinstance(value, str):
        if len(value) > limits.MAX_TEXT_CHARACTERS:
            raise InputError(f"has a text of more than {limits.MAX_TEXT_CHARACTERS} characters")
        if "\0" in value:
            raise InputError("has a NUL character")
    elif isinstance(value, _NUMBERS):
        if not (math.isfinite(value) and abs(value) < limits.MAX_NUMBER):
            raise InputError("has a number beyond 2^53")
    elif isinstance(value, _CONTAINERS):
        if depth == 0:
            raise InputError(f"is more than {limits.MAX_STORED_LEVELS} levels deep")
        if len(value) > limits.MAX_LEVEL_ENTRIES:
            raise InputError(f"has more than {limits.MAX_LEVEL_ENTRIES} entries")
        if isinstance(value, dict):
            for key in value:
                label(key)
        for one in value.values() if isinstance(value, dict) else value:
            _check(one, depth - 1)

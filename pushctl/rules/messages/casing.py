"""
Capitals and small letters by the language of a text.

Only Turkish, Azeri and Dutch differ from what Python does for all (Unicode,
SpecialCasing.txt; Dutch: CLDR's root of casing). No library that is kept alive does this
without ICU's own, which has to be installed beside Python.
"""

import re

_DOTTED = frozenset({"tr", "az"})  # they have an i with a dot and one without
_WORD = re.compile(r"(ij|\w)(\S*)", re.IGNORECASE)  # what Dutch writes as one letter, first
_DIGRAPH = re.compile("ij", re.IGNORECASE)


def write_upper(text: str, language: str) -> str:
    return (text.replace("i", "İ") if _is_dotted(language) else text).upper()


def write_lower(text: str, language: str) -> str:
    if _is_dotted(language):
        text = text.replace("I\u0307", "i").replace("I", "ı").replace("İ", "i")
    return text.lower()


def write_capital(text: str, language: str) -> str:
    """Return *text* with its first letter as a capital; what follows stays as it is."""
    if language.partition("-")[0] == "nl" and _DIGRAPH.match(text):
        return "IJ" + text[2:]
    first = text[:1]
    # Not upper(): "ǆ" is two letters, and only the first is a capital.
    return (write_upper(first, language) if first == "i" else first.title()) + text[1:]


def write_title(text: str, language: str) -> str:
    """Return *text* with each word as ``write_capital`` has it."""
    capitals: dict[str, str] = {}  # a text has many words, and few different letters begin them

    def write(word: re.Match[str]) -> str:
        begin, rest = word.groups()
        if begin not in capitals:
            capitals[begin] = write_capital(begin, language)
        return capitals[begin] + rest

    return _WORD.sub(write, text)


def _is_dotted(language: str) -> bool:
    return language.partition("-")[0] in _DOTTED

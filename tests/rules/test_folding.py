"""rules/folding: one rule for tags, fields and values; what it takes for the same."""

import sys
import unicodedata

import pytest

from pushctl.errors import InputError
from pushctl.rules import conditions, folding
from pushctl.rules.web import fields

# one, other, whether they are the same, and whether a template is named after both
TABLE = [
    ("VIP", "vip", True, True),
    ("Straße", "STRASSE", True, True),
    ("ΣΊΣΥΦΟΣ", "σίσυφος", True, True),
    # Turkish: both letters i and both of their capitals.
    ("İndirim", "indirim", True, True),
    ("İNDİRİM", "indirim", True, True),
    ("i\u0307ndirim", "indirim", True, True),
    ("İzmir", "IZMIR", True, True),
    ("Iğdır", "ığdır", True, True),
    ("DİYARBAKIR", "diyarbakır", True, True),
    ("ISPARTA", "Isparta", True, True),
    ("KADIN", "kadın", True, True),
    ("şık", "sik", False, True),
    # Letters with marks: in one code point (NFC) or in two (NFD), and without.
    ("\u00c9t\u00e9", "E\u0301te\u0301", True, True),
    ("Été", "ete", False, True),
    # Compatibility (NFKC): a ligature, full width, Arabic as old software stores it.
    ("oﬃce", "office", True, True),
    ("ＶＩＰ", "vip", True, True),
    ("x²", "x2", True, True),
    ("ﺳﻠﺔ", "سلة", True, True),
    # What nobody sees: joiners, marks of direction, a soft hyphen, the picture's style.
    ("می\u200cخواهم", "میخواهم", True, True),
    ("\u200fسلة\u200e", "سلة", True, True),
    ("bas\u00adket", "basket", True, True),
    ("❤\ufe0f", "❤", True, True),
    ("big\u00a0sale", "big sale", True, True),
    ("big-sale", "big sale", False, True),
]


@pytest.mark.parametrize(("one", "other", "same", "name"), TABLE)
def test_what_is_the_same(one: str, other: str, same: bool, name: bool) -> None:
    assert (folding.fold(one) == folding.fold(other)) is same
    (condition,) = conditions.parse({"field": one})
    assert condition.holds({"field": other}) is same
    assert (folding.slug(one) == folding.slug(other)) is name


def test_every_letter_is_one_with_its_capital_in_any_spelling() -> None:
    """All assigned code points: case and Unicode form never tell two texts apart."""
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if unicodedata.category(letter) in ("Cn", "Co", "Cs"):
            continue
        folded = folding.fold(letter)
        forms = {letter.upper(), letter.lower(), letter.casefold(), folded}
        if not letter.isascii():
            forms |= {unicodedata.normalize(form, letter) for form in ("NFD", "NFKC", "NFKD")}
        assert {folding.fold(form) for form in forms} == {folded}, hex(code)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(" VIP ", "VIP", True), ("big  sale", "big sale", True), ("a \u200f b", "a b", True)],
)  # fmt: skip
def test_spaces_do_not_tell_tags_apart(one: str, other: str, same: bool) -> None:
    assert (fields.fold(one) == fields.fold(other)) is same


@pytest.mark.parametrize("name", ["", "\u200f", " \u200e\u200c "])
def test_a_tag_has_something_to_see(name: str) -> None:
    with pytest.raises(InputError, match="empty"):
        fields.fold(name)


def test_what_has_no_letter_names_no_template() -> None:
    assert folding.slug("!") == ""


def test_values_of_any_kind_are_compared_as_text() -> None:
    for found, wanted, same in (
        (True, "TRUE", True),
        (True, 1, False),
        ("1", 1.0, True),
        ("01", 1, True),
        (True, True, True),
        ("Straße", "STRASSE", True),
    ):
        (condition,) = conditions.parse({"field": wanted})
        assert condition.holds({"field": found}) is same, (found, wanted)

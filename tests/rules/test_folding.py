"""rules/folding: what each rule takes for the same, and where they differ."""

from collections.abc import Callable

import pytest

from pushctl.errors import InputError
from pushctl.rules import conditions, folding
from pushctl.rules.web import fields

Fold = Callable[[str], object]
RULES: tuple[Fold, ...] = (
    fields.fold, folding.fold_field, folding.fold_value, folding.slug
)  # fmt: skip

# one, other, and whether they are the same: a tag, a field, a value, a template's name
TABLE = [
    ("VIP", "vip", True, True, True, True),
    ("Straße", "STRASSE", True, True, True, True),
    ("ΣΊΣΥΦΟΣ", "σίσυφος", True, True, True, True),
    # Turkish: a dotted capital, and a small letter without its dot.
    ("İzmir", "izmir", False, True, False, True),
    ("İzmir", "IZMIR", False, True, False, True),
    ("Iğdır", "ığdır", False, False, False, False),
    ("DİYARBAKIR", "diyarbakır", False, False, False, False),
    ("ISPARTA", "isparta", True, True, True, True),
    # Letters with marks: in one code point (NFC) or in two (NFD), and without.
    ("\u00c9t\u00e9", "E\u0301te\u0301", True, True, False, True),
    ("Été", "ete", False, False, False, True),
    # Compatibility (NFKC): a ligature, full width.
    ("oﬃce", "office", True, True, True, True),  # by its case folding
    ("ＶＩＰ", "VIP", False, False, False, True),
    ("x²", "x2", False, False, False, True),
    # Spaces.
    (" VIP ", "VIP", True, False, False, True),
    ("big  sale", "big sale", True, False, False, True),
    ("big\u00a0sale", "big sale", True, False, False, True),
    ("big-sale", "big sale", False, False, False, True),
]


@pytest.mark.parametrize(("one", "other", "tag", "field", "value", "name"), TABLE)
def test_what_each_rule_takes_for_the_same(
    one: str, other: str, tag: bool, field: bool, value: bool, name: bool
) -> None:
    assert [fold(one) == fold(other) for fold in RULES] == [tag, field, value, name]


@pytest.mark.parametrize("text", [row[index] for row in TABLE for index in (0, 1)])
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    for fold in RULES:
        folded = fold(text)
        assert isinstance(folded, str)
        assert fold(folded) == folded


def test_a_tag_has_to_be_one_and_a_field_may_be_missing() -> None:
    with pytest.raises(InputError):
        fields.fold("")
    assert (folding.fold_field(None), folding.fold_field("")) == (None, "")
    assert folding.slug("!") == ""


def test_values_of_any_kind_are_compared_as_text() -> None:
    assert [folding.fold_value(one) for one in (True, 5, 1.5, "A")] == ["true", "5", "1.5", "a"]
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

"""
How texts are compared without regard to case: one rule for tags, cities, languages, values.

It is Unicode's compatibility caseless match (The Unicode Standard, section 3.13, D146)
with two additions. Turkish has an i with a dot and one without, and its capitals are İ and
I: which one an I was, a text does not say, so all four are one letter. Characters that
nobody sees, such as joiners and marks of direction, are left out. Marks on letters stay:
"été" is not "ete". tests/rules/test_folding.py has the table.
"""

import re
import unicodedata
from functools import lru_cache

_INVISIBLE = (
    0x00AD, 0x034F, 0x061C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
    *range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xFEFF,
)  # fmt: skip
_LETTERS: dict[int, str | None] = {**dict.fromkeys(_INVISIBLE), ord("ı"): "i"}
_DOTTED = re.compile("i\u0307+")


def fold(text: str) -> str:
    """Return *text* as it is compared: two texts that mean the same give the same."""
    return text.lower() if text.isascii() else _fold(text)


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    for _ in range(2):  # what is taken apart may be a capital
        text = unicodedata.normalize("NFKC", text).casefold()
    text = unicodedata.normalize("NFKC", text).translate(_LETTERS)
    return unicodedata.normalize("NFKC", _DOTTED.sub("i", text))


def slug(tag: str) -> str:
    """Return a tag's template: "Abandoned basket 1" -> "abandoned_basket_1". For send --tag."""
    folded = unicodedata.normalize("NFKD", fold(tag))
    letters = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.sub(r"\W+", "_", letters).strip("_")[:100]

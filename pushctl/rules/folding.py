"""
How texts are compared without regard to case: one rule for each kind of text.

They differ in Turkish letters, spelling (NFC) and spaces: tests/rules/test_folding.py has
the table. Which one wins is still to be decided.
"""

import re
import unicodedata

from pushctl.model import Json


def fold_tag(name: str) -> str:
    """Fold a name that fields.tag returned. For web/fields.fold, thus all of store/tags."""
    return unicodedata.normalize("NFC", name.casefold())


def fold_field(text: str | None) -> str | None:
    """Fold cities, attributes, ...: İzmir is izmir. For store/audience, in SQL too."""
    if text is None:
        return None
    return unicodedata.normalize("NFC", text.casefold().replace("i\u0307", "i"))


def fold_value(value: Json) -> str:
    """Fold a value of an event or a basket. For rules/conditions."""
    return str(value).casefold()


def slug(tag: str) -> str:
    """Return a tag's template: "Abandoned basket 1" -> "abandoned_basket_1". For send --tag."""
    folded = unicodedata.normalize("NFKD", tag.casefold())
    letters = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.sub(r"\W+", "_", letters).strip("_")[:100]

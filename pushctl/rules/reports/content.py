"""
What a report says, before it is a page: cards, and sections of texts, charts and tables.

Everything is text for people, in the reader's language, not escaped yet; charts alone are
finished SVG (``rules/reports/svg``), whose texts are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Card:
    """
    One figure at the top of a report.

    *value* is how it is read, *detail* its interval or what it is of, *before* the same of
    the time before ("" where there is none); *trend* draws a small line.
    """

    label: str
    value: str
    detail: str = ""
    before: str = ""
    trend: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """*headings* and *rows* of the same length; columns in *figures* are numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: frozenset[int] = frozenset()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """
    A part of a report: *charts* first, then *tables*, then *notes*.

    *empty* says why there is nothing, where that is so. *slug* names it in the page's
    address and in an e-mail's pictures.
    """

    slug: str
    title: str
    intro: str = ""
    charts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report in *language*; *color* is the site's own, "#b04a26"."""

    title: str
    subtitle: str
    made: str  # when, and by which rule
    language: str
    mirrored: bool  # right to left
    color: str
    cards: Sequence[Card] = ()
    sections: Sequence[Section] = field(default=())
    notes: Sequence[str] = ()

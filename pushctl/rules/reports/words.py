"""Words of a report in the reader's language, and how figures are written in it."""

import tomllib
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from typing import cast

from pushctl.rules.figures.statistics.intervals import Interval
from pushctl.rules.messages import languages, localized
from pushctl.rules.money import Money

_ENGLISH = "en"
UNKNOWN = "–"


class Words:
    """The words of one *language*; what it lacks is read in English."""

    def __init__(self, language: str) -> None:
        known = _load()
        chosen = next((tag for tag in languages.list_own(language) if tag in known), _ENGLISH)
        self.language = chosen
        self._words = {**known[_ENGLISH], **known[chosen]}

    def say(self, key: str, **values: str) -> str:
        """Return the words of *key* with *values* filled in; KeyError for an unknown key."""
        return str(self._words[key]).format(**values)

    def join(self, parts: Iterable[str]) -> str:
        """Return *parts* with the language's comma between them."""
        return self.say("comma").join(parts)

    @property
    def days(self) -> Sequence[str]:
        """The names of the days, Monday first."""
        return cast("list[str]", self._words["days"])

    def count(self, value: float | None) -> str:
        return UNKNOWN if value is None else localized.format_number(value, self.language)

    def share(self, value: float | None) -> str:
        """Return a fraction as per cent, with one digit behind the point."""
        return UNKNOWN if value is None else localized.format_percent(value, self.language)

    def interval(self, found: Interval) -> str:
        """Return "6.9 % (6.8 % to 7.1 %)", or that it is unknown."""
        if found.value is None:
            return UNKNOWN
        ends = f"{self.share(found.low)}–{self.share(found.high)}"
        return f"{self.share(found.value)} ({ends})"

    def money(self, amounts: Sequence[Money]) -> str:
        """Return several currencies apart: "€1,240.50 + $300.00"."""
        if not amounts:
            return UNKNOWN
        return " + ".join(localized.format_money(each, self.language) for each in amounts)

    def day(self, day: date) -> str:
        return localized.format_date(day, self.language, "long")

    def short_day(self, day: date) -> str:
        return localized.format_short_day(day, self.language)


@cache
def _load() -> dict[str, dict[str, object]]:
    return tomllib.loads(files(__package__).joinpath("words.toml").read_text("utf-8"))


def list_languages() -> list[str]:
    return list(_load())

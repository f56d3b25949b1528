"""What kinds of message there are, for after which of them people leave."""

import tomllib
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from pushctl.jobs.figures.recount.world import World
from pushctl.rules.figures.tables import leaving as rules
from pushctl.rules.messages.lint import asks

# Form, length, hour, language and browser of a message.
_Words = tuple[str | None, str | None, str | None, str | None, str | None]
# The number of a message's words, and the place of its week's messages in FREQUENCIES.
Kind = tuple[int, int]
Group = tuple[str, str | None]
_NAMES = ("form", "length", "hour", "language", "browser")
_STRETCHES = tuple(pairwise((*rules.HOURS, 24)))


class Kinds:
    """Numbers the kinds of messages; *texts* are the sources of campaigns, by number."""

    def __init__(self, world: World, texts: Mapping[int, Mapping[str, str]]) -> None:
        self._browsers, self._texts = world.browsers, texts
        self._numbers: dict[_Words, int] = {}
        self._words: list[_Words] = []
        self._groups: dict[Kind, tuple[Group, ...]] = {}
        self._describe = cache(self._describe_title)

    def find(
        self, campaign: int, language: str | None, variant: str | None, hour: int, browser: int
    ) -> int:
        """Return the number of a kind; *hour* of the week, *browser* by its place in words."""
        form, length = self._describe(campaign, language, variant)
        words = form, length, _STRETCH_OF[hour % 24], language, self._browsers[browser]
        number = self._numbers.setdefault(words, len(self._words))
        if number == len(self._words):
            self._words.append(words)
        return number

    def find_groups(self, kind: Kind) -> tuple[Group, ...]:
        """Return the groups that messages of *kind* are in."""
        number, week = kind
        if kind not in self._groups:
            self._groups[kind] = (
                ("message", "any message"),
                ("frequency", rules.FREQUENCIES[week][1]),
                *zip(_NAMES, self._words[number], strict=True),
            )
        return self._groups[kind]

    def _describe_title(
        self, campaign: int, language: str | None, variant: str | None
    ) -> tuple[str | None, str | None]:
        """Return form and length of the title that was sent, None where it is not known."""
        texts = self._texts.get(campaign, {})
        title = _read_title(texts.get(f"{language}.{variant}.toml", ""))
        title = title or _read_title(texts.get(f"{language}.toml", ""))
        if title is None:
            return None, None
        form = "question" if asks(title, str(language)) else "statement"
        if "{{" in title or "{%" in title:
            return form, None
        return form, next(word for most, word in rules.LENGTHS if len(title) <= most)


_STRETCH_OF = [
    next(f"{begin:02}-{end:02}" for begin, end in _STRETCHES if begin <= hour < end)
    for hour in range(24)
]


def _read_title(text: str) -> str | None:
    try:
        title = tomllib.loads(text).get("title")
    except tomllib.TOMLDecodeError:
        return None
    return " ".join(title.split()) if isinstance(title, str) else None

"""What kinds of message there are, for after which of them people leave."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pushctl.jobs.figures.recount.world import Hours, World
from pushctl.rules.figures import leaving as rules
from pushctl.rules.messages.lint import asks

# Form, length, hour, language and browser of a message.
_Words = tuple[str | None, str | None, str | None, str | None, str | None]
_NAMES = ("form", "length", "hour", "language", "browser")
_STRETCHES = tuple(pairwise((*rules.HOURS, 24)))


class Kinds:
    """Numbers the kinds of messages; *texts* are the sources of campaigns, by number."""

    def __init__(self, world: World, texts: Mapping[int, Mapping[str, str]]) -> None:
        self._world, self._texts, self._hours = world, texts, Hours(world.clocks)
        self._numbers: dict[_Words, int] = {}
        self._words: list[_Words] = []
        self._describe = cache(self._describe_title)

    def find(
        self, campaign: int, language: str | None, variant: str | None, place: int, quarter: int
    ) -> int:
        world = self._world
        form, length = self._describe(campaign, language, variant)
        hour = self._hours[world.zone[place], quarter] % 24
        words = form, length, _STRETCH_OF[hour], language, world.browsers[world.browser[place]]
        number = self._numbers.setdefault(words, len(self._words))
        if number == len(self._words):
            self._words.append(words)
        return number

    def list_groups(self, number: int, week: int) -> Iterator[tuple[str, str | None]]:
        """Yield the groups of a message: of a kind, and so many in the week up to it."""
        yield "message", "any message"
        yield "frequency", next(word for most, word in rules.FREQUENCIES if week <= most)
        yield from zip(_NAMES, self._words[number], strict=True)

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

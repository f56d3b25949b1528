"""The topic of a campaign: a word by which its figures are grouped ("promotion", "news")."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache

from pushctl.errors import InputError

_TOPIC = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
REMEDY = 'Write a word of small letters, digits, - and _: topic = "promotion".'


def is_topic(word: str) -> bool:
    return _TOPIC.fullmatch(word) is not None


def check(word: str) -> str:
    """Return *word*; raises InputError where it can be no topic."""
    if not is_topic(word):
        raise InputError(f"{word!r} is no topic. {REMEDY}")
    return word


def read_topic(sources: Mapping[str, str]) -> str | None:
    """Return the topic in a template's message.toml; its sources are checked before."""
    return _read(sources.get("message.toml", ""))


@lru_cache(maxsize=64)
def _read(source: str) -> str | None:
    try:
        found = tomllib.loads(source).get("topic")
    except tomllib.TOMLDecodeError:
        return None
    return found if isinstance(found, str) else None

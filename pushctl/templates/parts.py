"""The checked parts of a template, as parse.py reads them and text.py renders them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pushctl.errors import Problem
from pushctl.model import Json
from pushctl.rules import units
from pushctl.templates import sandbox
from pushctl.templates.phrases import Phrases

DEFAULT_TTL_SECONDS = units.DAY // units.SECOND


@dataclass(frozen=True)
class Settings:
    ttl: int = DEFAULT_TTL_SECONDS  # seconds that a push service keeps them
    urgency: str = "normal"
    # a newer message of the same campaign replaces a waiting one
    replace_waiting: bool = True
    topic: str | None = None  # what the campaign is about, for figures
    promo: str | None = None  # the pool of its promo codes, where nothing else names one
    lint_off: frozenset[str] = frozenset()  # rules of `templates lint` that don't hold for it


@dataclass(frozen=True)
class Part:
    """One string of a message: a constant, or a checked source."""

    slot: str  # "title", "url", "action:open:title"
    constant: str | None
    source: sandbox.Field | None


@dataclass(frozen=True)
class Thanks:
    """What is shown in the place of a text to who has bought: its own file."""

    file: str  # "tr.bought.toml"
    parts: Mapping[str, Part]
    reviewed: bool


@dataclass(frozen=True)
class TextParts:
    """The content of one text file, joined with message.toml."""

    file: str
    segment: str | None
    language: str
    variant: str | None  # None: the plain file
    dir: str
    parts: tuple[Part, ...]
    reviewed: bool  # false: nobody who speaks the language has read it
    of: str | None  # of which text it is a translation: see translations.py
    words: str  # the hash of its own words
    thanks: Thanks | None = None  # its parts are among *parts*


@dataclass
class Parsed:
    """All files of one template; *problems* is empty when it can be used."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    require_interaction: bool = False
    silent: bool = False
    values: Mapping[str, Json] = field(default_factory=dict)
    phrases: Phrases = field(default_factory=dict)
    utm: Mapping[str, str] | bool = True  # parameters beside the site's; False: no link has any
    texts: list[TextParts] = field(default_factory=list)

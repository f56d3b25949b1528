"""
templates/ -> Message.

A template is a folder of TOML files: ``message.toml`` for all languages, one file for each
language, folders for segments. ``read`` takes a snapshot of the sources,
``Template.from_sources`` checks it, ``choose`` finds the text for a receiver, and
``Text.render`` makes the Message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pushctl.errors import Problem, TemplateError
from pushctl.rules.messages import languages
from pushctl.rules.messages.arms import unpack
from pushctl.templates.files import is_name, list_names, read
from pushctl.templates.parse import parse
from pushctl.templates.parts import Settings
from pushctl.templates.text import Text, find_size_problem

__all__ = [
    "Settings",
    "Template",
    "Text",
    "check",
    "examine",
    "find_problems",
    "is_name",
    "list_names",
    "read",
]

_KEPT_TEMPLATES = 64


@dataclass(frozen=True)
class Template:
    """All texts of one template, checked and compiled."""

    name: str
    settings: Settings
    texts: tuple[Text, ...]
    # of an experiment between whole templates: the other arms', by variant
    arms: Mapping[str, "Template"] = field(default_factory=dict)
    _chosen: dict[object, Text] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_sources(cls, name: str, sources: Mapping[str, str]) -> "Template":
        """
        Return the template of *sources* (relative file -> text), with its other arms.

        Raises TemplateError with every problem of every file.
        """
        return _build(name, tuple(sources.items()))

    @property
    def all_texts(self) -> tuple[Text, ...]:
        """The texts of this template and of the other arms'."""
        return sum((each.texts for each in self.arms.values()), self.texts)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a text for all segments."""
        return tuple(sorted({text.language for text in self.texts if text.segment is None}))

    def has_language(self, tag: str) -> bool:
        """Return whether readers of *tag* have a text of their own."""
        return not set(languages.list_own(tag)).isdisjoint(self.languages)

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments that have texts of their own."""
        return tuple(sorted({text.segment for text in self.all_texts if text.segment}))

    @property
    def variants(self) -> tuple[str, ...]:
        """("a",), or ("a", "b") and so on: "a" is the plain file."""
        return ("a", *sorted({text.variant for text in self.texts if text.variant != "a"}))

    def choose(
        self,
        language: str | None,
        segments: Sequence[str],
        default_language: str,
        variant: str | None = None,
    ) -> Text:
        """
        Return the text for a reader of *language* who is in *segments*.

        The reader's own language first ("pt-BR", then "pt"), then the site's; within
        each a segment's text before the general one; a variant's file where there is
        one. A file is taken whole. Raises TemplateError when even the site's language
        has no text: look once per site before sending.
        """
        if variant is not None and variant in self.arms:
            return self.arms[variant].choose(language, segments, default_language)
        key = (language, tuple(segments), default_language, variant)
        found = self._chosen.get(key)
        if found is None:
            found = self._chosen[key] = self._choose(*key)
        return found

    def _choose(
        self,
        language: str | None,
        segments: tuple[str, ...],
        default_language: str,
        variant: str | None,
    ) -> Text:
        by_place = {(it.segment, it.language, it.variant): it for it in self.texts}
        for chain in (
            languages.list_own(language),
            languages.list_own(default_language),
        ):
            for segment in (*segments, None):
                for name in chain:
                    for kind in (variant or "a", "a"):
                        text = by_place.get((segment, name, kind))
                        if text is not None:
                            return text
        raise TemplateError(
            f"template {self.name!r} has no text in {default_language!r}, the site's "
            f"language. Write templates/{self.name}/{default_language}.toml."
        )


# What one command reads twice is compiled once: 50 ms a template of five languages.
@lru_cache(maxsize=_KEPT_TEMPLATES)
def _build(name: str, files: tuple[tuple[str, str], ...]) -> Template:
    own, others = unpack(dict(files))
    arms = {
        variant: Template.from_sources(template, sources)
        for variant, (template, sources) in others.items()
    }
    parsed = parse(name, own)
    texts = tuple(Text(parsed, parts) for parts in parsed.texts)
    if not parsed.problems:
        parsed.problems.extend(filter(None, map(find_size_problem, texts)))
    if parsed.problems:
        raise TemplateError(f"template {name!r} can't be used", parsed.problems)
    return Template(name, parsed.settings, texts, arms)


def check(folder: Path, default_languages: Sequence[str] = ()) -> list[Problem]:
    """Return every problem of every template below *folder*."""
    return [
        it
        for name in list_names(folder)
        for it in find_problems(folder, name, default_languages)
    ]


def find_problems(
    folder: Path, name: str, default_languages: Sequence[str] = ()
) -> list[Problem]:
    """Return every problem of one template; a site's language without text is one."""
    return examine(folder, name, default_languages)[1]


def examine(
    folder: Path, name: str, default_languages: Sequence[str] = ()
) -> tuple[Template | None, list[Problem]]:
    """Return the template, None where it can't be used, with every problem of it."""
    try:
        template = Template.from_sources(name, read(folder, name))
    except TemplateError as error:
        return None, list(error.problems)
    return template, [
        Problem(
            f"templates/{name}",
            f"no text in {language!r}, which is a site's language",
            f"Write {language}.toml.",
        )
        for language in dict.fromkeys(default_languages)
        if not template.has_language(language)
    ]

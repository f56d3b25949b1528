"""
Marks in a language's file, written by command: what it translates, and who has read it.

``of`` names the text that a translation was made of; it goes wrong by itself once that text
changes. ``reviewed = false`` goes away once somebody who speaks the language has read it.
"""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pushctl import durable, templates
from pushctl.config import Config
from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.messages.preview import load
from pushctl.templates import Template, Text, translations


@dataclass(frozen=True, slots=True)
class Marked:
    template: str
    file: str
    of: str | None  # the language that it translates; None: it is the text itself
    changed: bool  # the file; else it said so already
    copied: bool  # word for word the text that it should translate


def mark(
    config: Config, names: Sequence[str], tags: Sequence[str], *, reviewed: bool
) -> Iterator[Marked]:
    """
    Write down that the texts in the languages *tags* say what they translate says today.

    With *reviewed* also that somebody who speaks the language has read them. No *names*:
    all templates that have such a text. Raises NotFoundError where there is none.
    """
    found = 0
    for name in names or templates.list_names(config.templates):
        template = load(config, name)
        texts = [text for text in template.texts if text.language in tags]
        if names and not texts:
            raise NotFoundError(f"templates/{name} has no text in {' or '.join(tags)}")
        for text in texts:
            found += 1
            yield _mark_text(config, template, text, reviewed=reviewed)
        if reviewed:
            yield from _mark_thanks(config, template, texts)
    if not found:
        raise NotFoundError(f"no template has a text in {' or '.join(tags)}")


def _mark_text(config: Config, template: Template, text: Text, *, reviewed: bool) -> Marked:
    main = _find_main(config, template, text)
    if main is None and not reviewed:
        raise UsageError(
            f"{text.place} translates no other text: the site's language is {text.language}, "
            "or there is no text in it beside this one"
        )
    file = config.templates / template.name / text.file
    changed = _write_marks(
        file, None if main is None else translations.describe_source(main), reviewed
    )
    of = None if main is None else main.language
    copied = main is not None and main.words == text.words
    return Marked(template.name, text.file, of, changed, copied)


def _mark_thanks(config: Config, template: Template, texts: Sequence[Text]) -> Iterator[Marked]:
    """Mark what buyers see in the place of *texts* as read; it has no ``of``."""
    for name in dict.fromkeys(text.thanks.file for text in texts if text.thanks):
        changed = _write_marks(config.templates / template.name / name, None, reviewed=True)
        yield Marked(template.name, name, None, changed, copied=False)


def _write_marks(file: Path, of: str | None, reviewed: bool) -> bool:
    """Write the marks into *file*; return whether that changed it."""
    before = file.read_text("utf-8-sig")
    after = translations.write_marks(before, of, reviewed)
    if after != before:
        durable.replace(file, after.encode(), stat.S_IMODE(file.stat().st_mode))
    return after != before


def _find_main(config: Config, template: Template, text: Text) -> Text | None:
    """Return the text that *text* translates: the one it names, else the site's language's."""
    beside = {
        it.language: it
        for it in template.texts
        if (it.segment, it.variant) == (text.segment, text.variant) and it is not text
    }
    named = (text.of or "").partition(" ")[0]
    defaults = [site.language for site in config.sites.values()]
    if text.language in defaults and named not in beside:
        return None
    return next((beside[tag] for tag in (named, *defaults) if tag in beside), None)

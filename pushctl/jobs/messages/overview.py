"""All templates at a glance: languages, sizes, and the texts that need somebody's eye."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, Problem, TemplateError
from pushctl.model import Json
from pushctl.rules.messages import packs, payload
from pushctl.templates import Template, Text
from pushctl.templates.text import build_sample
from pushctl.templates.translations import find_standing


@dataclass(frozen=True, slots=True)
class Summary:
    name: str
    languages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # languages of the sites without a text
    outdated: tuple[str, ...] = ()  # these three: see templates.translations.Standing
    copied: tuple[str, ...] = ()
    unreviewed: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    bytes: int | None = None  # of the largest message; None: it can't be used
    problems: tuple[Problem, ...] = ()


def list_templates(config: Config) -> Iterator[Summary]:
    sites = config.sites.values()
    defaults = [site.language for site in sites]
    written = list(dict.fromkeys(it for site in sites for it in site.written_languages))
    for name in templates.list_names(config.templates):
        template, problems = templates.examine(config.templates, name, defaults)
        if template is None:
            yield Summary(name, problems=tuple(problems))
        else:
            values = [packs.collect_values(site, name) for site in sites]
            yield summarise(template, written, values, problems)


def summarise(
    template: Template,
    written: Sequence[str],
    sites: Sequence[Mapping[str, Json]],
    problems: Sequence[Problem] = (),
) -> Summary:
    """
    Return what stands in the list for *template*.

    *written* are the sites' languages, *sites* their values (``packs.collect_values``).
    """
    sizes = (_measure(text, site) for text in template.texts for site in sites)
    standing = find_standing(template.texts)
    return Summary(
        template.name,
        template.languages,
        tuple(tag for tag in written if not template.has_language(tag)),
        *standing,
        template.variants,
        template.segments,
        max(filter(None, sizes), default=None),
        tuple(problems),
    )


def _measure(text: Text, site: Mapping[str, Json]) -> int | None:
    try:
        return payload.frame(text.render({**build_sample(text), "site": site})).size
    except (TemplateError, InputError):
        return None  # it reads lists or numbers, which a sample has not

"""How many people read a language in which a text is missing, and what they get instead."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pushctl.config import Config, Site
from pushctl.errors import TemplateError
from pushctl.rules.messages import languages
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.templates import Template

# Site, the language of some of its people (None: unknown), how many they are.
Counts = Iterable[tuple[str, str | None, int]]


@dataclass(frozen=True, slots=True)
class Missing:
    """People who read a language of their site's, and get a text in another one."""

    site: str
    reads: str
    gets: str
    people: int

    def __str__(self) -> str:
        get = "gets" if self.people == 1 else "get"
        read = "reads" if self.people == 1 else "read"
        people = counted(self.people, "person", "people")
        return f"{people} who {read} {self.reads} {get} {self.gets}"


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads what: of an audience, or of everybody."""

    texts: dict[str, int]  # language of the text -> people
    missing: tuple[Missing, ...] = ()  # the most people first
    unknown: int = 0  # people whose language nobody knows: they get their site's


def count_readers(config: Config, template: Template, counts: Counts) -> Readers:
    """
    Return who reads which of the *template*'s texts.

    Raises TemplateError for people of a site that isn't in pushctl.toml, and where a site's
    own language has no text.
    """
    texts: Counter[str] = Counter()
    missing: Counter[tuple[str, str, str]] = Counter()
    unknown = 0
    for name, language, people in counts:
        site = config.sites.get(name)
        if site is None:
            raise TemplateError(
                f"{people:,} receivers belong to the site {name!r}, which isn't in "
                f"{config.file.name}. Add it, or leave them out: --where \"site = 'shop'\""
            )
        text = template.choose(language, (), site.language)
        texts[text.language] += people
        reads = find_written(site, language)
        if not language:
            unknown += people
        elif reads and text.language not in languages.list_own(language):
            missing[name, reads, text.language] += people
    found = tuple(Missing(*key, people) for key, people in missing.most_common())
    return Readers(dict(texts.most_common()), found, unknown)


def find_written(site: Site, language: str | None) -> str | None:
    """Return the nearest language of *site* that a reader of *language* reads, if any."""
    own = languages.list_own(language)
    return next((tag for tag in own if tag in site.written_languages), None)


def find_missing(
    store: Store, config: Config, found: Sequence[Template]
) -> dict[str, tuple[Missing, ...]]:
    """Return template -> which of all active people lack a text in it; without: none do."""
    # Of sites that pushctl.toml no longer has, other checks tell.
    counts = [it for it in store.reports.count_all_languages() if it[0] in config.sites]
    missing = {}
    for template in found:
        try:
            missing[template.name] = count_readers(config, template, counts).missing
        except TemplateError:
            continue  # no text in a site's own language: a problem of its own
    return {name: some for name, some in missing.items() if some}

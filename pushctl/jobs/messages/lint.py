"""
Holds templates against the rules of rules/messages/lint, with what is known of their readers.

Each text is rendered with sample values; so a long name may still cut what is short here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pushctl import templates, web
from pushctl.config import Config, Site
from pushctl.errors import InputError, TemplateError
from pushctl.jobs.messages.missing_languages import find_missing
from pushctl.jobs.messages.samples import make_samples
from pushctl.model import Json
from pushctl.rules.limits import LINK_SECONDS
from pushctl.rules.messages import languages, lint, packs, payload
from pushctl.rules.messages.lint import Finding, Look
from pushctl.store import Store
from pushctl.templates import Template, Text

_PERSONAL = ("subscriber.", "attributes.")
_STAND_IN = "%E2%80%B9"  # the "‹" of a sample, in an address


def lint_templates(
    config: Config,
    store: Store | None,
    names: Sequence[str] = (),
    *,
    online: bool = False,
    unusable: list[str] | None = None,
) -> Iterator[Finding]:
    """
    Yield what could be better in the templates called *names*, or in all.

    With *store* people are counted who lack a value or a language. With *online* the links
    to the sites themselves are asked for. A template that can't be used is left out: that
    is an error, which `check` and `templates list` show; its name is added to *unusable*.
    Raises NotFoundError for an unknown name.
    """
    said: set[Finding] = set()
    for name in names or templates.list_names(config.templates):
        try:
            sources = templates.read(config.templates, name)
            template = Template.from_sources(name, sources)
        except TemplateError:
            if names:
                raise
            if unusable is not None:
                unusable.append(name)
            continue
        for one in lint_template(config, store, template, online=online):
            if one not in said:
                said.add(one)
                yield one


def lint_template(
    config: Config, store: Store | None, template: Template, *, online: bool = False
) -> Iterator[Finding]:
    """Yield what could be better in one template; as ``lint_templates``."""
    off = {*config.lint.off, *template.settings.lint_off}
    dead: dict[str, str | None] = {}  # each address is asked once
    found: list[Finding] = []
    for text in template.all_texts:
        site = find_site(config, text.language)
        context = {**make_samples(text), "site": packs.collect_values(site, template.name)}
        try:
            message = text.render(context)
            size = payload.frame(message).size
        except (TemplateError, InputError):
            continue  # a sample of the wrong type proves nothing
        names = _find_names(site, text)
        whole = Look(text.place, message, size, (site.origin, *site.origins), names)
        brand = f"{config.file.name}: sites.{site.name}.brand"
        for look in _list_looks(whole, text):
            for one in lint.list_findings(look, off):
                # Lacking, it is lacking in every template: said of the site, once.
                found.append(replace(one, place=brand) if one.rule == "icon" else one)
            if online and "link" not in off:
                found += _find_dead(config, look, dead)
    if "no_default" not in off:
        found += _find_undefaulted(config, store, template)
    yield from _join_places(found)
    yield from _find_languages(config, store, template, off)


def _list_looks(look: Look, text: Text) -> Iterator[Look]:
    """Yield *look* at *text*, and one at what who has bought sees in its place."""
    yield look
    thanks = payload.find_thanks(look.message)
    if thanks and text.thanks:
        # They travel with the text, whose size has both.
        place = f"templates/{text.template}/{text.thanks.file}"
        yield replace(look, place=place, message=thanks, size=0)


def _join_places(found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield what holds of several texts once: "templates/sale (ar, en, tr)"."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        files = places.setdefault((one.rule, one.fault, one.remedy), [])
        if one.place not in files:
            files.append(one.place)
    for (rule, fault, remedy), files in places.items():
        place = files[0]
        if files[1:]:
            names = [file.rpartition("/")[2].removesuffix(".toml") for file in files]
            place = f"{place.rpartition('/')[0]} ({', '.join(names)})"
        yield Finding(rule, place, fault, remedy)


def find_site(config: Config, tag: str) -> Site:
    """Return the first site that writes in *tag*, else the first of all."""
    own = languages.list_own(tag)
    writing = (it for it in config.sites.values() if set(own) & set(it.written_languages))
    return next(writing, config.first_site)


def _find_names(site: Site, text: Text) -> frozenset[str]:
    """Return words that may stand in capitals: the brand's, and codes of the template."""
    own = [value for value in text.own.values() if isinstance(value, str)]
    return frozenset(" ".join([site.brand.name, *own]).split())


# --- values that people lack -----------------------------------------------------------


def _find_undefaulted(
    config: Config, store: Store | None, template: Template
) -> Iterator[Finding]:
    """Yield the values of people that a text can't do without, with how many lack them."""
    needed = {text: list_undefaulted(config, text) for text in template.all_texts}
    paths = sorted({path for some in needed.values() for path in some})
    lacking: Mapping[str, int] = {}
    people = 0
    if store is not None and paths:
        counts, people = store.reports.count_lacking(paths)
        lacking = dict(zip(paths, counts, strict=True))
    for text, some in needed.items():
        for path in some:
            if store is None or lacking[path]:
                fault = lint.describe_lacking(path, lacking.get(path), people)
                yield Finding("no_default", text.place, fault, lint.suggest_default(path))


def list_undefaulted(config: Config, text: Text) -> list[str]:
    """Return the variables about the person whose absence leaves them without *text*."""
    site = packs.collect_values(find_site(config, text.language), text.template)
    context = {**make_samples(text), "site": site}
    try:
        text.render(context)
    except (TemplateError, InputError):
        return []
    found = []
    for path in sorted(text.variables):
        if path.startswith(_PERSONAL) and path.count(".") and not path.endswith("."):
            try:
                text.render(_without(context, path.split(".")))
            except TemplateError:
                found.append(path)
    return found


def _without(table: Mapping[str, Any], path: Sequence[str]) -> dict[str, Json]:
    first, *rest = path
    if not rest:
        return {key: value for key, value in table.items() if key != first}
    return {**table, first: _without(table[first], rest)}


# --- languages -------------------------------------------------------------------------


def _find_languages(
    config: Config, store: Store | None, template: Template, off: set[str]
) -> Iterator[Finding]:
    place = f"templates/{template.name}"
    written = {tag for site in config.sites.values() for tag in site.written_languages}
    if "missing_language" not in off:
        missing = find_missing(store, config, [template]) if store is not None else {}
        said = {it.reads: it for it in missing.get(template.name, ())}
        for tag in sorted(written):
            if not template.has_language(tag):
                reads = f": {said[tag]}" if tag in said else ""
                fault, remedy = f"no text in {tag}{reads}", f"Write {tag}.toml."
                yield Finding("missing_language", place, fault, remedy)
    if "extra_language" not in off:
        for tag in template.languages:
            if not any(tag in languages.list_own(one) for one in written):
                fault = lint.describe_extra(tag, written)
                remedy = "Add it to the site's languages, or remove the file."
                yield Finding("extra_language", f"{place}/{tag}.toml", fault, remedy)


# --- links -----------------------------------------------------------------------------

_DEAD = "Write an address that answers."


def _find_dead(config: Config, look: Look, dead: dict[str, str | None]) -> Iterator[Finding]:
    """Yield the links that do not answer; *dead* remembers what was asked."""
    for what, url in lint.list_links(look.message):
        if url not in dead:
            dead[url] = _ask(config, url)
        if why := dead[url]:
            yield Finding("link", look.place, f"{what} is dead: {url}: {why}", _DEAD)


def _ask(config: Config, url: str) -> str | None:
    """Return why *url* is dead; None where it answers, is another's, or holds a sample."""
    if _STAND_IN in url:
        return None
    origins = [it for site in config.sites.values() for it in (site.origin, *site.origins)]
    if not any(url.startswith(f"{origin}/") for origin in origins):
        return None
    there = config.push.loopback
    policy = web.probe(LINK_SECONDS, there.hosts, there.ca)
    try:
        web.request(url, policy)
    except web.WebError as error:
        return str(error)
    return None

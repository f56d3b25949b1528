"""A site's service worker: where it is, what browsers make of it, what it loads."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from pushctl import web
from pushctl.config import Config, Site
from pushctl.jobs.project.check_notes import Finding, Level, fine
from pushctl.jobs.project.live.compare_scripts import (
    Comparison,
    find_answer_fault,
    find_stale_worker,
)
from pushctl.jobs.project.live.http import Asker, explain, name_target, quote, resolve
from pushctl.rules.web import embeds, scripts
from pushctl.rules.web.embeds import Embed

AREA = "worker"
_FILE = "pushctl-sw.js"


def look(
    config: Config, asker: Asker, comparison: Comparison | None, site: Site, embed: Embed
) -> Iterator[Finding]:
    """Yield what is right and wrong with the worker of *site*; *embed* says where it is."""
    url = resolve(f"{site.origin}/", embed.worker)
    place = f"{site.origin}{urlsplit(url).path}" if url else site.origin
    if not url.startswith(f"{site.origin}/"):
        text = f"pages name the worker {quote(embed.worker)}, which is not on this origin"
        remedy = "Browsers run only a worker of the page's own origin: see docs/embedding.md."
        yield Finding(AREA, Level.PROBLEM, site.origin, text, remedy)
        return
    try:
        seen = asker.look(url, headers=["Service-Worker: script"])
    except web.WebError as error:
        text = f"does not answer: {explain(error)}"
        yield Finding(AREA, Level.PROBLEM, place, text, _tell_line(config, asker, site))
        return
    if (fault := find_answer_fault(seen)) is not None:
        text, remedy = fault
        if seen.status in (404, 410):
            text = "is not there: nobody can subscribe"
            remedy = _tell_line(config, asker, site)
        yield Finding(AREA, Level.PROBLEM, place, text, remedy)
        return
    found = [*_check_scope(place, url, embed.scope, seen)]
    found += _check_content(config, asker, comparison, site, place, seen)
    found += find_stale_worker(AREA, place, seen)
    right = fine(AREA, place, f"is served as browsers want it, for {embed.scope}")
    yield from found or [replace(right, place=place)]


def _tell_line(config: Config, asker: Asker, site: Site) -> str:
    query = f"?site={site.name}" if len(config.sites) > 1 else ""
    url = asker.receiver or "https://..."
    return f'Put there this one line: importScripts("{url}/{_FILE}{query}");'


def _check_scope(place: str, url: str, scope: str, seen: web.Seen) -> Iterator[Finding]:
    """Check that the scope is one that the worker may have (Service Workers, section 4.1)."""
    folder = urlsplit(url).path.rpartition("/")[0] + "/"
    allowed = seen.find("service-worker-allowed")
    most = urlsplit(resolve(url, allowed)).path if allowed else folder
    if urlsplit(resolve(url, scope)).path.startswith(most or "/"):
        return
    text = f"may only have the scope {quote(most)}, and pages ask for {quote(scope)}"
    remedy = f"Send the header Service-Worker-Allowed: {scope} with it, or change its place."
    yield Finding(AREA, Level.PROBLEM, place, text, remedy)


def _check_content(
    config: Config,
    asker: Asker,
    comparison: Comparison | None,
    site: Site,
    place: str,
    seen: web.Seen,
) -> Iterator[Finding]:
    """Check that the worker is pushctl's, or loads it: from the receiver, or from its site."""
    text = seen.body.decode("utf-8", "replace")
    imports = [
        address
        for written in embeds.list_imports(text)
        if urlsplit(address := resolve(place, written)).path.endswith(f"/{_FILE}")
    ]
    if not imports and scripts.read_settings(text) is None:
        said = "is not pushctl's worker: no message is shown"
        yield Finding(AREA, Level.PROBLEM, place, said, _tell_line(config, asker, site))
    elif not imports and comparison is not None:
        yield from comparison.find_faults(AREA, place, seen, site.name, _FILE)
    for address in imports:
        if asker.receiver is not None and address.startswith(f"{asker.receiver}/"):
            yield from _check_query(config, asker, site, place, address)
        elif address.startswith(f"{site.origin}/") and comparison is not None:
            yield from _check_copy(asker, comparison, site, address)
        else:
            said = f"loads {_FILE} from {name_target(address)}, which is not receiver.url"
            remedy = _tell_line(config, asker, site)
            yield Finding(AREA, Level.PROBLEM, place, said, remedy)


def _check_query(
    config: Config, asker: Asker, site: Site, place: str, address: str
) -> Iterator[Finding]:
    first, query = next(iter(config.sites)), urlsplit(address).query
    if f"site={site.name}" in query.split("&") or (site.name == first and not query):
        return
    said = f"loads the worker of another site: {quote(query)}"
    yield Finding(AREA, Level.PROBLEM, place, said, _tell_line(config, asker, site))


def _check_copy(
    asker: Asker, comparison: Comparison, site: Site, address: str
) -> Iterator[Finding]:
    place = f"{site.origin}{urlsplit(address).path}"
    try:
        seen = asker.look(address)
    except web.WebError as error:
        remedy = "Put the file there: `pushctl sw --write`."
        text = f"does not answer: {explain(error)}"
        yield Finding(AREA, Level.PROBLEM, place, text, remedy)
        return
    yield from comparison.find_faults(AREA, place, seen, site.name, _FILE)

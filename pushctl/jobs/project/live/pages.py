"""A site's first page and its worker, as browsers get them."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from pushctl import web
from pushctl.config import Config, Site
from pushctl.jobs.project.check_notes import Finding, Level, fine
from pushctl.jobs.project.live import certificates, workers
from pushctl.jobs.project.live.compare_scripts import Comparison
from pushctl.jobs.project.live.http import (
    Asker,
    cut_origin,
    explain,
    name_target,
    quote,
    resolve,
)
from pushctl.model import Millis
from pushctl.rules.limits import MAX_CHECKED_PAGE_BYTES
from pushctl.rules.web import content_policy, embeds
from pushctl.rules.web.embeds import Embed

AREA = "pages"
_UP = "See that the site is up, and that this machine may reach it."
# What servers answer to programs, where a browser may get the page.
_TO_PROGRAMS = (401, 403, 429)


def look(
    config: Config, asker: Asker, key: str | None, site: Site, now: Millis
) -> Iterator[Finding]:
    """Yield what is right and wrong with *site*'s pages; *key* is that of new subscribers."""
    first = f"{site.origin}/"
    try:
        url, seen = asker.follow(first)
    except web.CertificateError as error:
        chain = asker.read_chain(first)
        yield certificates.diagnose(site.origin, chain, explain(error), now)
        return
    except web.WebError as error:
        text = f"does not answer: {explain(error)}"
        yield Finding(AREA, Level.PROBLEM, site.origin, text, _UP)
        return
    if url.startswith("https:") and cut_origin(url) == site.origin:
        yield certificates.judge(site.origin, seen.chain, now)
    comparison = Comparison(config, key) if key is not None else None
    embed = embeds.read_page("")
    if (fault := _find_page_fault(seen)) is not None:
        yield Finding(AREA, fault[0], site.origin, *fault[1:])
    else:
        embed = embeds.read_page(seen.body.decode("utf-8", "replace"))
        yield from _look_at_embed(config, asker, comparison, site, url, seen, embed)
        yield from _look_at_policy(asker, site, url, seen)
        yield from asker.find_private(AREA, site.origin, url, seen)
    yield from workers.look(config, asker, comparison, site, embed)


def _find_page_fault(seen: web.Seen) -> tuple[Level, str, str] | None:
    """Return the level, what is wrong with the first page, and the remedy."""
    if seen.location is not None:
        target = name_target(seen.location)
        text = f"leads to {target}, which is not configured and was not asked"
        return (
            Level.PROBLEM,
            text,
            "Write that origin as sites.NAME.origin, or end the redirect.",
        )
    if seen.status in _TO_PROGRAMS:
        text = f"answers {seen.status}, perhaps to programs alone: it can't be looked at"
        return Level.NOTE, text, "Look at it in a browser, with ?pushctl_debug in its address."
    if seen.status != 200:
        return Level.PROBLEM, f"answers {seen.status}", _UP
    kind = seen.find("content-type").partition(";")[0].strip().lower()
    if kind not in ("text/html", "application/xhtml+xml"):
        text = f"is no page: its Content-Type is {quote(kind) if kind else 'missing'}"
        return Level.PROBLEM, text, "Let the web server send Content-Type: text/html."
    return None


def _look_at_embed(
    config: Config,
    asker: Asker,
    comparison: Comparison | None,
    site: Site,
    page: str,
    seen: web.Seen,
    embed: Embed,
) -> Iterator[Finding]:
    if not embed.scripts:
        yield _describe_absence(site, seen, embed)
        return
    for written in embed.scripts:
        address = resolve(page, written)
        if address and _is_of_receiver(asker, address):
            if (fault := _find_site_fault(config, site, address)) is not None:
                yield Finding(AREA, Level.PROBLEM, site.origin, *fault)
            else:
                yield fine(AREA, site.origin, "its first page loads the receiver's script")
        elif cut_origin(address) == cut_origin(page):
            yield from _look_at_copy(asker, comparison, site, address)
        else:
            whose = name_target(address)
            text = f"loads pushctl's script from {whose}, which is not receiver.url"
            remedy = "Mend receiver.url in pushctl.toml, or the page's script."
            yield Finding(AREA, Level.PROBLEM, site.origin, text, remedy)


def _describe_absence(site: Site, seen: web.Seen, embed: Embed) -> Finding:
    if embed.has_manager or seen.cut:
        why = (
            "a tag manager may load it"
            if embed.has_manager
            else (f"only {MAX_CHECKED_PAGE_BYTES:,} bytes were read")
        )
        text = f"its first page does not name pushctl's script; {why}"
        remedy = (
            "Look in a browser: `pushctl.state()` in its console answers where it is there."
        )
        return Finding(AREA, Level.NOTE, site.origin, text, remedy)
    text = "its first page does not load pushctl's script: nobody can subscribe there"
    remedy = "Add the line that `pushctl receive` prints; see docs/embedding.md."
    return Finding(AREA, Level.PROBLEM, site.origin, text, remedy)


def _look_at_policy(asker: Asker, site: Site, page: str, seen: web.Seen) -> Iterator[Finding]:
    """Look whether the page's Content Security Policy blocks script, requests or worker."""
    if asker.receiver is None:
        return
    receiver = cut_origin(asker.receiver)
    policies = seen.list_values("content-security-policy")
    if blocked := content_policy.find_blocks(policies, cut_origin(page), receiver):
        names = ", ".join(blocked)
        text = f"its Content-Security-Policy keeps pushctl out: {names}"
        remedy = f"Add {receiver} to script-src and connect-src, and 'self' to worker-src."
        yield Finding(AREA, Level.PROBLEM, site.origin, text, remedy)


def _is_of_receiver(asker: Asker, address: str) -> bool:
    return asker.receiver is not None and address.startswith(f"{asker.receiver}/")


def _find_site_fault(config: Config, site: Site, address: str) -> tuple[str, str] | None:
    """Return what is wrong with ``?site=`` in a script's *address*, and its remedy."""
    names = list(config.sites)
    asked = parse_qs(urlsplit(address).query).get("site", [names[0]])[-1]
    if asked == site.name:
        return None
    text = f"its first page loads the script of the site {quote(asked)}"
    return text, f"Write pushctl.js?site={site.name} there, and in the worker's line."


def _look_at_copy(
    asker: Asker, comparison: Comparison | None, site: Site, address: str
) -> Iterator[Finding]:
    """Look at the site's own copy of the script."""
    place = f"{site.origin}{urlsplit(address).path}"
    try:
        seen = asker.look(address)
    except web.WebError as error:
        text = f"does not answer: {explain(error)}"
        yield Finding(AREA, Level.PROBLEM, place, text, _UP)
        return
    if comparison is None or urlsplit(address).path.endswith(".mjs"):
        return  # the module has no settings: it loads pushctl.js
    found = list(comparison.find_faults(AREA, place, seen, site.name, "pushctl.js"))
    yield from found or [fine(AREA, site.origin, "its first page loads a copy of this release")]

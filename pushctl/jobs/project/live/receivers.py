"""The receiver, as browsers find it by its public name."""

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from pushctl import web
from pushctl.config import Config
from pushctl.jobs.project.check_notes import Finding, Level, fine
from pushctl.jobs.project.live import certificates
from pushctl.jobs.project.live.compare_scripts import Comparison, find_stale_worker
from pushctl.jobs.project.live.http import Asker, explain, name_target, quote
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.wording import counted
from pushctl.store import clocks

AREA = "receiver"
_START = "Start `pushctl receive`, and let the proxy lead there; see docs/receiver.md."
_CORS_HEADERS = ("content-type", "x-pushctl-signature")
# Browsers' signatures count for five minutes of the receiver's clock.
_TOLERANCE: Millis = units.MINUTE


def look(config: Config, asker: Asker, key: str | None, now: Millis) -> Iterator[Finding]:
    """Yield what is right and wrong with the receiver; *key* is that of new subscribers."""
    url = asker.receiver
    if url is None:
        return  # the offline check says so
    began = clocks.read_seconds()
    try:
        seen = asker.look(f"{url}/healthz")
    except web.CertificateError as error:
        chain = asker.read_chain(url)
        yield certificates.diagnose(url, chain, explain(error), now)
        return
    except web.WebError as error:
        yield Finding(AREA, Level.PROBLEM, url, f"does not answer: {explain(error)}", _START)
        return
    if url.startswith("https:"):
        yield certificates.judge(url, seen.chain, now)
    if (fault := _find_health_fault(seen)) is not None:
        yield Finding(AREA, Level.PROBLEM, url, *fault)
        return
    yield fine(AREA, url, "takes requests")
    yield from asker.find_private(AREA, url, url, seen)
    passed = int((clocks.read_seconds() - began) * units.SECOND)
    yield from _compare_clocks(url, seen, now + passed)
    if key is not None:
        yield from _look_at_scripts(config, asker, url, Comparison(config, key))
    yield from _look_at_origins(config, asker, url)


def _find_health_fault(seen: web.Seen) -> tuple[str, str] | None:
    """Return what is wrong with the answer of /healthz, and its remedy."""
    if seen.location is not None:
        target = name_target(seen.location)
        remedy = "Write the receiver's last address as receiver.url; then `pushctl keys fill`."
        return f"leads to {target}: browsers send no request on to it", remedy
    if seen.status == 503 and b'"disk"' in seen.body:
        return "has no room on its disk and takes nothing", "Make room there."
    try:
        told = json.loads(seen.body) if seen.status == 200 else None
    except (ValueError, RecursionError):
        told = None
    if told == {"ok": True}:
        return None
    server = seen.find("server")
    who = f" ({quote(server)})" if server else ""
    return f"answers {seen.status}{who}, and `pushctl receive` does not", _START


def _compare_clocks(url: str, seen: web.Seen, now: Millis) -> Iterator[Finding]:
    try:
        date = int(parsedate_to_datetime(seen.find("date")).timestamp() * units.SECOND)
    except (ValueError, TypeError, IndexError, OverflowError):
        return
    off = abs(now - date)
    if off > _TOLERANCE:
        text = (
            f"its clock and this machine's differ by {counted(off // units.SECOND, 'second')}"
        )
        remedy = "Let both machines take their time from NTP (chrony, systemd-timesyncd)."
        yield Finding("clock", Level.NOTE, url, text, remedy)


def _look_at_scripts(
    config: Config, asker: Asker, url: str, comparison: Comparison
) -> Iterator[Finding]:
    found = []
    for site in config.sites:
        query = f"?site={site}" if len(config.sites) > 1 else ""
        for name in ("pushctl.js", "pushctl-sw.js"):
            place = f"{url}/{name}{query}"
            try:
                seen = asker.look(place)
            except web.WebError as error:
                text = f"does not answer: {explain(error)}"
                found.append(Finding("scripts", Level.PROBLEM, place, text, _START))
                continue
            found += comparison.find_faults("scripts", place, seen, site, name)
            if name == "pushctl-sw.js":
                found += find_stale_worker("scripts", place, seen)
    sites = counted(len(config.sites), "site")
    yield from found or [fine("scripts", url, f"serves those of this release to {sites}")]


def _look_at_origins(config: Config, asker: Asker, url: str) -> Iterator[Finding]:
    """Ask as browsers do before a page of each origin may post (Fetch, CORS preflight)."""
    found, origins = (
        [],
        [origin for site in config.sites.values() for origin in (site.origin, *site.origins)],
    )
    for origin in origins:
        headers = [
            f"Origin: {origin}",
            "Access-Control-Request-Method: POST",
            f"Access-Control-Request-Headers: {', '.join(_CORS_HEADERS)}",
        ]
        place = f"{url}/v1/subscribe"
        try:
            seen = asker.look(place, method="OPTIONS", headers=headers)
            fault = _find_cors_fault(seen, origin)
        except web.WebError as error:
            fault = explain(error)
        if fault:
            text = f"lets no page of {origin} post: {fault}"
            remedy = "Start `pushctl receive` anew; a proxy must leave these headers alone."
            found.append(Finding("CORS", Level.PROBLEM, url, text, remedy))
    places = counted(len(origins), "origin")
    yield from found or [fine("CORS", url, f"pages of {places} may post")]


def _find_cors_fault(seen: web.Seen, origin: str) -> str:
    """Return why browsers would refuse; empty where they would not."""
    if not 200 <= seen.status < 300:
        return f"the answer to OPTIONS is {seen.status}"
    allowed = seen.list_values("access-control-allow-origin")
    if len(allowed) > 1:
        return "Access-Control-Allow-Origin comes twice"
    if allowed not in ([origin], ["*"]):
        return (
            f"Access-Control-Allow-Origin is {quote(allowed[0])}"
            if allowed
            else ("Access-Control-Allow-Origin is missing")
        )
    names = {
        name.strip().lower()
        for value in seen.list_values("access-control-allow-headers")
        for name in value.split(",")
    }
    missing = [name for name in _CORS_HEADERS if name not in names]
    if missing and "*" not in names:
        return f"Access-Control-Allow-Headers lacks {', '.join(missing)}"
    return ""

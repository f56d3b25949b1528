"""What a request shows of its sender: browser, system, device, place, origin of the visit."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from pushctl.jobs.ingest.verify import Body, Context
from pushctl.model import InboxRecord, Json
from pushctl.rules.web import agents, bodies, fields

_CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


def describe_browser(
    ctx: Context, record: InboxRecord, body: Body, *, private: bool
) -> Mapping[str, str | None]:
    """Return the columns of store.subscriptions.ABOUT; without city and source if *private*."""
    browser, system = agents.recognise(record.user_agent, record.hints)
    hints = record.hints
    known = {
        "language": bodies.perhaps(fields.language, body.get("language")),
        "timezone": bodies.perhaps(fields.timezone, body.get("timezone")),
        "country": bodies.perhaps(fields.country, hints.get("country")),
        "browser": browser,
        "os": system,
    }
    if private:
        return known
    city = bodies.perhaps(fields.label, hints.get("city"))
    source = _find_source(ctx.origins.get(record.site, ""), body)
    return known | {"city": city, "source": source}


def describe_landing(record: InboxRecord, body: Body, *, private: bool) -> Mapping[str, Json]:
    """
    Return a new subscription's attributes: device, landing page, campaign, address.

    Of *private* people only the device is kept.
    """
    found: dict[str, Json] = {}
    device = agents.device(record.user_agent, record.hints)
    if device is not None:
        found["device"] = device
    if private:
        return found
    address = bodies.perhaps(fields.label, record.hints.get("address"))
    if address is not None:  # written by the receiver only where the settings ask for it
        found["address"] = address
    found.update(_read_page(body.get("page")))
    return found


def _read_page(page: Json) -> Iterator[tuple[str, str]]:
    try:
        parts = urlsplit(page or "")
        pairs = parse_qsl(parts.query, max_num_fields=64)
    except (ValueError, TypeError, AttributeError):
        return
    path = bodies.perhaps(fields.label, parts.path)
    if path is not None:
        yield "landing_page", path
    for name, value in pairs:
        kept = bodies.perhaps(fields.label, value)
        if name in _CAMPAIGN and kept is not None:
            yield name, kept


def _find_source(origin: str, body: Body) -> str | None:
    """Return the source that the page names, else utm_source, else the referrer's host."""
    named = bodies.perhaps(fields.label, body.get("source"))
    if source := named or dict(_read_page(body.get("page"))).get("utm_source"):
        return source
    try:
        host = urlsplit(body.get("referrer") or "").hostname
    except (ValueError, TypeError, AttributeError):
        return None
    if not host or host == urlsplit(origin).hostname:
        return None
    return bodies.perhaps(fields.label, host)

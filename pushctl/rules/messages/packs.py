"""
A site's style pack: name, pictures and colours of its messages, parameters of its links.

[sites.NAME.brand] and [sites.NAME.utm] stand in one place; templates, invitation, preview
and report read them from here. Parameters are the shop's own words about the message, and
never say who reads it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from pushctl.model import Json
from pushctl.rules.config import checks
from pushctl.rules.messages import values

# Names of [sites.NAME.utm] and of [utm] in message.toml, as Google Analytics, Matomo and
# Plausible read them with "utm_" before.
NAMES: Final = ("source", "medium", "campaign", "content", "term")

# A link with one of these is signed as a whole: one more parameter would break it.
_SIGNATURES: Final = frozenset(
    {"signature", "sig", "sign", "hmac", "hash", "x-amz-signature", "x-goog-signature"}
)
_ORIGIN = re.compile(r"(https?://[^/?#]+)", re.IGNORECASE)


class Landing(NamedTuple):
    """What links of one site get, in one campaign."""

    parameters: tuple[tuple[str, str], ...]  # ("utm_source", "pushctl"), {language} open
    origins: frozenset[str]  # the links that get them
    site: str
    campaign: str


def collect_values(site: Any, campaign: str = "") -> dict[str, Json]:
    """
    Return the values of *site* for its texts: ``rules.messages.values.site``, and its Landing.

    *site* has the fields of [sites.NAME]. Made once for a campaign, shared by all receivers.
    """
    brand = site.brand
    parts = {name: getattr(brand, name) for name in ("icon", "badge", "image", "color")}
    parts |= {"currency": site.currency, "timezone": site.timezone}
    known = values.site(site.name, site.origin, brand.name, **parts)
    utm = {name: getattr(site.utm, name) for name in NAMES}
    known["landing"] = Landing(
        tuple((name, value) for name, value in utm.items() if value),
        frozenset({site.origin, *site.origins, *site.checkouts}),
        site.name,
        campaign,
    )
    return known


def fill_parameters(
    landing: Landing, own: Mapping[str, str], *, template: str, language: str, variant: str
) -> tuple[tuple[str, str], ...]:
    """
    Return the parameters of one text's links: ("utm_source", "pushctl"), percent-encoded.

    *own* are the template's, which come first; an empty one switches the site's off.
    """
    known = {
        "site": landing.site,
        "campaign": landing.campaign,
        "template": template,
        "variant": variant,
        "language": language,
    }
    wanted = {**dict(landing.parameters), **own}
    filled = {
        name: checks.PLACEHOLDER.sub(lambda found: known.get(found[1], ""), value).strip()
        for name, value in wanted.items()
    }
    return tuple(
        (f"utm_{name}", quote(filled[name], safe="/:-._~"))
        for name in NAMES
        if filled.get(name)
    )


def extend_link(
    url: str, parameters: tuple[tuple[str, str], ...], origins: frozenset[str]
) -> str:
    """
    Return an absolute *url* with the *parameters* that it lacks, if it leads to *origins*.

    What the author wrote stays, the fragment too. A signed link comes back as it is.
    """
    found = _ORIGIN.match(url)
    if found is None or found[1].lower() not in origins:
        return url
    page, mark, fragment = url.partition("#")
    path, _, query = page.partition("?")
    there = {unquote(pair.partition("=")[0]).lower() for pair in query.split("&")}
    if there & _SIGNATURES:
        return url
    added = "&".join(f"{name}={value}" for name, value in parameters if name not in there)
    if not added:
        return url
    query = f"{query}&{added}" if query and query[-1] != "&" else query + added
    return f"{path}?{query}{mark}{fragment}"

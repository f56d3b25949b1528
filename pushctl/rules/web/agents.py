"""Browsers, systems and devices, read from user agents and client hints."""

import re
from collections.abc import Mapping
from functools import lru_cache

from pushctl.rules.limits import MAX_USER_AGENT_CHARACTERS

_BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "HeadlessChrome": "Chrome",
    "Chromium": "Chrome",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "Opera Touch": "Opera",
    "Yandex Browser": "Yandex",
}

# What a browser calls itself in Sec-CH-UA. All of Chromium's say "Chrome" in the user
# agent, some of them nothing else.
_BRANDS = {
    "Google Chrome": "Chrome",
    "Microsoft Edge": "Edge",
    "Opera": "Opera",
    "Opera GX": "Opera",
    "Brave": "Brave",
    "Vivaldi": "Vivaldi",
    "YaBrowser": "Yandex",
    "Samsung Internet": "Samsung Internet",
}
_BRAND = re.compile(r'"([^"]{1,64})";v=')
_PLATFORMS = {
    '"Windows"': "Windows",
    '"macOS"': "macOS",
    '"Android"': "Android",
    '"Linux"': "Linux",
    '"Chrome OS"': "Chrome OS",
}

# The names that counts are kept under; whatever else a stranger says is "other".
KNOWN = frozenset({*_BROWSERS.values(), *_BRANDS.values(), "Chrome", "Firefox", "Safari"})

_SYSTEMS = {"Mac OS X": "macOS", "Ubuntu": "Linux", "Debian": "Linux", "Fedora": "Linux"}


@lru_cache(maxsize=4096)
def read(user_agent: str) -> tuple[str | None, str | None]:
    """Return browser and operating system, e.g. ("Firefox", "Android"), None if unknown."""
    # 60 ms to import and 200 ms to compile its patterns: only where somebody is new.
    import ua_parser

    text = user_agent[:MAX_USER_AGENT_CHARACTERS]
    agent, system = ua_parser.parse_user_agent(text), ua_parser.parse_os(text)
    browser = agent.family if agent else None
    name = system.family if system else None
    return _BROWSERS.get(browser or "", browser), _SYSTEMS.get(name or "", name)


def recognise(
    user_agent: str | None, hints: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """Return browser and system; client hints go before the user agent."""
    browser, system = read(user_agent) if user_agent else (None, None)
    for brand in _BRAND.findall(hints.get("sec-ch-ua", "")):
        browser = _BRANDS.get(brand, browser)
    return browser, _PLATFORMS.get(hints.get("sec-ch-ua-platform", ""), system)


def device(user_agent: str | None, hints: Mapping[str, str]) -> str | None:
    """Return "phone", "tablet" or "desktop", None for an unknown device."""
    text = (user_agent or "")[:MAX_USER_AGENT_CHARACTERS]
    tablet = "iPad" in text or "Tablet" in text
    # Android's browsers say "Mobile" on phones alone, in both places.
    if tablet or ("Android" in text and "Mobile" not in text and "Mobi" not in text):
        return "tablet"
    if hints.get("sec-ch-ua-mobile") == "?1" or "Mobi" in text:
        return "phone"
    if hints.get("sec-ch-ua-mobile") == "?0" or text:
        return "desktop"
    return None

"""User agents: which browser and which system, by the names that people know."""

from functools import lru_cache

# A user agent is text from a stranger, and its grammar is a thousand patterns: cut it.
_MAX = 400

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

_SYSTEMS = {"Mac OS X": "macOS", "Ubuntu": "Linux", "Debian": "Linux", "Fedora": "Linux"}


@lru_cache(maxsize=4096)
def read(user_agent: str) -> tuple[str | None, str | None]:
    """Return browser and operating system, e.g. ("Firefox", "Android"), None if unknown."""
    # 60 ms to import and 200 ms to compile its patterns: only where somebody is new.
    import ua_parser

    text = user_agent[:_MAX]
    agent, system = ua_parser.parse_user_agent(text), ua_parser.parse_os(text)
    browser = agent.family if agent else None
    name = system.family if system else None
    return _BROWSERS.get(browser or "", browser), _SYSTEMS.get(name or "", name)

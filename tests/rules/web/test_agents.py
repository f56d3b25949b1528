"""rules.agents: browsers and systems by the names that people know."""

import pytest

from pushctl.rules.web import agents

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "iPhone; CPU iPhone OS 17_4 like Mac OS X"


@pytest.mark.parametrize(
    ("text", "browser", "system"),
    [
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/126.0.0.0 Mobile Safari/537.36",
         "Chrome", "Android"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/126.0.0.0 Safari/537.36",
         "Chrome", "Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 "
         "Edg/126.0.0.0", "Edge", "Windows"),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
         "Firefox", "Linux"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0",
         "Firefox", "Android"),
        (f"Mozilla/5.0 ({IPHONE}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
         "Mobile/15E148 Safari/604.1", "Safari", "iOS"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
         "Gecko) Version/17.4 Safari/605.1.15", "Safari", "macOS"),
        ("curl/8.0", "curl", None),
        ("", None, None),
        ("(" * 5000, None, None),
        ("\x1b[31m<script>", None, None),
    ],
)  # fmt: skip
def test_browser_and_system(text: str, browser: str | None, system: str | None) -> None:
    assert agents.read(text) == (browser, system)

"""Real browsers, driven offline: Firefox and Chromium, and the desktop they notify."""

from pushctl.demo.browsers.browser import Browser
from pushctl.demo.browsers.chromium import Chromium, Google
from pushctl.demo.browsers.desktop import Desktop, Notification
from pushctl.demo.browsers.firefox import Firefox
from pushctl.demo.browsers.found import Found, find, find_browsers
from pushctl.demo.browsers.processes import BrowserError

__all__ = [
    "Browser",
    "BrowserError",
    "Chromium",
    "Desktop",
    "Firefox",
    "Found",
    "Google",
    "Notification",
    "find",
    "find_browsers",
]

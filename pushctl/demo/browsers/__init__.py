"""
Real browsers, driven offline: Firefox and Chromium, and the desktop they notify.

This package needs the extra ``pushctl[demo]``.
"""

from pushctl.demo.browsers.browser import Browser
from pushctl.demo.browsers.chromium import Chromium, Google
from pushctl.demo.browsers.desktop import Desktop, Notification
from pushctl.demo.browsers.firefox import Firefox
from pushctl.demo.browsers.processes import BrowserError
from pushctl.demo.found import Found, find, find_browsers

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

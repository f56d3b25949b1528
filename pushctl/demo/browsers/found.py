"""Which browsers are installed on this machine."""

import shutil
from dataclasses import dataclass
from pathlib import Path

_NAMES = {
    "firefox": ("firefox-esr", "firefox"),
    "chromium": ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"),
}


@dataclass(frozen=True, slots=True)
class Found:
    kind: str  # "firefox" or "chromium"
    program: Path


def find_browsers() -> tuple[Found, ...]:
    """Return the installed browsers that we can drive, Firefox first."""
    found = []
    for kind, names in _NAMES.items():
        program = next(filter(None, map(shutil.which, names)), None)
        if program:
            found.append(Found(kind, Path(program)))
    return tuple(found)


def find(kind: str) -> Found | None:
    """Return the installed browser of *kind*, or None."""
    return next((found for found in find_browsers() if found.kind == kind), None)

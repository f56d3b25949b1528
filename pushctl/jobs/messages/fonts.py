"""Whether this machine has the letters of a text: else a picture would be full of boxes."""

import shutil
import subprocess
from collections.abc import Iterable

from pushctl.errors import InputError

# (first, last, what it is, the Debian package that brings it)
_SCRIPTS = (
    (0x0370, 0x03FF, "Greek", "fonts-noto-core"),
    (0x0400, 0x052F, "Cyrillic", "fonts-noto-core"),
    (0x0530, 0x058F, "Armenian", "fonts-noto-core"),
    (0x0590, 0x05FF, "Hebrew", "fonts-noto-core"),
    (0x0600, 0x06FF, "Arabic", "fonts-noto-core"),
    (0x0900, 0x0DFF, "Indian scripts", "fonts-noto-core"),
    (0x0E00, 0x0EFF, "Thai and Lao", "fonts-noto-core"),
    (0x10A0, 0x10FF, "Georgian", "fonts-noto-core"),
    (0x1100, 0x11FF, "Korean", "fonts-noto-cjk"),
    (0x2600, 0x27BF, "emoji", "fonts-noto-color-emoji"),
    (0x3000, 0x9FFF, "Chinese and Japanese", "fonts-noto-cjk"),
    (0xAC00, 0xD7AF, "Korean", "fonts-noto-cjk"),
    (0x1F000, 0x1FAFF, "emoji", "fonts-noto-color-emoji"),
)
_SECONDS = 20


def require(texts: Iterable[str]) -> None:
    """
    Raise InputError where no font here has the letters of *texts*, with the package.

    Without fontconfig nobody can say, and nothing is raised.
    """
    missing = find_missing("".join(texts))
    if not missing:
        return
    names, packages = list(missing), sorted(set(missing.values()))
    raise InputError(
        f"this machine has no font for {' and '.join(names)}: the picture would show boxes. "
        f"Debian and Ubuntu: apt install {' '.join(packages)}. --html needs none here."
    )


def find_missing(text: str) -> dict[str, str]:
    """Return the scripts of *text* that no font here has, with their packages."""
    lister = shutil.which("fc-list")
    if lister is None:
        return {}
    used: dict[tuple[str, str], set[int]] = {}
    for letter in set(text):
        for first, last, name, package in _SCRIPTS:
            if first <= ord(letter) <= last:
                used.setdefault((name, package), set()).add(ord(letter))
    return {
        name: package
        for (name, package), letters in sorted(used.items())
        if not _has_font(lister, letters)
    }


def _has_font(lister: str, letters: set[int]) -> bool:
    """Return whether one font has all *letters*, as a system draws a script by one."""
    wanted = " ".join(f"{letter:x}" for letter in sorted(letters)[:64])
    try:
        found = subprocess.run(
            [lister, f":charset={wanted}", "family"],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return found.returncode != 0 or bool(found.stdout.strip())

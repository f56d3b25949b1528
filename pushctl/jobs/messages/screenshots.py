"""A page as PNG, by the browser of this machine, without a window and without a network."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from pushctl.errors import InputError

# The programs of each browser, as Debian, Ubuntu and Google name them.
PROGRAMS = {
    "firefox": ("firefox-esr", "firefox"),
    "chromium": ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"),
}
NEEDED = (
    "a PNG needs Chromium, Firefox or the extra: pip install 'pushctl[png]'. "
    "--html needs none of them."
)
_COLUMN, _MARGIN = 430, 40  # CSS pixels of one drawing on the page, and beside all of them
_MOST_WIDE, _MOST_HIGH = 6_000, 16_000  # pixels that Chromium draws at once
_SHARP = 4_000_000  # pixels of a page up to which each is drawn as four
_SECONDS = 90
_HEIGHT = re.compile(r'<html lang="en" data-height="([0-9]+)"')


def is_possible() -> bool:
    """Return whether this machine has a browser that draws pages."""
    return any(map(find, PROGRAMS))


def find(kind: str) -> str | None:
    """Return the path of a browser of *kind*, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS[kind])), None)


def take(page: str, *, columns: int) -> bytes:
    """
    Return a PNG of the whole *page*, which has so many *columns* of drawings.

    Raises InputError where there is no browser, or it fails.
    """
    width = min(columns * _COLUMN + _MARGIN, _MOST_WIDE)
    with tempfile.TemporaryDirectory(prefix="pushctl-png-") as folder:
        room = Path(folder)
        (room / "page.html").write_text(page, "utf-8")
        # Chromium first: it starts faster.
        if program := find("chromium"):
            _take_with_chromium(program, room, page, width)
        elif program := find("firefox"):
            _take_with_firefox(program, room, width)
        else:
            raise InputError(NEEDED)
        try:
            return (room / "page.png").read_bytes()
        except OSError as error:
            raise InputError(f"{Path(program).name} drew no picture. {NEEDED}") from error


def _take_with_chromium(program: str, room: Path, page: str, width: int) -> None:
    # The page itself has no script and would refuse one: a copy says how high it is.
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page, count=1)
    script = "const it=document.documentElement;it.dataset.height=Math.ceil(it.offsetHeight)"
    (room / "measured.html").write_text(f"{copy}<script>{script}</script>", "utf-8")
    options = [
        program,
        "--headless",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-extensions",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={room / 'profile'}",
    ]
    dumped = _run(
        [*options, f"--window-size={width},900", "--dump-dom", _url(room, "measured")]
    )
    found = _HEIGHT.search(dumped)
    height = int(found[1]) if found else 0
    if not 0 < height <= _MOST_HIGH:
        raise InputError(
            f"the page is {height:,} pixels high, more than one picture may be. Choose fewer "
            "platforms: --platform windows-chrome."
        )
    scale = 2 if width * height <= _SHARP else 1
    size = [f"--window-size={width},{height}", f"--force-device-scale-factor={scale}"]
    _run([*options, *size, f"--screenshot={room / 'page.png'}", _url(room, "page")])


def _take_with_firefox(program: str, room: Path, width: int) -> None:
    (room / "profile").mkdir()
    options = ["--headless", "--no-remote", "--profile", str(room / "profile")]
    target = ["--screenshot", str(room / "page.png"), f"--window-size={width}"]
    _run([program, *options, *target, _url(room, "page")])


def _url(room: Path, name: str) -> str:
    return (room / f"{name}.html").as_uri()


def _run(command: list[str]) -> str:
    """Run a browser and return what it printed; InputError where it does not end."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except OSError as error:
        raise InputError(f"{name} can't be run: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{name} has not drawn the page in {_SECONDS} seconds.") from error
    return done.stdout.decode(errors="replace")

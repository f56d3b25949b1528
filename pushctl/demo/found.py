"""Which browsers are installed on this machine, and which of them takes part in the demo."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pushctl import output
from pushctl.demo import extra
from pushctl.errors import UsageError
from pushctl.jobs.messages.screenshots import PROGRAMS


@dataclass(frozen=True, slots=True)
class Found:
    kind: str  # "firefox" or "chromium"
    program: Path


def find_browsers() -> tuple[Found, ...]:
    """Return the installed browsers that we can drive, Firefox first."""
    found = []
    for kind, names in PROGRAMS.items():
        program = next(filter(None, map(shutil.which, names)), None)
        if program:
            found.append(Found(kind, Path(program)))
    return tuple(found)


def find(kind: str) -> Found | None:
    """Return the installed browser of *kind*, or None."""
    return next((found for found in find_browsers() if found.kind == kind), None)


def choose(wish: str) -> Found | None:
    """
    Return the browser for *wish*: "firefox", "chromium", "auto" (one that is there) or "none".

    Raises UsageError when the named one can't take part. "auto" is None then, and prints
    the command for the extra when nothing else is missing.
    """
    if wish == "none":
        return None
    found = find(wish) if wish != "auto" else next(iter(find_browsers()), None)
    fault = ""
    if found is None:
        fault = f"{wish} is not installed here. Use --browser auto or none."
    elif shutil.which("dbus-daemon") is None:
        fault = "a real browser needs dbus-daemon (Debian: apt install dbus-daemon)"
    elif not extra.is_installed():
        fault = (
            "a real browser needs two more packages. Use --browser none, or install them: "
            f"{extra.install_command()}"
        )
        if wish == "auto":
            name = found.kind.capitalize()
            output.say(f"  {name} could take part, too: {extra.install_command()}", "dim")
    if fault and wish != "auto":
        raise UsageError(fault)
    return None if fault else found

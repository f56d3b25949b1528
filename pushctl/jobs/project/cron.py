"""
Run the sweep every minute, by a line for cron (``services`` does it by systemd).

Our lines in a person's crontab stand between two marks; all other lines stay.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pushctl.errors import ConfigError, InputError


def render_crontab(project: Path, command: Sequence[str]) -> str:
    """Return the lines of a crontab that sweep *project* every minute."""
    words = [*command, "--project", str(project), "sweep"]
    if any(mark in word for word in words for mark in "\n\r"):
        raise InputError("a path with a line break in it can't stand in a crontab")
    # For cron a per cent sign ends the line. Cron mails all output: errors are worth a mail,
    # the line of each sweep is not.
    line = shlex.join(words).replace("%", r"\%")
    return f"{_begin(project)}\n* * * * * {line} > /dev/null\n{_end(project)}\n"


def install_crontab(project: Path, command: Sequence[str]) -> bool:
    """Add our lines to the crontab; return whether it changed."""
    before = _read_crontab()
    return _write_crontab(
        before, remove_lines(before, project) + render_crontab(project, command)
    )


def remove_crontab(project: Path) -> bool:
    """Remove our lines from the crontab; return whether it changed."""
    before = _read_crontab()
    return _write_crontab(before, remove_lines(before, project))


def read_crontab_if_any() -> str:
    """Return this person's crontab; empty where there is none, or no cron."""
    try:
        return _read_crontab()
    except ConfigError:
        return ""


def remove_lines(text: str, project: Path) -> str:
    """Return the crontab *text* without our lines for *project*."""
    kept, ours = [], False
    for line in text.splitlines(keepends=True):
        if line.strip() == _begin(project):
            ours = True
        if not ours:
            kept.append(line)
        if line.strip() == _end(project):
            ours = False
    if ours:
        raise ConfigError(
            f'the crontab has "{_begin(project)}" and no "{_end(project)}". Repair it with '
            "`crontab -e`, then try again."
        )
    rest = "".join(kept)
    return rest if not rest or rest.endswith("\n") else rest + "\n"


def _begin(project: Path) -> str:
    return f"# pushctl: {project}"


def _end(project: Path) -> str:
    return f"# pushctl: end of {project}"


def _read_crontab() -> str:
    done = _run_crontab(["-l"])
    if done.returncode and "no crontab" not in done.stderr:
        raise ConfigError(f"crontab -l failed: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else ""


def _write_crontab(before: str, after: str) -> bool:
    if after == before:
        return False
    done = _run_crontab(["-"], after)
    if done.returncode:
        raise ConfigError(f"crontab refused the new lines: {done.stderr.strip()}")
    return True


def _run_crontab(
    words: list[str], text: str | None = None
) -> "subprocess.CompletedProcess[str]":
    try:
        # Other lines may have any bytes, and our paths may: they pass as they are.
        return subprocess.run(
            ["crontab", *words], input=text, capture_output=True, check=False,
            encoding=sys.getfilesystemencoding(), errors="surrogateescape",
        )  # fmt: skip
    except FileNotFoundError:
        raise ConfigError(
            "there is no crontab command here. Install cron, or use `pushctl service`."
        ) from None

"""
Run the sweep every minute: lines for cron, units for systemd.

Our lines in a person's crontab stand between two marks; all other lines stay.
"""

import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pushctl import durable
from pushctl.errors import ConfigError, InputError


def find_program() -> list[str]:
    """Return the command of this pushctl: cron's PATH has no virtual environment."""
    beside = Path(sys.executable).with_name("pushctl")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "pushctl"]


def render_crontab(project: Path, command: Sequence[str]) -> str:
    """Return the lines of a crontab that sweep *project* every minute."""
    words = [*command, "--project", str(project), "sweep"]
    if any(mark in word for word in words for mark in "\n\r"):
        raise InputError("a path with a line break in it can't stand in a crontab")
    # For cron a per cent sign ends the line. Cron mails all output: errors are worth a mail,
    # the line of each sweep is not.
    line = shlex.join(words).replace("%", r"\%")
    return f"{_begin(project)}\n* * * * * {line} > /dev/null\n{_end(project)}\n"


def name_unit(project: Path) -> str:
    """Return the name of the units of *project*, different for each project."""
    slug = re.sub(r"[^a-z0-9]+", "-", project.name.lower()).strip("-")[:40]
    mark = hashlib.sha256(str(project).encode()).hexdigest()[:6]
    return "-".join(filter(None, ("pushctl-sweep", slug, mark)))


def render_units(project: Path, command: Sequence[str]) -> dict[str, str]:
    """Return the text of a systemd service and its timer, by file name."""
    line = " ".join(_quote(word) for word in [*command, "--project", str(project), "sweep"])
    service = f"""\
[Unit]
Description=Send what is due of {_quote(str(project))}

[Service]
Type=oneshot
ExecStart={line}
# 75: another sweep was at work; the next one comes in a minute.
SuccessExitStatus=75
Nice=5
"""
    timer = f"""\
[Unit]
Description=Sweep {_quote(str(project))} every minute

[Timer]
OnCalendar=*-*-* *:*:00
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{name_unit(project)}.service": service, f"{name_unit(project)}.timer": timer}


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


def install_units(project: Path, command: Sequence[str], folder: Path) -> list[Path]:
    """Write the units into *folder*; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in render_units(project, command).items():
        durable.replace(folder / name, text.encode(), 0o666)
        written.append(folder / name)
    return written


def remove_units(project: Path, folder: Path) -> list[Path]:
    """Remove the units of *project* from *folder*; return those that were there."""
    files = [folder / f"{name_unit(project)}.{ending}" for ending in ("service", "timer")]
    there = [file for file in files if file.exists()]
    # `systemctl disable` can't remove this link once the unit is gone.
    enabled = folder / "timers.target.wants" / f"{name_unit(project)}.timer"
    for file in (*there, enabled):
        file.unlink(missing_ok=True)
    return there


def find_unit_folder() -> Path:
    return Path.home() / ".config" / "systemd" / "user"


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


def _quote(word: str) -> str:
    if "\n" in word or "\0" in word:
        raise InputError("a path with a line break in it can't stand in a unit")
    # systemd.service(5): "%" are specifiers, "$" variables.
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if plain != word or " " in word else word


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
        return subprocess.run(
            ["crontab", *words], input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ConfigError(
            "there is no crontab command here. Install cron, or use --systemd."
        ) from None

"""
Having the sweep started every minute: lines for cron, units for systemd.

`install` writes into the person's own crontab or user units, between two marks of ours,
and touches nothing else.
"""

import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pushctl import durable
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.sweep.summary import describe_counts
from pushctl.model import Json
from pushctl.store import Store


def runs(store: Store, limit: int) -> Iterator[dict[str, Json]]:
    """Yield the last sweeps that had work, newest first, with what they say they did."""
    for run in store.runs.list_latest(limit):
        ended = run["finished_at"]
        took = None if ended is None else ended - run["started_at"]
        yield {**run, "took": took, "what": describe_counts(run["summary"])}


def program() -> list[str]:
    """Return how this pushctl is started: cron's PATH knows no virtual environments."""
    beside = Path(sys.executable).with_name("pushctl")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "pushctl"]


def crontab(project: Path, command: Sequence[str]) -> str:
    """Return the lines of a crontab that sweep *project* every minute."""
    words = [*command, "--project", str(project), "sweep"]
    if any(mark in word for word in words for mark in "\n\r"):
        raise InputError("a path with a line break in it can't stand in a crontab")
    # A per cent sign is a line's end to cron. Cron mails what is said: only trouble is
    # worth a mail, the line of each sweep is not.
    line = shlex.join(words).replace("%", r"\%")
    return f"{_begin(project)}\n* * * * * {line} > /dev/null\n{_end(project)}\n"


def unit(project: Path) -> str:
    """Return what the units of *project* are called: each project has its own."""
    slug = re.sub(r"[^a-z0-9]+", "-", project.name.lower()).strip("-")[:40]
    mark = hashlib.sha256(str(project).encode()).hexdigest()[:6]
    return "-".join(filter(None, ("pushctl-sweep", slug, mark)))


def units(project: Path, command: Sequence[str]) -> dict[str, str]:
    """Return the text of a systemd service and its timer, by file name."""
    line = " ".join(_quoted(word) for word in [*command, "--project", str(project), "sweep"])
    service = f"""\
[Unit]
Description=Send what is due of {_quoted(str(project))}

[Service]
Type=oneshot
ExecStart={line}
# 75: another sweep was at work; the next one comes in a minute.
SuccessExitStatus=75
Nice=5
"""
    timer = f"""\
[Unit]
Description=Sweep {_quoted(str(project))} every minute

[Timer]
OnCalendar=*-*-* *:*:00
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{unit(project)}.service": service, f"{unit(project)}.timer": timer}


def install_crontab(project: Path, command: Sequence[str]) -> bool:
    """Add the lines to the person's crontab; return False when they stand there already."""
    before = _read_crontab()
    after = without(before, project) + crontab(project, command)
    if after == before:
        return False
    _write_crontab(after)
    return True


def remove_crontab(project: Path) -> bool:
    """Take our lines out of the person's crontab; return whether there were any."""
    before = _read_crontab()
    after = without(before, project)
    if after == before:
        return False
    _write_crontab(after)
    return True


def install_units(project: Path, command: Sequence[str], folder: Path) -> list[Path]:
    """Write the units into *folder*; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in units(project, command).items():
        durable.replace(folder / name, text.encode(), 0o666)
        written.append(folder / name)
    return written


def remove_units(project: Path, folder: Path) -> list[Path]:
    """Remove the units of *project* from *folder*; return those that were there."""
    files = [folder / f"{unit(project)}.{ending}" for ending in ("service", "timer")]
    there = [file for file in files if file.exists()]
    # What `systemctl enable` made: it can't take it away once the unit is gone.
    enabled = folder / "timers.target.wants" / f"{unit(project)}.timer"
    for file in (*there, enabled):
        file.unlink(missing_ok=True)
    return there


def user_units() -> Path:
    return Path.home() / ".config" / "systemd" / "user"


def without(text: str, project: Path) -> str:
    """Return a crontab without our lines for *project*; all others stay as they are."""
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
            f'the crontab has "{_begin(project)}" and no "{_end(project)}". Mend it with '
            "`crontab -e`, then try again."
        )
    rest = "".join(kept)
    return rest if not rest or rest.endswith("\n") else rest + "\n"


def _begin(project: Path) -> str:
    return f"# pushctl: {project}"


def _end(project: Path) -> str:
    return f"# pushctl: end of {project}"


def _quoted(word: str) -> str:
    if "\n" in word or "\0" in word:
        raise InputError("a path with a line break in it can't stand in a unit")
    # systemd.service(5): "%" are specifiers, "$" variables.
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = plain.replace("$", "$$")
    return f'"{plain}"' if plain != word or " " in word else word


def _read_crontab() -> str:
    done = _crontab(["-l"])
    if done.returncode and "no crontab" not in done.stderr:
        raise ConfigError(f"crontab -l failed: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else ""


def _write_crontab(text: str) -> None:
    done = _crontab(["-"], text)
    if done.returncode:
        raise ConfigError(f"crontab refused the new lines: {done.stderr.strip()}")


def _crontab(words: list[str], text: str | None = None) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["crontab", *words], input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ConfigError(
            "there is no crontab command here. Install cron, or use --systemd."
        ) from None

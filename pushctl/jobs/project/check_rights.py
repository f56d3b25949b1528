"""Who may change or read what a project sends: rights of its folder, settings and templates."""

import grp
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pushctl.config import Config
from pushctl.errors import Problem

_OTHERS = "Other users of this machine could change what is sent. Run: chmod"


def find_problems(config: Config) -> Iterator[Problem]:
    """Yield what others may change."""
    for path in (config.folder, config.file):
        if _may_others_write(path):
            yield Problem(str(path), _describe(path), f"{_OTHERS} go-w {path}")
    within = [config.templates, *sorted(config.templates.rglob("*"))]
    if open_ones := [one for one in within if one.exists() and _may_others_write(one)]:
        more = f", and {len(open_ones) - 1:,} more" if open_ones[1:] else ""
        fault = f"{_describe(open_ones[0])}{more}"
        yield Problem(str(open_ones[0]), fault, f"{_OTHERS} -R go-w {config.templates}")


def find_readable(config: Config) -> Iterator[Problem]:
    """Yield settings that others may read, where an address in them is secret."""
    if _holds_secret(config) and config.file.stat().st_mode & stat.S_IROTH:
        fault = "can be read by others, and an address in it is secret"
        yield Problem(config.file.name, fault, f"Run: chmod o-r {config.file}")


def _describe(path: Path) -> str:
    return f"can be changed by others on this machine (mode {path.stat().st_mode & 0o7777:o})"


def _may_others_write(path: Path) -> bool:
    found = path.stat()
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_private(found.st_uid, found.st_gid)


def _is_private(user: int, group: int) -> bool:
    """Whether *group* has its one *user* alone, as most systems make it for each user."""
    try:
        name, known = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return user == group
    return known.gr_name == name and set(known.gr_mem) <= {name}


def _holds_secret(config: Config) -> bool:
    """Whether pushctl.toml has the address to ping, or a password in that of a feed."""
    feeds = (one.feed for one in config.triggers.values() if one.feed)
    return bool(config.sweep.ping_url) or any(urlsplit(feed).password for feed in feeds)

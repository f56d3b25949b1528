"""Who may change or read what a project sends: rights of its folder, settings and templates."""

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pushctl.config import Config
from pushctl.errors import Problem
from pushctl.rights import may_others_write

_OTHERS = "Other users of this machine could change what is sent. Run: chmod"


def find_problems(config: Config) -> Iterator[Problem]:
    """Yield what others may change."""
    for path in (config.folder, config.file):
        if may_others_write(path):
            yield Problem(str(path), _describe(path), f"{_OTHERS} go-w {path}")
    for folder in (config.templates, config.folder / "campaigns"):
        within = [folder, *sorted(folder.rglob("*"))]
        if open_ones := [one for one in within if one.exists() and may_others_write(one)]:
            more = f", and {len(open_ones) - 1:,} more" if open_ones[1:] else ""
            fault = f"{_describe(open_ones[0])}{more}"
            yield Problem(str(open_ones[0]), fault, f"{_OTHERS} -R go-w {folder}")


def find_readable(config: Config) -> Iterator[Problem]:
    """Yield settings that others may read, where an address in them is secret."""
    if _holds_secret(config) and config.file.stat().st_mode & stat.S_IROTH:
        fault = "can be read by others, and an address in it is secret"
        yield Problem(config.file.name, fault, f"Run: chmod o-r {config.file}")


def _describe(path: Path) -> str:
    return f"can be changed by others on this machine (mode {path.stat().st_mode & 0o7777:o})"


def _holds_secret(config: Config) -> bool:
    """Whether pushctl.toml has an address to call, or a password in that of a feed."""
    feeds = (one.feed for one in config.triggers.values() if one.feed)
    return bool(config.sweep.ping_url or config.webhooks or config.alerts) or any(
        urlsplit(address).password for feed in feeds for address in feed.addresses.values()
    )

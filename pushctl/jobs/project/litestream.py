"""
Settings for Litestream (litestream.io), which copies each commit to another place.

It checkpoints the write-ahead log by itself, outside pushctl's lock. Before SQLite 3.51.3
that can lose a commit, so an older SQLite is refused. What Litestream restores lacks the file
of the generation beside it, so it counts as a copy (``restore_guard``).
"""

import json

from pushctl.config import Config
from pushctl.errors import ConfigError, UsageError
from pushctl.store import soundness


def describe(config: Config, url: str) -> str:
    """Return litestream.yml for the project's database; ConfigError for an older SQLite."""
    version, least = soundness.SQLITE_VERSION, soundness.WAL_RESET_FIXED
    if version < least:
        ours, needed = (".".join(map(str, each)) for each in (version, least))
        raise ConfigError(
            f"this Python has SQLite {ours}. Litestream checkpoints beside pushctl's lock, and "
            f"before SQLite {needed} that can lose a commit. Use a Python with a newer SQLite, "
            "or pushctl backup, which needs none."
        )
    if "://" not in url or not url.isprintable():
        raise UsageError(f"{url!r} is no URL of a replica, such as s3://bucket/shop")
    # A text of JSON is one of YAML.
    return (
        f"dbs:\n  - path: {json.dumps(str(config.database))}\n"
        f"    replica:\n      url: {json.dumps(url)}\n"
    )

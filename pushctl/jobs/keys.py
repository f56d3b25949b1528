"""The project's VAPID keys: list them, make one more."""

from collections.abc import Mapping
from pathlib import Path

from pushctl.config import Config
from pushctl.jobs import init
from pushctl.push import vapid


def listed(config: Config) -> list[Mapping[str, str]]:
    """Return id, use, public and file of every key, the newest first."""
    keys = vapid.load(config.keys).values() if config.keys.exists() else ()
    return [
        {
            "id": key.id,
            "use": "earlier subscribers" if number else "new subscribers",
            "public": key.public,
            "file": str(key.file),
        }
        for number, key in enumerate(keys)
    ]


def renew(config: Config) -> tuple[vapid.Key, list[Path]]:
    """Make a key for new subscriptions, write it into sw/; return it and those files."""
    key = vapid.write(config.keys)
    return key, init.fill_scripts(config)

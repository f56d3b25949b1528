"""List the project's VAPID keys and create a new one."""

from collections.abc import Mapping
from pathlib import Path

from pushctl.config import Config
from pushctl.jobs.project import scripts
from pushctl.model import Json
from pushctl.push import vapid


def list_keys(config: Config, in_use: Mapping[str, int] | None) -> list[Mapping[str, Json]]:
    """
    Return id, use, subscribers, public and file of every key, the newest first.

    *in_use* counts active subscribers by key; None where there is no database.
    """
    keys = vapid.load(config.keys).values() if config.keys.exists() else ()
    return [
        {
            "id": key.id,
            "use": "earlier subscribers" if number else "new subscribers",
            "subscribers": None if in_use is None else in_use.get(key.id, 0),
            "public": key.public,
            "file": str(key.file),
        }
        for number, key in enumerate(keys)
    ]


def renew(config: Config) -> tuple[vapid.Key, list[Path]]:
    """Create a key for new subscriptions; return it and the files of sw/ that have it."""
    key = vapid.write(config.keys)
    return key, scripts.fill_scripts(config)

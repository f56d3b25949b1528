"""Databases of the present schema, copied from one that is made once."""

import shutil
from functools import lru_cache
from pathlib import Path

from pushctl.store import Store
from tests.support import keep_folder


def create(path: Path) -> Store:
    """Open a new, empty database at *path*: as ``Store(path, create=True)``, only sooner."""
    shutil.copyfile(_made(), path)
    path.chmod(0o600)
    return Store(path)


@lru_cache(maxsize=1)
def _made() -> Path:
    file = keep_folder("pushctl-database-") / "pushctl.db"
    Store(file, create=True).close()
    return file

"""Names of tags, campaigns and pools of codes, for a shell's completion: fast and silent."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from pushctl.store.migrated import is_migrated

_SQL = {
    "tags": "SELECT name FROM tags ORDER BY folded",
    "campaigns": "SELECT name FROM campaigns ORDER BY id DESC",
    "pools": "SELECT name FROM promo_pools ORDER BY name",
}
_MOST = 20_000  # more than anybody reads


def list_names(database: Path, kind: str, migrations: Iterable[str]) -> list[str]:
    """
    Return the names of one *kind*.

    Empty where the database is locked, missing, damaged or of another schema than
    *migrations*: it waits for nothing and changes nothing.
    """
    if not database.is_file():
        return []
    try:
        found = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
        with closing(found) as connection:
            if not is_migrated(connection, migrations):
                return []
            return [str(name) for (name,) in connection.execute(_SQL[kind]).fetchmany(_MOST)]
    except sqlite3.Error:
        return []

"""Sites: the rows that pushctl.toml's sites stand for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushctl.store import Store


class Sites:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def ids(self) -> dict[str, int]:
        """Return the rows by name."""
        sql = "SELECT name, id FROM sites"
        return dict(self._store.connection.execute(sql).fetchall())

    def sync(self, origins: Mapping[str, str]) -> dict[str, int]:
        """
        Write the sites of the config (name -> origin); return all rows by name.

        A site that left the config stays: its subscriptions are still there.
        """
        sql = "SELECT name, origin FROM sites"
        known = dict(self._store.connection.execute(sql).fetchall())
        changed = {name: o for name, o in origins.items() if known.get(name) != o}
        if changed:
            sql = """
                INSERT INTO sites (name, origin) VALUES (?, ?)
                ON CONFLICT (name) DO UPDATE SET origin = excluded.origin
            """
            with self._store.write() as connection:
                connection.executemany(sql, changed.items())
        return self.ids()

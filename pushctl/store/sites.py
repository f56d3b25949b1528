"""Sites: the rows of the sites in pushctl.toml."""

from collections.abc import Mapping

from pushctl.store.noun import Noun


class Sites(Noun):
    def load_ids(self) -> dict[str, int]:
        """Return the rows by name."""
        return dict(self._read("SELECT name, id FROM sites"))

    def load_origins(self) -> dict[str, str]:
        """Return the origins by name."""
        return dict(self._read("SELECT name, origin FROM sites"))

    def sync(self, origins: Mapping[str, str]) -> dict[str, int]:
        """
        Write the sites of the config (name -> origin); return all rows by name.

        A site that left the config stays: its subscriptions are still there.
        """
        known = self.load_origins()
        changed = {name: o for name, o in origins.items() if known.get(name) != o}
        if changed:
            sql = """
                INSERT INTO sites (name, origin) VALUES (?, ?)
                ON CONFLICT (name) DO UPDATE SET origin = excluded.origin
            """
            self._write_each(sql, changed.items())
        return self.load_ids()

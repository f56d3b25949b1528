"""Meta: properties of the database and cursors, as texts by key."""

from pushctl.store.noun import Noun


class Meta(Noun):
    def get(self, key: str) -> str | None:
        sql = "SELECT value FROM meta WHERE key = :key"
        row = self._read(sql, key=key).fetchone()
        return None if row is None else str(row[0])

    def set(self, key: str, value: str) -> None:
        sql = """
            INSERT INTO meta (key, value) VALUES (:key, :value)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value
        """
        self._write(sql, key=key, value=value)

    def remove(self, key: str) -> None:
        self._write("DELETE FROM meta WHERE key = :key", key=key)

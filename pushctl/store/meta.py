"""Meta: what the database knows about itself, as names and texts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushctl.store import Store


class Meta:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def get(self, key: str) -> str | None:
        sql = "SELECT value FROM meta WHERE key = :key"
        row = self._store.connection.execute(sql, {"key": key}).fetchone()
        return None if row is None else str(row[0])

    def set(self, key: str, value: str) -> None:
        sql = """
            INSERT INTO meta (key, value) VALUES (:key, :value)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value
        """
        with self._store.write() as connection:
            connection.execute(sql, {"key": key, "value": value})

    def remove(self, key: str) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM meta WHERE key = :key", {"key": key})

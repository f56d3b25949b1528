"""Consents: which words somebody agreed to, when and on which page; only ever added to."""

from typing import TYPE_CHECKING

from pushctl.model import Millis

if TYPE_CHECKING:
    from pushctl.store import Store


class Consents:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def add(
        self, subscription: int, text: str, at: Millis, page: str | None, received: Millis
    ) -> bool:
        """Keep a consent; False when the same one stands there already."""
        sql = """
            INSERT OR IGNORE INTO consents (subscription_id, text, at, page, received_at)
            VALUES (:id, :text, :at, :page, :received)
        """
        values = {
            "id": subscription,
            "text": text,
            "at": at,
            "page": page,
            "received": received,
        }
        with self._store.write() as connection:
            return connection.execute(sql, values).rowcount == 1

"""Consents: the text that a subscriber agreed to, when and on which page; append-only."""

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Consents(Noun):
    def add(
        self, subscription: int, text: str, at: Millis, page: str | None, received: Millis
    ) -> bool:
        """Add a consent; return False when the same one exists already."""
        sql = """
            INSERT OR IGNORE INTO consents (subscription_id, text, at, page, received_at)
            VALUES (:id, :text, :at, :page, :received)
        """
        values = {"text": text, "at": at, "page": page, "received": received}
        return self._write(sql, id=subscription, **values) == 1

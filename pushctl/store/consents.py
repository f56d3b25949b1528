"""Consents: which words somebody agreed to, when and on which page; only ever added to."""

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Consents(Noun):
    def add(
        self, subscription: int, text: str, at: Millis, page: str | None, received: Millis
    ) -> bool:
        """Keep a consent; False when the same one stands there already."""
        sql = """
            INSERT OR IGNORE INTO consents (subscription_id, text, at, page, received_at)
            VALUES (:id, :text, :at, :page, :received)
        """
        values = {"text": text, "at": at, "page": page, "received": received}
        return self._write(sql, id=subscription, **values) == 1

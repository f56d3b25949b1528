"""Changes of subscriptions' states, as figures of growth need them."""

from collections.abc import Iterator

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Changes(Noun):
    def list_steps(self) -> Iterator[tuple[int, str, Millis]]:
        """Yield (subscription, kind, at) of all that became active or were lost, in order."""
        sql = """
            SELECT subscription_id, kind, at FROM subscription_changes
             WHERE kind IN ('revived', 'unsubscribed', 'gone', 'quarantined')
             ORDER BY subscription_id, at, id
        """
        yield from self._read(sql)

    def list_verified(self) -> list[int]:
        """Return the subscriptions that have shown a message."""
        sql = "SELECT id FROM subscriptions WHERE verified_at IS NOT NULL"
        return [one for (one,) in self._read(sql)]

"""What shops have told already: a delivery that comes twice changes nothing."""

from pushctl.model import Millis
from pushctl.rules.units import DAY
from pushctl.store.noun import Noun

# The slowest known repeat is 2Checkout's, for two days; a shop may replay a month by hand.
KEEP_FOR: Millis = 60 * DAY


class ShopDeliveries(Noun):
    def take(self, site_id: int, source: str, delivery: str, at: Millis) -> bool:
        """Note a delivery; return False where it was taken before."""
        sql = """
            INSERT OR IGNORE INTO shop_deliveries (site_id, source, delivery, at)
            VALUES (:site, :source, :delivery, :at)
        """
        return self._write(sql, site=site_id, source=source, delivery=delivery, at=at) == 1

    def prune(self, now: Millis) -> int:
        """Delete old ones; return how many."""
        sql = "DELETE FROM shop_deliveries WHERE at < :before"
        return self._write(sql, before=now - KEEP_FOR)

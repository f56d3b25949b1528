"""Tracking: who asked for none, and what ends their reminders although it is not kept."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class Stop(NamedTuple):
    """What a person did who must not be tracked; it is deleted once reminders have ended."""

    subscription: int
    name: str
    at: Millis


class Tracking(Noun):
    def list_untracked(self, subscriptions: Collection[int]) -> frozenset[int]:
        """Return those of *subscriptions* that asked not to be tracked."""
        sql = """
            SELECT id FROM subscriptions
             WHERE id IN (SELECT value FROM json_each(:ids))
               AND (gpc_at IS NOT NULL OR tracking_refused_at IS NOT NULL)
        """
        return frozenset(one for (one,) in self._read(sql, ids=as_json(subscriptions)))

    def set_gpc(self, subscription: int, at: Millis | None) -> None:
        """Note since when its browser sends Global Privacy Control; None: it does not."""
        self._write(
            "UPDATE subscriptions SET gpc_at = :at WHERE id = :id", id=subscription, at=at
        )

    def find_gpc(self, subscription: int, at: Millis) -> None:
        """Note that its browser sends Global Privacy Control, where that is new."""
        sql = "UPDATE subscriptions SET gpc_at = :at WHERE id = :id AND gpc_at IS NULL"
        self._write(sql, id=subscription, at=at)

    def set_refused(self, subscription: int, at: Millis | None) -> None:
        """Note since when the person refuses tracking; None: they allow it."""
        sql = "UPDATE subscriptions SET tracking_refused_at = :at WHERE id = :id"
        self._write(sql, id=subscription, at=at)

    def add_stops(self, stops: Iterable[Stop]) -> None:
        sql = """
            INSERT INTO stops (subscription_id, name, at) VALUES (?, ?, ?)
            ON CONFLICT DO NOTHING
        """
        self._write_each(sql, stops)

    def list_stops(self) -> list[Stop]:
        sql = "SELECT subscription_id, name, at FROM stops ORDER BY at, subscription_id"
        return list(map(Stop._make, self._read(sql)))

    def delete_stops(self, stops: Iterable[Stop]) -> None:
        sql = "DELETE FROM stops WHERE subscription_id = ? AND name = ? AND at = ?"
        self._write_each(sql, stops)

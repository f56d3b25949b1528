"""
What people agreed to in forms: that they may be written to on a channel beside push.

A row keeps the form's words. It is never changed, but for the time of its revocation.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.rules.triggers.consents import ChannelConsent, Revocation
from pushctl.store.noun import Noun, as_json


class Given(NamedTuple):
    """A consent as it stands, for people and for what is called."""

    id: str  # the subscription's public id
    site: str
    alias: str | None  # signed by the shop
    channel: str
    text: str
    page: str | None
    at: Millis
    revoked_at: Millis | None


class Open(NamedTuple):
    """A consent that holds."""

    row: int
    id: str  # the subscription's public id
    channel: str
    at: Millis


class ChannelConsents(Noun):
    def add(self, consents: Iterable[ChannelConsent]) -> int:
        """Add consents; the same words that already hold are no new one."""
        sql = """
            INSERT INTO channel_consents (subscription_id, channel, text, page, at)
            SELECT :subscription, :channel, :text, :page, :at
             WHERE NOT EXISTS (
                SELECT 1 FROM channel_consents
                 WHERE subscription_id = :subscription AND channel = :channel
                   AND text = :text AND (revoked_at IS NULL OR revoked_at > :at))
        """
        return self._write_each(sql, [one._asdict() for one in consents])

    def revoke(self, revocations: Iterable[Revocation]) -> int:
        """Revoke what was agreed to before, on all devices named; return how many that were."""
        sql = """
            UPDATE channel_consents SET revoked_at = :at
             WHERE subscription_id IN (SELECT value FROM json_each(:subscriptions))
               AND channel = :channel AND at <= :at AND revoked_at IS NULL
        """
        rows = [
            {"subscriptions": as_json(one.subscriptions), "channel": one.channel, "at": one.at}
            for one in revocations
        ]
        return self._write_each(sql, rows)

    def find_open(self, subscriptions: Collection[int]) -> dict[int, dict[str, ChannelConsent]]:
        """Return the newest consent that holds, by subscription and channel."""
        sql = """
            SELECT subscription_id, channel, text, page, at FROM channel_consents
             WHERE subscription_id IN (SELECT value FROM json_each(:ids))
               AND revoked_at IS NULL ORDER BY at, id
        """
        found: dict[int, dict[str, ChannelConsent]] = {}
        for one in map(ChannelConsent._make, self._read(sql, ids=as_json(subscriptions))):
            found.setdefault(one.subscription, {})[one.channel] = one
        return found

    def list_public_ids(self, subscriptions: Collection[int]) -> list[str]:
        """Return the public ids of *subscriptions*."""
        sql = """
            SELECT public_id FROM subscriptions WHERE id IN (SELECT value FROM json_each(:ids))
        """
        return [name for (name,) in self._read(sql, ids=as_json(subscriptions))]

    def list_open(self) -> list[Open]:
        """Return all consents that hold."""
        sql = """
            SELECT c.id, s.public_id, c.channel, c.at
              FROM channel_consents AS c JOIN subscriptions AS s ON s.id = c.subscription_id
             WHERE c.revoked_at IS NULL
        """
        return list(map(Open._make, self._read(sql)))

    def end(self, rows: Iterable[tuple[int, Millis]]) -> None:
        """Revoke single consents, each at its time."""
        sql = "UPDATE channel_consents SET revoked_at = ? WHERE id = ?"
        self._write_each(sql, ((at, row) for row, at in rows))

    def list_given(self, channel: str | None, *, revoked: bool = False) -> list[Given]:
        """Return consents, newest first; *revoked*: those that hold no more, too."""
        sql = """
            SELECT s.public_id, t.name, iif(s.alias_trusted, s.alias, NULL), c.channel, c.text,
                   c.page, c.at, c.revoked_at
              FROM channel_consents AS c JOIN subscriptions AS s ON s.id = c.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE (:channel IS NULL OR c.channel = :channel)
               AND (:revoked OR c.revoked_at IS NULL)
             ORDER BY c.at DESC, c.id DESC
        """
        rows = self._read(sql, channel=channel, revoked=revoked)
        return list(map(Given._make, rows))

"""Leases: up to when workers of a cluster may send a chunk of a campaign."""

from collections.abc import Iterable

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class Leases(Noun):
    def begin(
        self, campaign: int, token: str, letters: int, now: Millis, ends_at: Millis
    ) -> None:
        """Add the lease of a chunk, in the caller's transaction or one of its own."""
        sql = """
            INSERT INTO leases (token, campaign_id, letters, begun_at, ends_at)
            VALUES (:token, :campaign, :letters, :now, :ends_at)
        """
        self._write(
            sql, token=token, campaign=campaign, letters=letters, now=now, ends_at=ends_at
        )

    def renew(self, tokens: Iterable[str], ends_at: Millis) -> None:
        """Have the leases *tokens* end later."""
        sql = """
            UPDATE leases SET ends_at = :ends_at
             WHERE token IN (SELECT value FROM json_each(:tokens))
        """
        self._write(sql, tokens=as_json(tokens), ends_at=ends_at)

    def end(self, tokens: Iterable[str]) -> None:
        """Delete leases: their chunks have ended, and the outcomes are committed."""
        sql = "DELETE FROM leases WHERE token IN (SELECT value FROM json_each(:tokens))"
        self._write(sql, tokens=as_json(tokens))

    def forget_ended(self, now: Millis) -> None:
        """Delete the leases of dead runs that have ended."""
        self._write("DELETE FROM leases WHERE ends_at <= :now", now=now)

    def find_end(self, campaign: int, now: Millis) -> Millis | None:
        """Return when the last lease of *campaign* ends, None where all have."""
        sql = "SELECT max(ends_at) FROM leases WHERE campaign_id = :campaign AND ends_at > :now"
        end: Millis | None = self._read_value(sql, campaign=campaign, now=now)
        return end

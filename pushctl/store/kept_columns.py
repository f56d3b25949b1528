"""
Columns of campaigns' messages, kept so that figures need not read every row again.

Who builds them marks the campaign first, reads its rows after that, and keeps what it has
read only where its mark still stands: SQL's triggers (m038) delete marks and columns with
whatever changes a message. So columns that are here are right, whoever was killed when, and
of two who build at once one keeps. Deleting all of them changes no figure.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pushctl.store.noun import Noun, as_json


class KeptColumn(NamedTuple):
    campaign: int
    name: str
    about: str  # JSON
    data: bytes


class KeptColumns(Noun):
    def read(self, campaigns: Sequence[int], names: Sequence[str]) -> Iterator[KeptColumn]:
        """Yield those columns *names* of *campaigns* that are kept."""
        sql = """
            SELECT c.campaign_id, c.name, c.about, c.data
              FROM json_each(:campaigns) AS j
              JOIN kept_campaigns AS k ON k.campaign_id = j.value
              CROSS JOIN json_each(:names) AS n
              CROSS JOIN kept_columns AS c ON c.campaign_id = k.campaign_id AND c.name = n.value
        """
        rows = self._read(sql, campaigns=as_json(campaigns), names=as_json(names))
        yield from map(KeptColumn._make, rows)

    def list_builds(self, campaigns: Sequence[int]) -> list[tuple[int, int]]:
        """
        Return each of *campaigns* with its mark, without those that have none.

        After a change of any message a campaign has none, and then another one: as long as
        the mark is the same, so are its messages.
        """
        sql = """
            SELECT k.campaign_id, k.build
              FROM json_each(:campaigns) AS j
              JOIN kept_campaigns AS k ON k.campaign_id = j.value
             WHERE k.build <> 0 ORDER BY 1
        """
        return self._read(sql, campaigns=as_json(campaigns)).fetchall()

    def mark(self, campaigns: Sequence[int]) -> int:
        """Note that their columns are being built; return the mark that ``keep`` asks for."""
        import secrets

        build = secrets.randbelow(2**62) + 1
        # Columns whose campaign is gone here: a program without foreign keys changed it.
        tidy = """
            DELETE FROM kept_columns
             WHERE campaign_id IN (SELECT value FROM json_each(:campaigns))
               AND campaign_id NOT IN (SELECT campaign_id FROM kept_campaigns)
        """
        sql = """
            INSERT INTO kept_campaigns (campaign_id, build)
            SELECT id, :build FROM campaigns
             WHERE id IN (SELECT value FROM json_each(:campaigns))
                ON CONFLICT DO UPDATE SET build = excluded.build
        """
        with self._store.write_if_free():
            self._write(tidy, campaigns=as_json(campaigns))
            self._write(sql, campaigns=as_json(campaigns), build=build)
        return build

    def keep(self, build: int, columns: Sequence[KeptColumn]) -> None:
        """Keep *columns* where the mark *build* still stands: else they are of the past."""
        sql = """
            INSERT OR REPLACE INTO kept_columns (campaign_id, name, about, data)
            SELECT campaign_id, ?, ?, ? FROM kept_campaigns WHERE campaign_id = ? AND build = ?
        """
        with self._store.write_if_free():
            self._write_each(
                sql, ((one.name, one.about, one.data, one.campaign, build) for one in columns)
            )

    def drop(self, campaigns: Sequence[int] | None = None) -> None:
        """Delete what is kept of *campaigns*, or of all."""
        sql = """
            DELETE FROM kept_campaigns
             WHERE :campaigns IS NULL
                OR campaign_id IN (SELECT value FROM json_each(:campaigns))
        """
        self._write(sql, campaigns=None if campaigns is None else as_json(campaigns))

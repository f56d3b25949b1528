"""What was applied: the campaign or series that each file of campaigns/ has become."""

from collections.abc import Iterator
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun

_COLUMNS = (
    "id, file, settings_hash, sources_hash, campaign_id, series_id, did, people, phase, plan, "
    "at, by"
)


class AppliedFile(NamedTuple):
    """A file as it was applied."""

    id: int
    file: str  # without folder and ".toml"
    settings_hash: str
    sources_hash: str
    campaign: int | None
    series: int | None
    did: str  # new, changed or renamed
    people: int  # as the plan said
    phase: str
    plan: str
    at: Millis
    by: str | None


class Applied(Noun):
    def list_current(self) -> list[AppliedFile]:
        """Return the files that were applied, as they were applied last."""
        sql = f"SELECT {_COLUMNS} FROM applied WHERE ended_at IS NULL ORDER BY file"  # noqa: S608
        return [AppliedFile._make(row) for row in self._read(sql)]

    def find(self, file: str) -> AppliedFile | None:
        sql = f"SELECT {_COLUMNS} FROM applied WHERE file = :file AND ended_at IS NULL"  # noqa: S608
        row = self._read(sql, file=file).fetchone()
        return row and AppliedFile._make(row)

    def add(self, row: AppliedFile) -> None:
        """Write *row*, whose id is not used, in place of the file's earlier one."""
        end = "UPDATE applied SET ended_at = :at WHERE file = :file AND ended_at IS NULL"
        sql = """
            INSERT INTO applied (file, settings_hash, sources_hash, campaign_id, series_id, did,
                                 people, phase, plan, at, by)
            VALUES (:file, :settings_hash, :sources_hash, :campaign, :series, :did, :people,
                    :phase, :plan, :at, :by)
        """
        with self._store.write():
            self._write(end, file=row.file, at=row.at)
            self._write(sql, **row._asdict())

    def end(self, file: str, now: Millis) -> None:
        """Note that *file* stands for nothing any more: it has another name."""
        sql = "UPDATE applied SET ended_at = :now WHERE file = :file AND ended_at IS NULL"
        self._write(sql, file=file, now=now)

    def find_of_campaign(self, campaign: int, series: str | None) -> AppliedFile | None:
        """Return the file of a campaign, or of the *series* whose occurrence it is."""
        sql = f"""
            SELECT {_COLUMNS} FROM applied
             WHERE campaign_id = :campaign
                OR series_id = (SELECT id FROM recurring WHERE name = :series)
             ORDER BY id DESC LIMIT 1
        """  # noqa: S608
        row = self._read(sql, campaign=campaign, series=series).fetchone()
        return row and AppliedFile._make(row)

    def map_campaigns(self) -> dict[str, str]:
        """Return campaign -> file for all campaigns that came of one."""
        sql = """
            SELECT c.name, a.file FROM applied AS a JOIN campaigns AS c ON c.id = a.campaign_id
             UNION ALL
            SELECT c.name, a.file
              FROM applied AS a JOIN recurring AS r ON r.id = a.series_id
              JOIN campaigns AS c ON c.options ->> '$.series' = r.name
             WHERE a.ended_at IS NULL
        """
        return dict(self._read(sql).fetchall())

    def has_begun(self, campaign: int) -> bool:
        """Return whether a message of *campaign* was ever claimed, as far as rows tell."""
        sql = """
            SELECT EXISTS (SELECT 1 FROM deliveries
                            WHERE campaign_id = :campaign
                              AND (attempts > 0
                                   OR status NOT IN ('planned', 'rejected', 'skipped',
                                                     'expired')))
        """
        return bool(self._read_value(sql, campaign=campaign))

    def list_receivers(self, campaign: int) -> Iterator[int]:
        """Yield the subscriptions that *campaign* was frozen for."""
        sql = """
            SELECT subscription_id FROM deliveries
             WHERE campaign_id = :campaign AND subscription_id IS NOT NULL
        """
        for (row,) in self._read(sql, campaign=campaign):
            yield row

    def rename_campaign(self, campaign: int, name: str) -> None:
        """Give a campaign and its test another name: another one takes the old."""
        with self._store.write():
            self._write(
                "UPDATE campaigns SET name = :name WHERE id = :id", id=campaign, name=name
            )
            self._write(
                "UPDATE experiments SET name = :name WHERE campaign_id = :id",
                id=campaign,
                name=name,
            )

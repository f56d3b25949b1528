"""Approvals: which campaigns a second person has to look at, and who has done so."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m031_approvals(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE approvals (
            campaign_id INTEGER NOT NULL REFERENCES campaigns(id) ON DELETE CASCADE,
            needed      INTEGER NOT NULL, -- 0: it was judged, and needs none
            content     TEXT NOT NULL,    -- JSON of what must not change (rules/approvals)
            request     TEXT,             -- what the file says that people read
            hash        TEXT,             -- of the request: the file's name
            uids        TEXT NOT NULL,    -- JSON: who can't approve it
            timed       INTEGER NOT NULL, -- 1: its messages have times of their own
            erased      TEXT NOT NULL DEFAULT '0', -- the sum of rows whose person was erased
            asked_at    INTEGER NOT NULL,
            approved_at INTEGER,
            approved_by INTEGER,          -- a uid
            PRIMARY KEY (campaign_id)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX campaigns_approval ON campaigns(id) WHERE cause = 'needs_approval';
        """,
    )

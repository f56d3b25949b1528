"""Leases of chunks that workers of a cluster send."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m053_leases(db: Database) -> None:
    script(
        db,
        """
        -- One for each chunk that a run has offered to the cluster, before anybody can take
        -- it. No worker sends anything of it after ends_at; a run deletes its own.
        CREATE TABLE leases (
            token       TEXT PRIMARY KEY,
            campaign_id INTEGER NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
            letters     INTEGER NOT NULL,
            begun_at    INTEGER NOT NULL,
            ends_at     INTEGER NOT NULL -- renewed while the run lives
        ) STRICT, WITHOUT ROWID;
        """,
    )

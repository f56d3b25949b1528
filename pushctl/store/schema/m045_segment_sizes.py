"""How large each segment was, counted once a day by the sweep."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m045_segment_sizes(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE segment_sizes (
            segment     TEXT NOT NULL,
            at          INTEGER NOT NULL,
            subscribers INTEGER NOT NULL,
            -- all active ones at that time, of which the segment is a share
            everybody   INTEGER NOT NULL,
            PRIMARY KEY (segment, at)
        ) STRICT, WITHOUT ROWID
        """,
    )

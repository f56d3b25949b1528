"""Campaigns that are tests, found by an index: their messages have no place in the cap."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m033_tests(db: Database) -> None:
    script(
        db,
        """
        -- 1: a test, which no figure counts; NULL: none
        ALTER TABLE campaigns ADD COLUMN is_test INTEGER;

        CREATE INDEX campaigns_test ON campaigns(id) WHERE is_test
        """,
    )

"""What a campaign is about, in a word: figures are grouped by it."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m029_manners(db: Database) -> None:
    # NULL: none was given. Steps of triggers get theirs when they are next opened.
    script(
        db,
        """
        ALTER TABLE campaigns ADD COLUMN topic TEXT;

        CREATE INDEX campaigns_topic ON campaigns(topic) WHERE topic IS NOT NULL;
        """,
    )

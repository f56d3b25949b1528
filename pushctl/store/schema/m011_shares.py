"""Who made a tag's name or a row of prompts, where it was a stranger."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m011_shares(db: Database) -> None:
    script(
        db,
        """
        -- the address of the unproved subscriber who brought the name, as a hash of its day;
        -- '': unknown; NULL: the name is the shop's, or a proved subscriber has it
        ALTER TABLE tags ADD COLUMN sender TEXT;

        CREATE INDEX tags_sender ON tags(sender) WHERE sender IS NOT NULL;

        ALTER TABLE prompt_counts ADD COLUMN sender TEXT;
        """,
    )

"""Other attributes of a subscription delete two kept pages by their keys."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

_BITS = 14
_DROP = f"""
    DELETE FROM kept_pages
     WHERE source = 'people' AND page = NEW.id >> {_BITS} AND name = '{{}}'
"""  # noqa: S608 - our own names


@migrations()
def m057_kept_attributes(db: Database) -> None:
    # With a list of names SQLite made a table of it at each run of the trigger (m048): half
    # of what all triggers of figures cost a new subscription.
    script(
        db,
        f"""
        DROP TRIGGER kept_people_attributes;

        CREATE TRIGGER kept_people_attributes AFTER UPDATE OF attributes ON subscriptions
         WHEN NEW.attributes <> OLD.attributes
        BEGIN {_DROP.format("device")}; {_DROP.format("landing")}; END;
        """,
    )

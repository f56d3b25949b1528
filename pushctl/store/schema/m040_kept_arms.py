"""Another probability of an arm deletes what is kept of its campaign, too."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m040_kept_arms(db: Database) -> None:
    # It says who is compared. changed_at, which says who left after a message, is written
    # with the state or the reason alone: their trigger (m038) is enough, and sending pays for
    # no other.
    script(
        db,
        """
        CREATE TRIGGER kept_arm AFTER UPDATE OF variant_probability ON deliveries
         WHEN NEW.variant_probability IS NOT OLD.variant_probability
        BEGIN DELETE FROM kept_campaigns WHERE campaign_id = NEW.campaign_id; END;
        """,
    )

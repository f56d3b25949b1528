"""With which probability each message's hour was drawn is kept for figures, too."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m049_drawn_hours(db: Database) -> None:
    # The columns that are kept are built anew: they have one more.
    script(
        db,
        """
        DROP TRIGGER kept_changed;

        CREATE TRIGGER kept_changed
         AFTER UPDATE OF status, reason, variant, language, sent_at, shown_at, clicked_at,
                         hour_probability
         ON deliveries
        BEGIN DELETE FROM kept_campaigns WHERE campaign_id = NEW.campaign_id; END;

        DELETE FROM kept_campaigns;
        """,
    )

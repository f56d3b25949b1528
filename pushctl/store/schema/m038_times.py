"""When each message was sent, shown and clicked; columns of messages, kept for figures."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m038_times(db: Database) -> None:
    # When an earlier row was sent is known only where changed_at is still the answer's time:
    # a report, a person's word or a recall has moved it since, and a message in doubt left
    # some time before it. A cause of "accepted" is one of these.
    script(
        db,
        """
        -- when the push service answered, or where no answer came: when it left. NULL: not
        -- known, or it never left
        ALTER TABLE deliveries ADD COLUMN sent_at INTEGER;

        -- the first report that it was on a screen (a click or a closing says so, too)
        ALTER TABLE deliveries ADD COLUMN shown_at INTEGER;

        ALTER TABLE deliveries ADD COLUMN clicked_at INTEGER;

        UPDATE deliveries SET sent_at = changed_at
         WHERE status = 'accepted' AND cause IS NULL
            OR status = 'gone' AND cause = 'gone'
            OR status = 'rejected'
               AND cause IN ('redirect', 'service_fault', 'sender_refused', 'too_large',
                             'subscription_refused', 'bad_request', 'unexpected',
                             'call_refused');

        UPDATE deliveries SET shown_at = i.shown, clicked_at = i.clicked
          FROM (SELECT delivery_id, min(at) AS shown,
                       min(iif(kind = 'clicked', at, NULL)) AS clicked
                  FROM interactions GROUP BY delivery_id) AS i
         WHERE deliveries.id = i.delivery_id;

        -- Columns of a campaign's messages (store/kept_columns.py). They are built as a whole
        -- and never changed; whatever changes a message deletes them, by SQL's triggers: no
        -- writer can forget it. build: who builds them now; it is gone once they changed.
        CREATE TABLE kept_campaigns (
            campaign_id INTEGER NOT NULL PRIMARY KEY REFERENCES campaigns(id)
                        ON DELETE CASCADE,
            build       INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE kept_columns (
            campaign_id INTEGER NOT NULL REFERENCES kept_campaigns(campaign_id)
                        ON DELETE CASCADE,
            name        TEXT NOT NULL,
            about       TEXT NOT NULL, -- JSON: how the data is read
            data        BLOB NOT NULL,
            PRIMARY KEY (campaign_id, name)
        ) STRICT, WITHOUT ROWID;

        CREATE TRIGGER kept_new AFTER INSERT ON deliveries
        BEGIN DELETE FROM kept_campaigns WHERE campaign_id = NEW.campaign_id; END;

        CREATE TRIGGER kept_changed
         AFTER UPDATE OF status, reason, variant, language, sent_at, shown_at, clicked_at
         ON deliveries
        BEGIN DELETE FROM kept_campaigns WHERE campaign_id = NEW.campaign_id; END;

        -- An erasure changes many campaigns, a row each: only whose a message was.
        CREATE TRIGGER kept_erased AFTER UPDATE OF subscription_id ON deliveries
        BEGIN UPDATE kept_campaigns SET build = 0 WHERE campaign_id = NEW.campaign_id; DELETE
                FROM kept_columns
               WHERE campaign_id = NEW.campaign_id AND name = 'subscription'; END;

        CREATE TRIGGER kept_moved AFTER UPDATE OF id, campaign_id ON deliveries
        BEGIN DELETE FROM kept_campaigns
               WHERE campaign_id IN (OLD.campaign_id, NEW.campaign_id); END;

        CREATE TRIGGER kept_deleted AFTER DELETE ON deliveries
        BEGIN DELETE FROM kept_campaigns WHERE campaign_id = OLD.campaign_id; END;

        -- A report is written once, by whoever: the message's own times follow it.
        CREATE TRIGGER kept_report AFTER INSERT ON interactions
        BEGIN UPDATE deliveries
                 SET shown_at = min(coalesce(shown_at, NEW.at), NEW.at),
                     clicked_at = iif(NEW.kind = 'clicked',
                                      min(coalesce(clicked_at, NEW.at), NEW.at), clicked_at)
               WHERE id = NEW.delivery_id; END;

        CREATE TRIGGER kept_report_deleted AFTER DELETE ON interactions
        BEGIN DELETE FROM kept_campaigns
               WHERE campaign_id = (SELECT campaign_id FROM deliveries
                                     WHERE id = OLD.delivery_id); END;

        CREATE TRIGGER kept_thanked AFTER INSERT ON thanked
        BEGIN DELETE FROM kept_campaigns
               WHERE campaign_id = (SELECT campaign_id FROM deliveries
                                     WHERE id = NEW.delivery_id); END;

        CREATE TRIGGER kept_foreign AFTER INSERT ON foreign_deliveries
        BEGIN DELETE FROM kept_campaigns
               WHERE campaign_id = (SELECT campaign_id FROM deliveries
                                     WHERE id = NEW.delivery_id); END;
        """,
    )

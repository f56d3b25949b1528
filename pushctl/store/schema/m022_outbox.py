"""Webhooks: what goes out to them, and the rows that say what has happened."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m022_outbox(db: Database) -> None:
    # What happened to rows that change in place is noted by SQL's triggers, in the transaction
    # that changes them; what is added and never changed (events, interactions) is found by
    # a cursor. Without webhooks the table is empty and nothing is noted.
    script(
        db,
        """
        CREATE TABLE webhooks (
            name          TEXT PRIMARY KEY,
            events        TEXT NOT NULL,
            delivered_at  INTEGER,
            -- failed calls in a row, since when, and until when none is tried
            failures      INTEGER NOT NULL DEFAULT 0,
            failing_since INTEGER,
            open_until    INTEGER,
            reason        TEXT
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE webhook_sources (
            id   INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            row  INTEGER NOT NULL,
            at   INTEGER
        ) STRICT;

        CREATE TABLE webhook_calls (
            id              INTEGER PRIMARY KEY AUTOINCREMENT,
            webhook         TEXT NOT NULL,
            message         TEXT NOT NULL,
            event           TEXT NOT NULL,
            -- NULL once it was delivered
            payload         TEXT,
            subscription_id INTEGER REFERENCES subscriptions(id) ON DELETE CASCADE,
            state           TEXT NOT NULL DEFAULT 'waiting'
                            CHECK (state IN ('waiting', 'delivered', 'dead')),
            attempts        INTEGER NOT NULL DEFAULT 0,
            next_at         INTEGER,
            created_at      INTEGER NOT NULL,
            changed_at      INTEGER NOT NULL,
            http_status     INTEGER,
            reason          TEXT,
            UNIQUE (webhook, message)
        ) STRICT;

        -- a restore moves the numbers of all such tables on
        INSERT INTO sqlite_sequence (name, seq)
        VALUES ('webhook_sources', 0), ('webhook_calls', 0);

        CREATE INDEX webhook_calls_due ON webhook_calls(webhook, next_at)
         WHERE state = 'waiting';

        CREATE INDEX webhook_calls_ended ON webhook_calls(state, changed_at)
         WHERE state <> 'waiting';

        CREATE INDEX webhook_calls_subscription ON webhook_calls(subscription_id)
         WHERE subscription_id IS NOT NULL;

        -- the event that was the goal of an enrolment, once it was reached
        ALTER TABLE enrolments ADD COLUMN reached TEXT;

        CREATE TRIGGER webhook_enrolment AFTER UPDATE OF state ON enrolments
         WHEN NEW.state = 'finished' AND OLD.state <> 'finished'
          AND EXISTS (SELECT 1 FROM webhooks)
        BEGIN INSERT INTO webhook_sources (kind, row, at)
              VALUES ('enrolment', NEW.id, NEW.changed_at); END;

        CREATE TRIGGER webhook_new_order AFTER INSERT ON orders
         WHEN NEW.state = 'paid' AND NEW.subscription_id IS NOT NULL
          AND EXISTS (SELECT 1 FROM webhooks)
        BEGIN INSERT INTO webhook_sources (kind, row, at)
              VALUES ('order', NEW.id, NEW.at); END;

        CREATE TRIGGER webhook_order AFTER UPDATE OF state, subscription_id ON orders
         WHEN NEW.state = 'paid' AND NEW.subscription_id IS NOT NULL
          AND (OLD.state <> 'paid' OR OLD.subscription_id IS NULL)
          AND EXISTS (SELECT 1 FROM webhooks)
        BEGIN INSERT INTO webhook_sources (kind, row, at)
              VALUES ('order', NEW.id, NEW.at); END;

        CREATE TRIGGER webhook_campaign AFTER UPDATE OF status ON campaigns
         WHEN NEW.status = 'finished' AND OLD.status <> 'finished' AND NEW.trigger IS NULL
          AND EXISTS (SELECT 1 FROM webhooks)
        BEGIN INSERT INTO webhook_sources (kind, row, at)
              VALUES ('campaign', NEW.id, NEW.finished_at); END;
        """,
    )

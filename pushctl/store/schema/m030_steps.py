"""Holidays whose day the owner has confirmed, consents to channels, and news of feeds."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m030_steps(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE confirmed_holidays (
            country      TEXT NOT NULL,
            holiday      TEXT NOT NULL, -- "2027:Eid al-Fitr"
            day          TEXT NOT NULL, -- "2027-03-10"
            confirmed_at INTEGER NOT NULL,
            PRIMARY KEY (country, holiday)
        ) STRICT, WITHOUT ROWID;

        -- What somebody agreed to in a form, beside the consent to push itself.
        CREATE TABLE channel_consents (
            id              INTEGER PRIMARY KEY AUTOINCREMENT,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            channel         TEXT NOT NULL,
            text            TEXT, -- the form's words; NULL where the page told none
            page            TEXT,
            at              INTEGER NOT NULL,
            revoked_at      INTEGER
        ) STRICT;

        INSERT INTO sqlite_sequence (name, seq) VALUES ('channel_consents', 0);

        CREATE INDEX channel_consents_subscription
            ON channel_consents(subscription_id, channel, at);

        -- What a feed has brought and a digest has not told yet, or told when.
        CREATE TABLE feed_news (
            trigger  TEXT NOT NULL,
            feed     TEXT NOT NULL, -- the language that reads it; '': all
            item     TEXT NOT NULL,
            about    TEXT NOT NULL, -- JSON: the values of a message
            found_at INTEGER NOT NULL,
            told_at  INTEGER,
            PRIMARY KEY (trigger, feed, item)
        ) STRICT, WITHOUT ROWID;
        """,
    )

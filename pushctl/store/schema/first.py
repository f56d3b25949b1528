"""The first six migrations: everything up to the first release."""

from sqlite_utils import Database

from pushctl.rules.delivery.known_reasons import cause_of
from pushctl.store.schema.migrations import migrations, script


@migrations()
def m001_spine(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE meta (
            key   TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE sites (
            id     INTEGER PRIMARY KEY,
            name   TEXT NOT NULL UNIQUE,
            origin TEXT NOT NULL
        ) STRICT;

        CREATE TABLE subscriptions (
            id            INTEGER PRIMARY KEY,
            public_id     TEXT NOT NULL UNIQUE,
            site_id       INTEGER NOT NULL REFERENCES sites(id),
            endpoint_hash BLOB NOT NULL UNIQUE,
            endpoint      TEXT NOT NULL,
            p256dh        BLOB NOT NULL CHECK (length(p256dh) = 65),
            auth          BLOB NOT NULL CHECK (length(auth) = 16),
            key_id        TEXT NOT NULL,
            state         TEXT NOT NULL DEFAULT 'active'
                          CHECK (state IN ('active', 'unsubscribed', 'gone', 'quarantined')),
            state_reason  TEXT,
            state_at      INTEGER NOT NULL,
            failures      INTEGER NOT NULL DEFAULT 0,
            failing_since INTEGER,
            small_payload INTEGER NOT NULL DEFAULT 0,
            alias         TEXT,
            alias_trusted INTEGER NOT NULL DEFAULT 0,
            language      TEXT,
            timezone      TEXT,
            country       TEXT,
            city          TEXT,
            browser       TEXT,
            os            TEXT,
            source        TEXT,
            attributes    TEXT NOT NULL DEFAULT '{}',
            subscribed_at INTEGER NOT NULL,
            last_seen_at  INTEGER NOT NULL,
            verified_at   INTEGER
        ) STRICT;

        CREATE INDEX subscriptions_alias ON subscriptions(alias) WHERE alias IS NOT NULL;

        CREATE TABLE subscription_changes (
            id              INTEGER PRIMARY KEY,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            kind            TEXT NOT NULL,
            reason          TEXT,
            at              INTEGER NOT NULL
        ) STRICT;

        CREATE INDEX subscription_changes_at ON subscription_changes(at);

        CREATE INDEX subscription_changes_subscription
            ON subscription_changes(subscription_id);

        CREATE TABLE tags (
            id     INTEGER PRIMARY KEY,
            name   TEXT NOT NULL,
            folded TEXT NOT NULL UNIQUE
        ) STRICT;

        CREATE TABLE subscription_tags (
            tag_id          INTEGER NOT NULL REFERENCES tags(id),
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            set_at          INTEGER NOT NULL,
            expires_at      INTEGER,
            PRIMARY KEY (tag_id, subscription_id)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX subscription_tags_subscription ON subscription_tags(subscription_id);

        CREATE TABLE events (
            id              INTEGER PRIMARY KEY,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            name            TEXT NOT NULL,
            at              INTEGER NOT NULL,
            received_at     INTEGER NOT NULL,
            properties      TEXT NOT NULL DEFAULT '{}',
            dedupe_key      TEXT NOT NULL UNIQUE
        ) STRICT;

        CREATE INDEX events_subscription ON events(subscription_id, name, at);

        CREATE INDEX events_received ON events(received_at);

        CREATE TABLE campaigns (
            id          INTEGER PRIMARY KEY,
            name        TEXT NOT NULL UNIQUE,
            status      TEXT NOT NULL
                        CHECK (status IN ('scheduled', 'running', 'paused', 'cancelled',
                                          'finished')),
            template    TEXT NOT NULL,
            audience    TEXT NOT NULL,
            sources     TEXT NOT NULL,
            options     TEXT NOT NULL DEFAULT '{}',
            trigger     TEXT,
            step        INTEGER,
            created_at  INTEGER NOT NULL,
            started_at  INTEGER,
            finished_at INTEGER,
            expires_at  INTEGER,
            note        TEXT
        ) STRICT;

        CREATE TABLE deliveries (
            id              INTEGER PRIMARY KEY,
            campaign_id     INTEGER NOT NULL REFERENCES campaigns(id),
            -- NULL once the person was forgotten: the figures stay, the person does not
            subscription_id INTEGER REFERENCES subscriptions(id) ON DELETE SET NULL,
            enrolment_id    INTEGER NOT NULL DEFAULT 0,
            status          TEXT NOT NULL DEFAULT 'planned'
                            CHECK (status IN ('planned', 'sending', 'accepted', 'gone',
                                              'rejected', 'expired', 'skipped', 'in_doubt')),
            reason          TEXT,
            variant         TEXT,
            language        TEXT,
            attempts        INTEGER NOT NULL DEFAULT 0,
            next_attempt_at INTEGER,
            expires_at      INTEGER,
            changed_at      INTEGER NOT NULL,
            http_status     INTEGER,
            location        TEXT,
            UNIQUE (campaign_id, subscription_id, enrolment_id)
        ) STRICT;

        CREATE INDEX deliveries_status ON deliveries(campaign_id, status);

        CREATE INDEX deliveries_subscription ON deliveries(subscription_id);

        -- By campaign first: a paused one may hold very many rows that are overdue.
        CREATE INDEX deliveries_due ON deliveries(campaign_id, next_attempt_at)
            WHERE status = 'planned' AND next_attempt_at IS NOT NULL;

        CREATE TABLE interactions (
            id          INTEGER PRIMARY KEY,
            delivery_id INTEGER NOT NULL REFERENCES deliveries(id) ON DELETE CASCADE,
            kind        TEXT NOT NULL CHECK (kind IN ('shown', 'clicked', 'closed')),
            action      TEXT,
            at          INTEGER NOT NULL,
            dedupe_key  TEXT NOT NULL UNIQUE
        ) STRICT;

        CREATE INDEX interactions_delivery ON interactions(delivery_id, kind);

        CREATE TABLE origins (
            origin       TEXT PRIMARY KEY,
            paused_until INTEGER,
            reason       TEXT,
            rate         REAL,
            changed_at   INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE inbox_cursors (
            segment TEXT PRIMARY KEY,
            offset  INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE runs (
            id          INTEGER PRIMARY KEY,
            command     TEXT NOT NULL,
            started_at  INTEGER NOT NULL,
            finished_at INTEGER,
            exit_code   INTEGER,
            summary     TEXT NOT NULL DEFAULT '{}'
        ) STRICT;
        """,
    )


@migrations()
def m002_triggers(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE enrolments (
            id              INTEGER PRIMARY KEY,
            trigger         TEXT NOT NULL,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            -- the event or day that caused it: one cause begins one enrolment
            occurrence      TEXT NOT NULL,
            state           TEXT NOT NULL
                            CHECK (state IN ('active', 'finished', 'cancelled', 'expired',
                                             'superseded', 'holdout')),
            step            INTEGER NOT NULL DEFAULT 1,
            sent            INTEGER NOT NULL DEFAULT 0,
            entered_at      INTEGER NOT NULL,
            accepted_at     INTEGER,
            shown_at        INTEGER,
            next_at         INTEGER,
            context         TEXT NOT NULL DEFAULT '{}',
            changed_at      INTEGER NOT NULL,
            reason          TEXT,
            UNIQUE (trigger, subscription_id, occurrence)
        ) STRICT;

        CREATE UNIQUE INDEX enrolments_active ON enrolments(subscription_id, trigger)
            WHERE state = 'active';

        CREATE INDEX enrolments_due ON enrolments(next_at) WHERE state = 'active';

        CREATE INDEX enrolments_subscription
            ON enrolments(subscription_id, trigger, entered_at);

        CREATE INDEX enrolments_trigger ON enrolments(trigger, state);

        CREATE TABLE decisions (
            id              INTEGER PRIMARY KEY,
            trigger         TEXT NOT NULL,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            enrolment_id    INTEGER,
            kind            TEXT NOT NULL,
            step            INTEGER,
            at              INTEGER NOT NULL,
            until           INTEGER,
            reason          TEXT NOT NULL
        ) STRICT;

        CREATE INDEX decisions_subscription ON decisions(subscription_id, at);

        CREATE INDEX decisions_at ON decisions(at);

        CREATE TABLE trigger_states (
            name       TEXT PRIMARY KEY,
            tag        TEXT,
            paused_at  INTEGER,
            scanned_at INTEGER
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE interests (
            product         TEXT NOT NULL,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            at              INTEGER NOT NULL,
            PRIMARY KEY (product, subscription_id)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX interests_subscription ON interests(subscription_id);

        CREATE TABLE products (
            site_id    INTEGER NOT NULL REFERENCES sites(id),
            id         TEXT NOT NULL,
            price      REAL,
            available  INTEGER,
            about      TEXT NOT NULL DEFAULT '{}',
            changed_at INTEGER NOT NULL,
            PRIMARY KEY (site_id, id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE feed_items (
            trigger TEXT NOT NULL,
            item    TEXT NOT NULL,
            at      INTEGER NOT NULL,
            PRIMARY KEY (trigger, item)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX subscriptions_seen ON subscriptions(last_seen_at) WHERE state = 'active';
        """,
    )


@migrations()
def m003_receiver(db: Database) -> None:
    script(
        db,
        """
        -- signatures of changes that were made: none of them makes its change twice
        CREATE TABLE seen_signatures (
            digest BLOB PRIMARY KEY CHECK (length(digest) = 16),
            at     INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX seen_signatures_at ON seen_signatures(at);

        CREATE TABLE consents (
            id              INTEGER PRIMARY KEY,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            -- the version of the words agreed to, as the page calls it
            text            TEXT NOT NULL,
            at              INTEGER NOT NULL,
            page            TEXT,
            received_at     INTEGER NOT NULL,
            UNIQUE (subscription_id, text, at)
        ) STRICT;

        CREATE TABLE prompt_counts (
            site_id  INTEGER NOT NULL REFERENCES sites(id),
            day      INTEGER NOT NULL,
            variant  TEXT NOT NULL,
            language TEXT NOT NULL,
            browser  TEXT NOT NULL,
            stage    TEXT NOT NULL
                     CHECK (stage IN ('seen', 'accepted', 'allowed', 'denied', 'dismissed')),
            count    INTEGER NOT NULL,
            PRIMARY KEY (site_id, day, variant, language, browser, stage)
        ) STRICT, WITHOUT ROWID;
        """,
    )


@migrations()
def m004_recurring(db: Database) -> None:
    script(
        db,
        """
        -- what `send --every` asks for: each occurrence becomes a campaign of its own
        CREATE TABLE recurring (
            id         INTEGER PRIMARY KEY,
            name       TEXT NOT NULL UNIQUE,
            said       TEXT NOT NULL,
            rule       TEXT NOT NULL,
            -- local time at which the rule began, without a zone: the site's wall clock
            starts     TEXT NOT NULL,
            wish       TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            -- when the next one is due; NULL: it is over, or was cancelled
            next_at    INTEGER,
            note       TEXT
        ) STRICT;

        CREATE INDEX recurring_next ON recurring(next_at) WHERE next_at IS NOT NULL;
        """,
    )


@migrations()
def m005_known(db: Database) -> None:
    script(
        db,
        """
        -- which push service took a message signed with which key, and when last
        CREATE TABLE lanes (
            origin      TEXT NOT NULL,
            key_id      TEXT NOT NULL,
            accepted_at INTEGER NOT NULL,
            PRIMARY KEY (origin, key_id)
        ) STRICT, WITHOUT ROWID;

        -- it failed so often that one message a minute asks whether it works again
        ALTER TABLE origins ADD COLUMN probing INTEGER NOT NULL DEFAULT 0;

        -- where browsers were reached before: what must go with them when they are forgotten
        CREATE TABLE former_endpoints (
            endpoint_hash   BLOB PRIMARY KEY CHECK (length(endpoint_hash) = 16),
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX former_endpoints_subscription ON former_endpoints(subscription_id);
        """,
    )


@migrations()
def m006_causes(db: Database) -> None:
    # What the program branches on; the reasons and notes beside it are for people.
    db.conn.create_function("cause_of", 1, cause_of, deterministic=True)
    for table, text in (
        ("deliveries", "reason"),
        ("subscription_changes", "reason"),
        ("campaigns", "note"),
    ):
        db.execute(f"ALTER TABLE {table} ADD COLUMN cause TEXT")
        db.execute(f"UPDATE {table} SET cause = cause_of({text}) WHERE {text} IS NOT NULL")  # noqa: S608

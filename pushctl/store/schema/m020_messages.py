"""Messages of the server API: one request each, with what has become of it."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m020_messages(db: Database) -> None:
    # A message's deliveries have its negative id as enrolment_id: so many messages of one
    # kind share a campaign. One to an audience has a campaign of its own, and rows as any
    # broadcast (own = 1).
    script(
        db,
        """
        CREATE TABLE messages (
            id          INTEGER PRIMARY KEY AUTOINCREMENT,
            request     TEXT NOT NULL UNIQUE,
            key         TEXT NOT NULL,
            site_id     INTEGER NOT NULL REFERENCES sites(id),
            at          INTEGER NOT NULL,
            state       TEXT NOT NULL DEFAULT 'received'
                        CHECK (state IN ('received', 'refused', 'waiting', 'scheduled',
                                         'sending', 'done', 'cancelled')),
            campaign_id INTEGER REFERENCES campaigns(id),
            own         INTEGER NOT NULL DEFAULT 0,
            due_at      INTEGER,
            -- the request; once it is planned what its texts need; {} once it is over
            content     TEXT NOT NULL,
            counts      TEXT NOT NULL DEFAULT '{}',
            reason      TEXT,
            -- whether its result is a file and no line of a list
            filed       INTEGER NOT NULL DEFAULT 0,
            -- when to look at it again; NULL: it is over
            look_at     INTEGER,
            changed_at  INTEGER NOT NULL
        ) STRICT;

        INSERT INTO sqlite_sequence (name, seq) VALUES ('messages', 0);

        CREATE INDEX messages_look ON messages(look_at) WHERE look_at IS NOT NULL;

        CREATE INDEX messages_at ON messages(at);

        CREATE INDEX messages_own ON messages(campaign_id) WHERE own;

        CREATE INDEX deliveries_message ON deliveries(enrolment_id) WHERE enrolment_id < 0;

        -- the campaign that messages of one kind share for a day
        CREATE TABLE message_groups (
            digest      BLOB PRIMARY KEY CHECK (length(digest) = 16),
            campaign_id INTEGER NOT NULL REFERENCES campaigns(id),
            at          INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    )

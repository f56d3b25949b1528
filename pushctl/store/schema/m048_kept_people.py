"""What people are (country, browser, clock), and when they came and went, kept for figures."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

_BITS = 14
# Of a subscription's columns those that change seldom; others have triggers of their own.
_READ = (
    "id",
    "site_id",
    "country",
    "city",
    "browser",
    "os",
    "language",
    "source",
    "timezone",
    "subscribed_at",
)


def _drop(source: str, row: str, more: str = "") -> str:
    return (
        f"DELETE FROM kept_pages WHERE source = '{source}' AND page = {row}.id >> {_BITS}{more}"  # noqa: S608
    )


@migrations()
def m048_kept_people(db: Database) -> None:
    # As in m047: a page knows up to which number it goes, so new changes need no trigger.
    script(
        db,
        f"""
        -- With large data beside its key each look of a trigger read all of that: 16 to 300
        -- microseconds a row instead of one. What was kept is built anew.
        DROP TABLE kept_pages;

        CREATE TABLE kept_pages (
            id     INTEGER PRIMARY KEY AUTOINCREMENT,
            source TEXT NOT NULL,
            name   TEXT NOT NULL,
            -- the number of a row without its last bits
            page   INTEGER NOT NULL,
            -- the last number that any row had when this was built
            upto   INTEGER NOT NULL,
            about  TEXT NOT NULL, -- JSON: how the data is read
            data   BLOB NOT NULL,
            UNIQUE (source, page, name)
        ) STRICT;

        INSERT INTO sqlite_sequence (name, seq) VALUES ('kept_pages', 0);

        -- An import gives numbers itself.
        CREATE TRIGGER kept_people_new AFTER INSERT ON subscriptions
        BEGIN {_drop("people", "NEW")}; END;

        CREATE TRIGGER kept_people_changed AFTER UPDATE OF {", ".join(_READ)} ON subscriptions
         WHEN {" OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in _READ)}
        BEGIN {_drop("people", "OLD")}; {_drop("people", "NEW")}; END;

        -- Which of them has changed can't be asked: SQLite takes JSON's functions for unsafe.
        CREATE TRIGGER kept_people_attributes AFTER UPDATE OF attributes ON subscriptions
         WHEN NEW.attributes <> OLD.attributes
        BEGIN {_drop("people", "NEW", " AND name IN ('device', 'landing')")}; END;

        CREATE TRIGGER kept_people_state AFTER UPDATE OF state ON subscriptions
         WHEN NEW.state <> OLD.state
        BEGIN {_drop("people", "NEW", " AND name = 'state'")}; END;

        CREATE TRIGGER kept_people_verified AFTER UPDATE OF verified_at ON subscriptions
         WHEN (NEW.verified_at IS NULL) <> (OLD.verified_at IS NULL)
        BEGIN {_drop("people", "NEW", " AND name = 'verified'")}; END;

        CREATE TRIGGER kept_people_deleted AFTER DELETE ON subscriptions
        BEGIN {_drop("people", "OLD")}; END;

        CREATE TRIGGER kept_people_site AFTER UPDATE OF id, name ON sites
        BEGIN DELETE FROM kept_pages WHERE source = 'people' AND name = 'site'; END;

        CREATE TRIGGER kept_change_changed AFTER UPDATE ON subscription_changes
        BEGIN {_drop("changes", "OLD")}; {_drop("changes", "NEW")}; END;

        CREATE TRIGGER kept_change_deleted AFTER DELETE ON subscription_changes
        BEGIN {_drop("changes", "OLD")}; END;
        """,  # noqa: S608
    )

"""Columns of rows that figures of effects read, kept by pages of their numbers."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

_NAMED = "({0}.alias_trusted AND {0}.alias IS NOT NULL OR {0}.email_hash IS NOT NULL)"
_PERSONS = "DELETE FROM kept_pages WHERE source = 'persons'"


def _drop(source: str, row: str, bits: int) -> str:
    return f"DELETE FROM kept_pages WHERE source = '{source}' AND page = {row}.id >> {bits}"  # noqa: S608


@migrations()
def m047_kept_pages(db: Database) -> None:
    # No trigger for new events, orders and enrolments: each has a number behind all others,
    # and a page knows up to which number it goes. So taking in events costs what it did.
    script(
        db,
        f"""
        -- Built from rows (figures/columns/pages.py), and deleted with the first of them that
        -- changes. Deleting all of it changes no figure. page: the number of a row without
        -- its last bits
        CREATE TABLE kept_pages (
            source TEXT NOT NULL,
            name   TEXT NOT NULL,
            page   INTEGER NOT NULL,
            -- the last number that any row had when this was built
            upto   INTEGER NOT NULL,
            about  TEXT NOT NULL, -- JSON: how the data is read
            data   BLOB NOT NULL,
            PRIMARY KEY (source, page, name)
        ) STRICT, WITHOUT ROWID;

        CREATE TRIGGER kept_event_changed AFTER UPDATE ON events
        BEGIN {_drop("events", "OLD", 16)}; {_drop("events", "NEW", 16)}; END;

        CREATE TRIGGER kept_event_deleted AFTER DELETE ON events
        BEGIN {_drop("events", "OLD", 16)}; END;

        CREATE TRIGGER kept_order_changed
         AFTER UPDATE OF id, subscription_id, at, state, test, minor, refunded_minor, exponent,
                         currency ON orders
        BEGIN {_drop("orders", "OLD", 14)}; {_drop("orders", "NEW", 14)}; END;

        CREATE TRIGGER kept_order_deleted AFTER DELETE ON orders
        BEGIN {_drop("orders", "OLD", 14)}; END;

        CREATE TRIGGER kept_enrolment_changed
         AFTER UPDATE OF id, trigger, subscription_id, entered_at, state ON enrolments
         WHEN NEW.id <> OLD.id OR NEW.trigger <> OLD.trigger
              OR NEW.subscription_id <> OLD.subscription_id
              OR NEW.entered_at <> OLD.entered_at
              OR (NEW.state = 'holdout') <> (OLD.state = 'holdout')
        BEGIN {_drop("enrolments", "OLD", 14)}; {_drop("enrolments", "NEW", 14)}; END;

        CREATE TRIGGER kept_enrolment_deleted AFTER DELETE ON enrolments
        BEGIN {_drop("enrolments", "OLD", 14)}; END;

        -- An import gives numbers itself.
        CREATE TRIGGER kept_subscription_new AFTER INSERT ON subscriptions
        BEGIN {_drop("subscriptions", "NEW", 14)}; END;

        CREATE TRIGGER kept_subscription_changed
         AFTER UPDATE OF id, public_id, site_id, state, state_at, subscribed_at
            ON subscriptions
         WHEN NEW.id <> OLD.id OR NEW.public_id <> OLD.public_id
              OR NEW.site_id <> OLD.site_id OR NEW.state <> OLD.state
              OR NEW.state_at <> OLD.state_at OR NEW.subscribed_at <> OLD.subscribed_at
        BEGIN {_drop("subscriptions", "OLD", 14)}; {_drop("subscriptions", "NEW", 14)}; END;

        CREATE TRIGGER kept_subscription_deleted AFTER DELETE ON subscriptions
        BEGIN {_drop("subscriptions", "OLD", 14)}; END;

        -- Who is one person with whom: only those with an alias or an address can change it.
        CREATE TRIGGER kept_person_new AFTER INSERT ON subscriptions
         WHEN {_NAMED.format("NEW")}
        BEGIN {_PERSONS}; END;

        CREATE TRIGGER kept_person_changed
         AFTER UPDATE OF id, alias, alias_trusted, email_hash, site_id ON subscriptions
         WHEN NEW.id <> OLD.id OR NEW.alias IS NOT OLD.alias
              OR NEW.alias_trusted <> OLD.alias_trusted
              OR NEW.email_hash IS NOT OLD.email_hash OR NEW.site_id <> OLD.site_id
        BEGIN {_PERSONS}; END;

        CREATE TRIGGER kept_person_deleted AFTER DELETE ON subscriptions
         WHEN {_NAMED.format("OLD")}
        BEGIN {_PERSONS}; END;
        """,
    )

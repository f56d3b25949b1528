"""Promo codes: pools, their codes, which message carries which, and what redeemed them."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m028_promo_codes(db: Database) -> None:
    # Codes are in the clear, because they are sent. Shops compare them without case, so
    # NOCASE: two that differ by case alone are one code. A shared code goes to everybody:
    # a fallback, or a pool of one.
    script(
        db,
        """
        CREATE TABLE promo_pools (
            id          INTEGER PRIMARY KEY AUTOINCREMENT,
            name        TEXT NOT NULL UNIQUE COLLATE NOCASE,
            expires_at  INTEGER,
            remind_at   INTEGER,
            reminded_at INTEGER,
            -- the last message whose person was reminded
            reminded_to INTEGER NOT NULL DEFAULT 0,
            low         INTEGER NOT NULL,
            -- the length of the longest code: for samples
            longest     INTEGER NOT NULL DEFAULT 0,
            -- the code for everybody, once none is free
            shared_id   INTEGER,
            created_at  INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE promo_codes (
            id          INTEGER PRIMARY KEY AUTOINCREMENT,
            pool_id     INTEGER NOT NULL REFERENCES promo_pools(id),
            code        TEXT NOT NULL COLLATE NOCASE,
            state       TEXT NOT NULL DEFAULT 'free'
                        CHECK (state IN ('free', 'bound', 'set_aside', 'shared')),
            -- a column of its own: an index that hangs on the state, in the order of random
            -- codes, would be written anew at a random place for each code that is bound
            for_all     INTEGER NOT NULL DEFAULT 0 CHECK (for_all = (state = 'shared')),
            -- of the first order
            redeemed_at INTEGER
        ) STRICT;

        CREATE UNIQUE INDEX promo_codes_code ON promo_codes(code) WHERE for_all = 0;

        CREATE UNIQUE INDEX promo_codes_shared ON promo_codes(code, pool_id)
         WHERE for_all = 1;

        CREATE INDEX promo_codes_free ON promo_codes(pool_id, id) WHERE state = 'free';

        CREATE TABLE promo_bindings (
            delivery_id     INTEGER NOT NULL PRIMARY KEY
                            REFERENCES deliveries(id) ON DELETE CASCADE,
            code_id         INTEGER NOT NULL REFERENCES promo_codes(id),
            subscription_id INTEGER REFERENCES subscriptions(id) ON DELETE SET NULL,
            -- the campaign, or the first campaign of the trigger: one code a person in it
            scope           INTEGER NOT NULL,
            -- whether the message may have been on the wire, where its state does not say so
            tried           INTEGER NOT NULL DEFAULT 0,
            at              INTEGER NOT NULL
        ) STRICT;

        CREATE INDEX promo_bindings_code ON promo_bindings(code_id);

        CREATE INDEX promo_bindings_subscription ON promo_bindings(subscription_id, scope)
         WHERE subscription_id IS NOT NULL;

        CREATE TABLE promo_redemptions (
            code_id  INTEGER NOT NULL REFERENCES promo_codes(id),
            order_id INTEGER NOT NULL REFERENCES orders(id),
            at       INTEGER NOT NULL,
            PRIMARY KEY (code_id, order_id)
        ) STRICT, WITHOUT ROWID;

        -- a restore moves the numbers of all such tables on
        INSERT INTO sqlite_sequence (name, seq)
        VALUES ('promo_pools', 0), ('promo_codes', 0);
        """,
    )

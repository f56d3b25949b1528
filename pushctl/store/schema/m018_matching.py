"""What orders are matched by, and what shops tell of them after the first word."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m018_matching(db: Database) -> None:
    # A CHECK of a new column would read every row.
    script(
        db,
        """
        CREATE TABLE cart_keys (
            site_id         INTEGER NOT NULL REFERENCES sites(id),
            key             TEXT NOT NULL,
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            at              INTEGER NOT NULL,
            PRIMARY KEY (site_id, key, subscription_id)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX cart_keys_subscription ON cart_keys(subscription_id, at);

        -- what a shop has told already; kept 60 days
        CREATE TABLE shop_deliveries (
            site_id  INTEGER NOT NULL REFERENCES sites(id),
            source   TEXT NOT NULL,
            delivery TEXT NOT NULL,
            at       INTEGER NOT NULL,
            PRIMARY KEY (site_id, source, delivery)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX shop_deliveries_at ON shop_deliveries(at);

        ALTER TABLE subscriptions ADD COLUMN email_hash BLOB;

        CREATE INDEX subscriptions_email ON subscriptions(email_hash)
         WHERE email_hash IS NOT NULL;

        -- of the total's exponent and currency; all refunds so far
        ALTER TABLE orders ADD COLUMN refunded_minor INTEGER;

        ALTER TABLE orders ADD COLUMN test INTEGER NOT NULL DEFAULT 0;

        ALTER TABLE orders ADD COLUMN codes TEXT NOT NULL DEFAULT '[]';

        -- by what it found its subscription: page, cart key, alias, e-mail hash, subscriber
        ALTER TABLE orders ADD COLUMN matched TEXT;

        -- rules/shops/history.py: state, time and amounts come of it
        ALTER TABLE orders ADD COLUMN history TEXT NOT NULL DEFAULT '{}';

        -- when payment_failed was told of it
        ALTER TABLE orders ADD COLUMN failed_at INTEGER;

        -- those of pages; of the others there are none yet
        UPDATE orders
           SET matched = 'page',
               history = json_object('paid', at, 'paid_last', at, 'lines_at', at)
         WHERE source = 'page' AND minor IS NULL;

        UPDATE orders
           SET matched = 'page', refunded_minor = 0,
               history = json_object('paid', at, 'paid_last', at, 'lines_at', at, 'total_at',
                                     at, 'total', json_array(minor, exponent, currency))
         WHERE source = 'page' AND minor IS NOT NULL;

        CREATE INDEX orders_number ON orders(number);

        CREATE INDEX orders_cart_key ON orders(cart_key) WHERE cart_key IS NOT NULL;

        CREATE INDEX orders_email ON orders(email_hash) WHERE email_hash IS NOT NULL;

        CREATE INDEX orders_pending ON orders(at)
         WHERE state = 'pending' AND failed_at IS NULL;
        """,
    )

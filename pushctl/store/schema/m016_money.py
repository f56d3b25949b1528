"""Orders; prices of products as whole minor units instead of REAL."""

import orjson
from sqlite_utils import Database

from pushctl.rules import amounts, money
from pushctl.store.schema.migrations import migrations, script


@migrations()
def m016_money(db: Database) -> None:
    # An amount is minor / 10^exponent. A product's price that names no currency has the
    # digits that were written: 19.5 is 195 of exponent 1, in the currency of its site.
    script(
        db,
        """
        CREATE TABLE orders (
            id              INTEGER PRIMARY KEY AUTOINCREMENT,
            site_id         INTEGER NOT NULL REFERENCES sites(id),
            source          TEXT NOT NULL,
            number          TEXT NOT NULL,
            state           TEXT NOT NULL
                            CHECK (state IN ('pending', 'paid', 'refunded', 'cancelled')),
            minor           INTEGER,
            exponent        INTEGER,
            currency        TEXT,
            lines           TEXT NOT NULL DEFAULT '[]',
            at              INTEGER NOT NULL,
            received_at     INTEGER NOT NULL,
            subscription_id INTEGER REFERENCES subscriptions(id) ON DELETE SET NULL,
            unmatched       TEXT,
            alias           TEXT,
            cart_key        TEXT,
            email_hash      BLOB,
            campaign_id     INTEGER REFERENCES campaigns(id),
            UNIQUE (site_id, source, number),
            CHECK ((minor IS NULL) = (exponent IS NULL))
        ) STRICT;

        -- a restore moves the numbers of all such tables on
        INSERT INTO sqlite_sequence (name, seq) VALUES ('orders', 0);

        CREATE INDEX orders_at ON orders(at);

        CREATE INDEX orders_subscription ON orders(subscription_id, at)
         WHERE subscription_id IS NOT NULL;

        CREATE INDEX orders_alias ON orders(alias) WHERE alias IS NOT NULL;

        CREATE INDEX orders_campaign ON orders(campaign_id) WHERE campaign_id IS NOT NULL;

        CREATE INDEX orders_unmatched ON orders(at) WHERE unmatched IS NOT NULL;

        CREATE TABLE products_new (
            site_id    INTEGER NOT NULL REFERENCES sites(id),
            id         TEXT NOT NULL,
            minor      INTEGER,
            exponent   INTEGER,
            currency   TEXT,
            available  INTEGER,
            about      TEXT NOT NULL DEFAULT '{}',
            changed_at INTEGER NOT NULL,
            PRIMARY KEY (site_id, id),
            CHECK ((minor IS NULL) = (exponent IS NULL))
        ) STRICT, WITHOUT ROWID;
        """,
    )
    rows = db.execute("SELECT site_id, id, price, available, about, changed_at FROM products")
    db.conn.executemany(
        "INSERT INTO products_new VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (site, name, *_convert(price, about), available, about, changed_at)
            for site, name, price, available, about, changed_at in rows
        ),
    )
    script(db, "DROP TABLE products;\nALTER TABLE products_new RENAME TO products")


def _convert(price: float | None, about: str) -> tuple[int | None, int | None, str | None]:
    """Return minor, exponent and currency of a price."""
    currency = None
    if "currency" in about:  # most have none: parsing all takes half of the time
        currency = amounts.read_currency(orjson.loads(about).get("currency"))
    return money.of(price, currency, fine=True) or (None, None, None)

"""Products by line, category and brand, in the order of their prices."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m035_shelves(db: Database) -> None:
    # was_minor: the price before a reduction, in the price's exponent and currency.
    # amount is for the order alone; a price has at most six digits behind its separator
    # (rules/money.py). line to family repeat what about has, for the indexes: json_extract
    # is not allowed in a schema that isn't trusted.
    script(
        db,
        """
        ALTER TABLE products ADD COLUMN was_minor INTEGER;

        ALTER TABLE products ADD COLUMN amount REAL AS (
            minor / CASE exponent WHEN 0 THEN 1.0 WHEN 1 THEN 10.0 WHEN 2 THEN 100.0
                WHEN 3 THEN 1000.0 WHEN 4 THEN 10000.0 WHEN 5 THEN 100000.0 ELSE 1000000.0 END
        ) VIRTUAL;

        ALTER TABLE products ADD COLUMN line TEXT;

        ALTER TABLE products ADD COLUMN category TEXT;

        ALTER TABLE products ADD COLUMN brand TEXT;

        ALTER TABLE products ADD COLUMN family TEXT;

        UPDATE products SET line = json_extract(about, '$.line')
         WHERE json_type(about, '$.line') = 'text';

        CREATE INDEX products_line ON products(site_id, line, currency, amount)
         WHERE line IS NOT NULL AND available IS NOT 0;

        CREATE INDEX products_category ON products(site_id, category, currency, amount)
         WHERE category IS NOT NULL AND available IS NOT 0;

        CREATE INDEX products_brand ON products(site_id, brand, currency, amount)
         WHERE brand IS NOT NULL AND available IS NOT 0;

        CREATE INDEX products_reduced_line ON products(site_id, line, amount)
         WHERE was_minor IS NOT NULL AND line IS NOT NULL AND available IS NOT 0;

        CREATE INDEX products_reduced_category ON products(site_id, category, amount)
         WHERE was_minor IS NOT NULL AND category IS NOT NULL AND available IS NOT 0;
        """,
    )

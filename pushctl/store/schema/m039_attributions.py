"""
Which message has brought about which order or event, kept.

Everything here may be deleted: it is computed again. What may change an order's message is
noted by triggers (orders, codes, who is whom) or has a number behind the last one that was
looked at (reports, events).
"""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

_KEPT = "EXISTS (SELECT 1 FROM attribution_rules)"

_ORDER = "INSERT INTO attribution_changes (order_id) VALUES"
_BY_CODE = """
    INSERT INTO attribution_changes (order_id)
    SELECT r.order_id FROM promo_redemptions AS r JOIN promo_codes AS k ON k.id = r.code_id
     WHERE r.code_id = {0}.code_id AND k.state <> 'shared'
"""
# Whoever reads finds all of the person that one of them is of. So of a person that somebody
# leaves, one who stays is enough; whose alias follows from an address are noted all.
_CHANGED = "INSERT INTO attribution_changes (subscription_id) VALUES (NEW.id)"
_STAYS = """
    INSERT INTO attribution_changes (subscription_id)
    SELECT id FROM subscriptions
     WHERE OLD.alias_trusted AND alias = OLD.alias AND alias_trusted
       AND site_id = OLD.site_id AND id <> OLD.id LIMIT 1
"""
_SHARING = """
    INSERT INTO attribution_changes (subscription_id)
    SELECT id FROM subscriptions WHERE email_hash IN ({0})
"""


@migrations()
def m039_attributions(db: Database) -> None:
    script(
        db,
        f"""
        CREATE TABLE attributions (
            goal        TEXT NOT NULL,
            -- orders.id, or events.id of a goal other than the purchase
            source_id   INTEGER NOT NULL,
            delivery_id INTEGER NOT NULL,
            campaign_id INTEGER NOT NULL,
            -- the lowest subscription of the person
            person      INTEGER NOT NULL,
            kind        TEXT NOT NULL,
            basis       TEXT NOT NULL,
            touched_at  INTEGER NOT NULL,
            PRIMARY KEY (goal, source_id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE attribution_rules (
            goal         TEXT NOT NULL PRIMARY KEY,
            rule         TEXT NOT NULL,
            -- the last rows that were looked at
            interactions INTEGER NOT NULL,
            events       INTEGER NOT NULL,
            changes      INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE attribution_changes (
            id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            order_id        INTEGER,
            subscription_id INTEGER
        ) STRICT;

        CREATE INDEX promo_redemptions_order ON promo_redemptions(order_id);

        CREATE TRIGGER attribution_new_order AFTER INSERT ON orders WHEN {_KEPT}
        BEGIN {_ORDER} (NEW.id); END;

        CREATE TRIGGER attribution_order AFTER UPDATE ON orders
         WHEN (NEW.state <> OLD.state OR NEW.at <> OLD.at OR NEW.test <> OLD.test
               OR NEW.subscription_id IS NOT OLD.subscription_id
               OR NEW.unmatched IS NOT OLD.unmatched)
          AND {_KEPT}
        BEGIN {_ORDER} (NEW.id); END;

        CREATE TRIGGER attribution_redemption AFTER INSERT ON promo_redemptions WHEN {_KEPT}
        BEGIN {_ORDER} (NEW.order_id); END;

        CREATE TRIGGER attribution_binding AFTER INSERT ON promo_bindings
         WHEN EXISTS (SELECT 1 FROM promo_redemptions WHERE code_id = NEW.code_id) AND {_KEPT}
        BEGIN {_BY_CODE.format("NEW")}; END;

        CREATE TRIGGER attribution_rebinding AFTER UPDATE ON promo_bindings
         WHEN EXISTS (SELECT 1 FROM promo_redemptions
                       WHERE code_id IN (OLD.code_id, NEW.code_id))
          AND {_KEPT}
        BEGIN {_BY_CODE.format("OLD")}; {_BY_CODE.format("NEW")}; END;

        CREATE TRIGGER attribution_unbinding AFTER DELETE ON promo_bindings
         WHEN EXISTS (SELECT 1 FROM promo_redemptions WHERE code_id = OLD.code_id) AND {_KEPT}
        BEGIN {_BY_CODE.format("OLD")}; END;

        -- Nothing is known of who is new, and of a person the lowest number counts, but an
        -- alias may be the first one of an address.
        CREATE TRIGGER attribution_new_person AFTER INSERT ON subscriptions
         WHEN NEW.email_hash IS NOT NULL AND {_KEPT}
        BEGIN {_SHARING.format("NEW.email_hash")}; END;

        CREATE TRIGGER attribution_person
         AFTER UPDATE OF alias, alias_trusted, email_hash, site_id ON subscriptions
         WHEN (NEW.alias_trusted <> OLD.alias_trusted
               OR (NEW.alias_trusted AND NEW.alias IS NOT OLD.alias)
               OR NEW.email_hash IS NOT OLD.email_hash OR NEW.site_id <> OLD.site_id)
          AND {_KEPT}
        BEGIN {_CHANGED}; {_STAYS}; {_SHARING.format("OLD.email_hash, NEW.email_hash")}; END;

        CREATE TRIGGER attribution_gone_person BEFORE DELETE ON subscriptions
         WHEN (OLD.alias_trusted OR OLD.email_hash IS NOT NULL) AND {_KEPT}
        BEGIN {_STAYS}; {_SHARING.format("OLD.email_hash")}; END;
        """,  # noqa: S608 - no text of others
    )

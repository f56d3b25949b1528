"""Dossiers: every row that the database holds of one subscription."""

from collections.abc import Mapping, Sequence

from pushctl.model import Json
from pushctl.store.noun import Noun

Rows = Sequence[Mapping[str, Json]]

_RECORD = """
    SELECT s.public_id AS id, t.name AS site, t.origin, s.alias,
           s.alias_trusted AS alias_signed, nullif(lower(hex(s.email_hash)), '') AS email_hash,
           s.state, s.state_reason, s.state_at, s.language,
           s.timezone, s.country, s.city, s.browser, s.os, s.source, s.attributes,
           s.subscribed_at, s.last_seen_at, s.verified_at, s.gpc_at, s.tracking_refused_at,
           s.failures, s.failing_since, s.small_payload, s.worker, s.key_id, s.endpoint,
           s.p256dh, s.auth
      FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
     WHERE s.id = :id
"""

# Every table that references subscriptions; a test checks that none is missing.
_SECTIONS = {
    "tags": """
        SELECT g.name, st.set_at, st.expires_at
          FROM subscription_tags AS st JOIN tags AS g ON g.id = st.tag_id
         WHERE st.subscription_id = :id ORDER BY st.set_at, g.name
    """,
    "consents": """
        SELECT text, at, page, received_at FROM consents
         WHERE subscription_id = :id ORDER BY at, id
    """,
    "channel_consents": """
        SELECT channel, text, page, at, revoked_at FROM channel_consents
         WHERE subscription_id = :id ORDER BY at, id
    """,
    "history": """
        SELECT kind, reason, at FROM subscription_changes
         WHERE subscription_id = :id ORDER BY at, id
    """,
    "cart_keys": """
        SELECT key, at FROM cart_keys WHERE subscription_id = :id ORDER BY at, key
    """,
    "former_endpoints": """
        SELECT lower(hex(endpoint_hash)) AS endpoint_hash FROM former_endpoints
         WHERE subscription_id = :id ORDER BY 1
    """,
    "events": """
        SELECT name, at, received_at, properties FROM events
         WHERE subscription_id = :id ORDER BY at, id
    """,
    "orders": """
        SELECT number, source, state, minor, exponent, currency, lines, at, received_at, alias,
               cart_key, nullif(lower(hex(email_hash)), '') AS email_hash, refunded_minor, test,
               codes, matched FROM orders
         WHERE subscription_id = :id ORDER BY at, id
    """,
    "stops": """
        SELECT name, at FROM stops WHERE subscription_id = :id ORDER BY at, name
    """,
    "interests": """
        SELECT product, at FROM interests WHERE subscription_id = :id ORDER BY at, product
    """,
    "messages": """
        SELECT d.id, c.name AS campaign, c.template, c.trigger, d.status, d.reason, d.language,
               d.variant, d.variant_probability, d.holdout_probability, d.hour_probability,
               d.attempts, d.http_status, d.changed_at, d.next_attempt_at,
               d.expires_at, d.location, nullif(m.content, '{}') AS content,
               d.id IN (SELECT delivery_id FROM foreign_deliveries) AS in_anothers_form,
               (SELECT t.at FROM thanked AS t WHERE t.delivery_id = d.id) AS thanked_at
          FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
          LEFT JOIN messages AS m ON m.id = -d.enrolment_id
         WHERE d.subscription_id = :id ORDER BY d.id
    """,
    "promo_codes": """
        SELECT p.name AS pool, k.code, b.at, b.delivery_id AS message, k.redeemed_at
          FROM promo_bindings AS b JOIN promo_codes AS k ON k.id = b.code_id
          JOIN promo_pools AS p ON p.id = k.pool_id
         WHERE b.subscription_id = :id ORDER BY b.at, b.delivery_id
    """,
    "reactions": """
        SELECT i.delivery_id AS message, i.kind, i.action, i.at
          FROM deliveries AS d JOIN interactions AS i ON i.delivery_id = d.id
         WHERE d.subscription_id = :id ORDER BY i.at, i.id
    """,
    "webhook_calls": """
        SELECT webhook, message AS id, event, state, attempts, payload, created_at, changed_at
          FROM webhook_calls WHERE subscription_id = :id ORDER BY id
    """,
    "walks": """
        SELECT id, trigger, occurrence AS cause, state, reason, step, sent, entered_at,
               accepted_at, shown_at, next_at, changed_at, context
          FROM enrolments WHERE subscription_id = :id ORDER BY entered_at, id
    """,
    "decisions": """
        SELECT enrolment_id AS walk, trigger, kind, step, reason, at, until FROM decisions
         WHERE subscription_id = :id ORDER BY at, id
    """,
}


class Dossiers(Noun):
    """Used as ``Dossiers(store)``: too rare to be an attribute of ``Store``."""

    def load_record(self, subscription: int) -> Mapping[str, Json]:
        """Return the subscription's own row; JSON columns are text, keys are bytes."""
        return next(self._read_dicts(_RECORD, id=subscription))

    def load_sections(self, subscription: int) -> Mapping[str, Rows]:
        """Return the rows that belong to it, by kind, oldest first; JSON columns are text."""
        return {
            name: list(self._read_dicts(sql, id=subscription))
            for name, sql in _SECTIONS.items()
        }

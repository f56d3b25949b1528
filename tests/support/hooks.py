"""A shop's side of webhooks: bodies, signatures, deliveries to a receiver."""

import base64
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushctl import source_secrets
from pushctl.model import InboxRecord
from pushctl.rules.shops import told
from pushctl.rules.shops.told import Told
from tests.support import receiving as r

SECRET = "a shop's own secret"
KEY = "c" * 22  # of a basket


def give_secret(folder: Path, name: str, secret: str = SECRET) -> None:
    keys = folder / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    source_secrets.set_secret(keys, name, secret, 0, 0)


def sign(raw: bytes, secret: str = SECRET) -> str:
    """Return the base64 of HMAC-SHA256, as Shopify and WooCommerce send it."""
    return base64.b64encode(hmac.digest(secret.encode(), raw, "sha256")).decode()


def dump(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def woo_heads(raw: bytes, topic: str = "order.updated", secret: str = SECRET) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "WooCommerce/9.3.3 Hookshot (WordPress/6.6.2)",
        "X-WC-Webhook-Source": "https://shop.example/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Signature": sign(raw, secret),
        "X-WC-Webhook-ID": "3",
        "X-WC-Webhook-Delivery-ID": "3f1d8a3c5b",
    }


def lower(heads: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in heads.items()}


def send(port: int, name: str, raw: bytes, heads: Mapping[str, str]) -> r.Answered:
    return r.request(port, "POST", f"/hooks/{name}", raw, heads)


def shop_records(folder: Path) -> list[InboxRecord]:
    return [one for one in r.records(folder) if one.path == told.PATH]


def read_told(folder: Path) -> list[Told]:
    return [told.decode(one.body) for one in shop_records(folder)]


WOO_ORDER: dict[str, Any] = {
    "id": 727,
    "parent_id": 0,
    "number": "727",
    "order_key": "wc_order_58d2d042d1d",
    "created_via": "checkout",
    "version": "9.3.3",
    "status": "processing",
    "currency": "EUR",
    "date_created": "2026-04-28T10:00:00",
    "date_created_gmt": "2026-04-28T08:00:00",
    "date_modified_gmt": "2026-04-28T08:01:30",
    "discount_total": "5.00",
    "total": "29.35",
    "customer_id": 26,
    "customer_ip_address": "203.0.113.77",
    "customer_user_agent": "canary-agent/1.0",
    "customer_note": "canary-note: ring twice",
    "billing": {
        "first_name": "Canaria",
        "last_name": "Vogelsang",
        "company": "",
        "address_1": "969 Canary Street",
        "city": "San Canario",
        "postcode": "94103-canary",
        "country": "US",
        "email": "Canary.Buyer@mail.example",
        "phone": "(555) 010-canary",
    },
    "shipping": {"first_name": "Canaria", "address_1": "969 Canary Street"},
    "payment_method": "bacs",
    "transaction_id": "canary-transaction",
    "date_paid": "2026-04-28T10:01:00",
    "date_paid_gmt": "2026-04-28T08:01:00",
    "date_completed_gmt": None,
    "meta_data": [
        {"id": 13106, "key": "_download_permissions_granted", "value": "yes"},
        {"id": 13107, "key": "_pushctl", "value": KEY},
    ],
    "line_items": [
        {
            "id": 315,
            "name": "Woo Single #1",
            "product_id": 93,
            "variation_id": 0,
            "quantity": 2,
            "total": "6.00",
            "sku": "",
            "price": 3,
            "meta_data": [{"key": "Engraving", "value": "canary-engraving"}],
        },
        {
            "id": 316,
            "name": "Ship Your Idea",
            "product_id": 22,
            "variation_id": 23,
            "quantity": 1,
            "total": "16.66",
            "sku": "Bar3",
            "price": 16.663333333333334,
        },
    ],
    "coupon_lines": [{"id": 1, "code": "SAVE5", "discount": "5.00"}],
    "refunds": [],
}
# What of WOO_ORDER may be in no file.
CANARIES = (
    "canar", "vogelsang", "203.0.113.77", "wc_order_58d2d042d1d", "mail.example", "ring twice",
)  # fmt: skip

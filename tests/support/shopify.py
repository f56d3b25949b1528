"""Shopify's deliveries: bodies as the REST resources have them, headers as they come."""

from typing import Any

from tests.support import hooks as h

SHOP = "lamps.myshopify.com"

ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "browser_ip": "203.0.113.77",
    "buyer_accepts_marketing": True,
    "cancel_reason": None,
    "cancelled_at": None,
    "cart_token": "68778783ad298f1c80c3bafcddeea02f",
    "checkout_token": "bd5a8aa1ecd019dd3520ff791ee3a24c",
    "client_details": {"browser_ip": "203.0.113.77", "user_agent": "canary-agent/1.0"},
    "contact_email": "Canary.Buyer@mail.example",
    "created_at": "2026-04-28T04:00:00-04:00",
    "currency": "EUR",
    "current_total_price": "254.98",
    "discount_codes": [{"code": "SPRING30", "amount": "30.00", "type": "fixed_amount"}],
    "email": "Canary.Buyer@mail.example",
    "financial_status": "paid",
    "fulfillment_status": None,
    "name": "#1001",
    "note": "canary-note: ring twice",
    "note_attributes": [
        {"name": "gift", "value": "canary-gift"},
        {"name": "_pushctl", "value": h.KEY},
    ],
    "number": 1,
    "order_number": 1001,
    "order_status_url": "https://lamps.example/690933842/orders/x/authenticate?key=canary",
    "phone": "+1 555 010 canary",
    "presentment_currency": "EUR",
    "processed_at": "2026-04-28T04:00:05-04:00",
    "test": False,
    "total_price": "254.98",
    "updated_at": "2026-04-28T04:00:09-04:00",
    "billing_address": {"first_name": "Canaria", "last_name": "Vogelsang", "phone": "canary"},
    "shipping_address": {"address1": "969 Canary Street", "latitude": 45.41634},
    "customer": {
        "id": 115310627314723954,
        "email": "Canary.Buyer@mail.example",
        "first_name": "Canaria",
        "last_name": "Vogelsang",
        "phone": "+1 555 010 canary",
        "default_address": {"address1": "969 Canary Street"},
    },
    "line_items": [
        {
            "id": 866550311766439020,
            "name": "Brass lamp - small",
            "title": "Brass lamp",
            "price": "199.00",
            "product_id": 632910392,
            "variant_id": 808950810,
            "quantity": 1,
            "properties": [{"name": "Engraving", "value": "canary-engraving"}],
        },
        {
            "id": 141249953214522974,
            "title": "Oil",
            "price": "42.99",
            "product_id": None,
            "quantity": 2,
        },
    ],
    "refunds": [],
}

CHECKOUT: dict[str, Any] = {
    "id": 981820079255243537,
    "token": "123123123",
    "cart_token": "eeafa272cebfd4b22385bc4b645e762c",
    "email": "Canary.Buyer@mail.example",
    "created_at": "2026-04-28T09:50:00+02:00",
    "updated_at": "2026-04-28T09:55:00+02:00",
    "completed_at": None,
    "abandoned_checkout_url": "https://lamps.example/690933842/checkouts/123/recover?key=k",
    "currency": "EUR",
    "presentment_currency": "EUR",
    "total_price": "254.98",
    "note_attributes": [{"name": "_pushctl", "value": h.KEY}],
    "line_items": ORDER["line_items"],
    "customer": ORDER["customer"],
    "shipping_address": ORDER["shipping_address"],
    "phone": None,
}

PRODUCT: dict[str, Any] = {
    "id": 632910392,
    "title": "Brass lamp",
    "handle": "brass-lamp",
    "status": "active",
    "published_at": "2025-12-31T19:00:00-05:00",
    "image": {"id": 1, "src": "https://cdn.shopify.example/lamp.png"},
    "variants": [
        {
            "id": 1,
            "price": "199.00",
            "inventory_policy": "deny",
            "inventory_management": "shopify",
            "inventory_quantity": 0,
        },
        {
            "id": 2,
            "price": "189.50",
            "inventory_policy": "deny",
            "inventory_management": "shopify",
            "inventory_quantity": 3,
        },
    ],
}

REDACT: dict[str, Any] = {
    "shop_id": 954889,
    "shop_domain": SHOP,
    "customer": {"id": 191167, "email": "Canary.Buyer@mail.example", "phone": "555-canary"},
    "orders_to_redact": [299938, 280263, 220458],
}

DATA_REQUEST: dict[str, Any] = {
    "shop_id": 954889,
    "shop_domain": SHOP,
    "orders_requested": [299938],
    "customer": {"id": 191167, "email": "Canary.Buyer@mail.example", "phone": "555-canary"},
    "data_request": {"id": 9999},
}


def heads(
    raw: bytes, topic: str = "orders/updated", secret: str = h.SECRET, shop: str = SHOP
) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-SHA256": h.sign(raw, secret),
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-API-Version": "2026-04",
        "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
        "X-Shopify-Triggered-At": "2026-04-28T08:00:10.123Z",
    }

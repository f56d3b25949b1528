"""From a shop's delivery to the database: the first genuine one counts, and no other."""

import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pushctl.jobs.figures.tables import orders as figures
from pushctl.model import Millis
from tests.support import hooks as h
from tests.support import receiving as r
from tests.support import shopify as s
from tests.support.posting import Browser, Project, events_of, sign_alias

SOURCES: dict[str, Any] = {
    "woo": {"kind": "woocommerce", "site": "shop"},
    "shopify": {"kind": "shopify", "site": "shop", "shop": s.SHOP, "alias": "customer_id"},
    "stripe": {"kind": "stripe", "site": "shop"},
    "erp": {
        "kind": "mapped",
        "site": "shop",
        "orders": [{"number": "id", "state": "'paid'", "total": "sum", "currency": "'EUR'",
                    "alias": "who"}],
        "events": [{"when": "bonus", "name": "bonus_credited", "alias": "who",
                    "properties": {"points": "bonus"}}],
    },
}  # fmt: skip
ALIAS = str(s.ORDER["customer"]["id"])

Heads = Callable[[bytes], dict[str, str]]


def stripe_heads(raw: bytes, secret: str = h.SECRET) -> dict[str, str]:
    at = int(time.time())
    mac = hmac.digest(secret.encode(), b"%d." % at + raw, "sha256").hex()
    return {"Stripe-Signature": f"t={at},v1={mac}"}


def erp_heads(raw: bytes, secret: str = h.SECRET) -> dict[str, str]:
    return {"X-Signature": hmac.digest(secret.encode(), raw, "sha256").hex()}


STRIPE = {
    "id": "evt_1", "type": "checkout.session.completed", "created": 1_777_363_200,
    "data": {"object": {
        "id": "cs_1", "payment_intent": "pi_1", "payment_status": "paid", "livemode": True,
        "amount_total": 1998, "currency": "eur", "client_reference_id": h.KEY,
        "customer_details": {"email": "Canary.Buyer@mail.example", "name": "Vogelsang"},
    }},
}  # fmt: skip
ERP = {"id": "A-7", "sum": 12.5, "who": ALIAS, "bonus": 50, "note": "canary-note"}

DELIVERIES: Mapping[str, tuple[Any, Heads, str, str]] = {
    "woo": (h.WOO_ORDER, h.woo_heads, "727", "29.35"),
    "shopify": (s.ORDER, s.heads, str(s.ORDER["id"]), "254.98"),
    "stripe": (STRIPE, stripe_heads, "pi_1", "19.98"),
    "erp": (ERP, erp_heads, "A-7", "12.50"),
}


@pytest.fixture
def known(inbox_project: Project) -> Browser:
    """A browser with the basket's key and the shop's alias of its person."""
    now = time.time_ns() // 1_000_000
    browser = Browser(1, inbox_project.key)
    named = {"alias": ALIAS, "signature": sign_alias(ALIAS), "cart": h.KEY}
    drain(
        inbox_project,
        browser.subscribe(at=now - 60_000),
        browser.post("/v1/identify", at=now - 50_000, **named),
    )
    return browser


def drain(project: Project, *records: Any) -> None:
    now: Millis = time.time_ns() // 1_000_000 + 15_000  # what came this moment, too
    project.drain(*records, now=now)


def list_orders(project: Project) -> list[Mapping[str, Any]]:
    return figures.load(project.config, project.store, site=None, since=0, last=None)


def test_only_the_first_genuine_delivery_has_an_effect(
    inbox_project: Project, known: Browser
) -> None:
    folder = inbox_project.config.folder
    (folder / "keys/email_secret").write_text("the project's secret\n")
    for name in SOURCES:
        h.give_secret(folder, name)
    with r.running(folder, sources=SOURCES) as port:
        for name, (body, heads, _, _) in DELIVERIES.items():
            raw = h.dump(body)
            _attack(port, name, raw, heads)
            assert h.send(port, name, raw, heads(raw)).status == 200
            assert h.send(port, name, raw, heads(raw)).status == 200  # caught, sent again
            for other in DELIVERIES:  # caught, sent to another address
                if other != name:
                    assert h.send(port, other, raw, heads(raw)).status == 401
            _attack(port, name, raw, heads)
    drain(inbox_project)
    drain(inbox_project)
    expected = [
        (name, number, "paid", total) for name, (*_, number, total) in DELIVERIES.items()
    ]
    found = [
        (it["source"], it["number"], it["state"], it["amount"])
        for it in list_orders(inbox_project)
    ]
    assert sorted(found) == sorted(expected)
    # The samples of the other three are from months ago: they end no reminder of today.
    assert sorted(events_of(inbox_project, known)) == ["bonus_credited", "purchase"]
    owners = {it["subscriber"] for it in list_orders(inbox_project)}
    assert len(owners) == 1
    assert None not in owners
    _assert_no_buyer(folder)


def _attack(port: int, name: str, raw: bytes, heads: Heads) -> None:
    """Send what a stranger could make of a delivery; each is refused."""
    body = json.loads(raw)
    odd = [
        raw + b"\n",
        json.dumps(body, indent=1).encode(),  # encoded anew
        h.dump(dict(reversed(body.items()))),  # in another order
        h.dump({**body, "id": "1"}),
    ]
    good = heads(raw)
    assert [h.send(port, name, one, good).status for one in odd] == [401] * 4
    assert h.send(port, name, raw, {}).status == 401
    forged = {
        "woo": h.woo_heads(raw, secret="guess"),
        "shopify": s.heads(raw, secret="guess"),
        "stripe": stripe_heads(raw, "guess"),
        "erp": erp_heads(raw, "guess"),
    }[name]
    assert h.send(port, name, raw, forged).status == 401


def _assert_no_buyer(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            text = file.read_bytes().decode("utf-8", "replace").lower()
            assert not [canary for canary in h.CANARIES if canary in text], file


def test_a_refund_that_comes_before_its_order_counts_once(
    inbox_project: Project, known: Browser
) -> None:
    """Shopify sends it twice, too: alone, and with the order."""
    folder = inbox_project.config.folder
    h.give_secret(folder, "shopify")
    move = {"kind": "refund", "status": "success", "amount": "54.98", "currency": "EUR"}
    refund = {"id": 1, "order_id": s.ORDER["id"], "created_at": "2026-04-29T08:00:00Z",
              "refund_line_items": [], "transactions": [move]}  # fmt: skip
    later = {**s.ORDER, "financial_status": "partially_refunded", "refunds": [refund]}
    sent = [(refund, "refunds/create"), (later, "orders/updated"), (s.ORDER, "orders/paid")]
    with r.running(folder, sources=SOURCES) as port:
        for body, topic in [*sent, *sent]:
            raw = h.dump(body)
            assert h.send(port, "shopify", raw, s.heads(raw, topic)).status == 200
    drain(inbox_project)
    (row,) = list_orders(inbox_project)
    assert (row["state"], row["amount"], row["refunded"]) == ("paid", "254.98", "54.98")


def test_a_shop_s_redact_erases_its_customer(inbox_project: Project, known: Browser) -> None:
    folder = inbox_project.config.folder
    h.give_secret(folder, "shopify")
    redact = {**s.REDACT, "customer": {"id": int(ALIAS)}, "orders_to_redact": [s.ORDER["id"]]}
    with r.running(folder, sources=SOURCES) as port:
        raw = h.dump(s.ORDER)
        assert h.send(port, "shopify", raw, s.heads(raw)).status == 200
        drain(inbox_project)
        assert inbox_project.get(known) is not None
        raw = h.dump(redact)
        assert h.send(port, "shopify", raw, s.heads(raw, "customers/redact")).status == 200
        drain(inbox_project)
    assert inbox_project.get(known) is None
    (row,) = list_orders(inbox_project)
    assert (row["alias"], row["lines"], row["amount"]) == (None, [], "254.98")
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix != ".db-shm":
            assert ALIAS.encode() not in file.read_bytes(), file

"""
"Abandoned basket 2" end to end: an order at 2Checkout that waits for its payment.

Notifications go to a real receiver, messages to a push service on loopback that decrypts
them; the sweep is the command.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from pushctl import source_secrets
from pushctl.demo.pushservice import PushService
from pushctl.push import vapid
from tests.support import project, sending
from tests.support import receiving as r
from tests.support.program import pushctl
from tests.support.pushservice import decrypt
from tests.support.sending import Field
from tests.support.twocheckout import KEY
from tests.support.twocheckout_shop import SOURCES, TOML, Shop, build

TRIGGER = """
[sites.shop.twocheckout]
merchant = "2COLNC"

[triggers.abandoned_basket_2]
on        = "checkout_started"
also_on   = "payment_failed"
goal      = { event = "purchase", within = "24h" }
tag       = "Abandoned basket 2"
steps = [
  { after = "3m", template = "pay", promo = "PAY5", ttl = "30m", max_late = "30m" },
  { after = "4m", template = "pay", ttl = "30m", max_late = "30m" },
]
"""
URL = "url = \"{{ restore_url|default('/cart')|link }}\""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with PushService(tmp_path / "service") as running:
        yield running


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    folder = tmp_path / "project"
    made = sending.field(folder, service)
    sending.template(folder, "pay", title="{{ cart.names|join }}", body="-")
    (folder / "templates/pay/message.toml").write_text(URL)
    sending.lead_to(folder, service)
    project.add(folder, TOML + TRIGGER)
    source_secrets.set_secret(folder / "keys", "checkout2", KEY.decode(), 0, 0)
    source_secrets.set_word(folder / "keys", "checkout2", "buy-link", "tango")
    yield made
    made.store.close()


def tell(shop: Shop, number: str, state: str, minutes: float, **changes: Any) -> None:
    """Send a notification about what happened so many minutes ago."""
    at = datetime.now(UTC) + timedelta(hours=3, minutes=-minutes)
    times = {"SALEDATE": f"{at:%Y-%m-%d %H:%M:%S}", "PAYMENTDATE": f"{at:%Y-%m-%d %H:%M:%S}"}
    message = f"{number}-{state}"
    lines = {
        "IPN_PCODE[]": ["LAMP"], "IPN_PID[]": ["7"], "IPN_PNAME[]": ["Lamp"],
        "IPN_QTY[]": ["2"], "IPN_PRICE[]": ["37.00"],
    }  # fmt: skip
    fields = {**times, **lines, "EXTERNAL_CUSTOMER_REFERENCE": f"customer-{number}", **changes}
    shop.take(build(number, ORDERSTATUS=state, MESSAGE_ID=message, **fields))


def sweep(shop: Shop) -> None:
    run = pushctl("sweep", cwd=shop.folder)
    assert run.code == 0, run.err


def test_a_payment_that_never_comes_leads_back_to_the_checkout(
    field: Field, service: PushService
) -> None:
    public = vapid.load(field.config.keys)[field.key].public
    people = field.subscribed(service, "fcm", public, count=3)
    for number, person in enumerate(people, 1):
        field.store.subscriptions.set_alias(person, f"customer-{number}", trusted=True)
    arrived = service.deliveries()
    with r.running(field.config.folder, sources=SOURCES) as port:
        shop = Shop(field.config.folder, port)
        tell(shop, "1", "PENDING", 33.5)
        tell(shop, "2", "PENDING", 33.5)
        tell(shop, "2", "COMPLETE", 0.1)  # the bank was slow
        tell(shop, "3", "PENDING", 20)  # it may still come
        sweep(shop)
        message = json.loads(decrypt(arrived.get(timeout=10).body))["notification"]
        found = dict(parse_qsl(urlsplit(message["navigate"]).query))
        source = "".join(
            f"{len(found[name])}{found[name]}"
            for name in sorted(found.keys() - {"merchant", "signature"})
        )
        expected = hmac.new(b"tango", source.encode(), hashlib.sha256).hexdigest()
        assert found.pop("signature") == expected
        who = field.store.subscriptions.get_many(people[:1], sending.soon())[0]
        assert (message["title"], found) == ("Lamp", {
            "merchant": "2COLNC", "prod": "LAMP", "qty": "2", "coupon": "PAY5",
            "order-ext-ref": who.public_id, "customer-ext-ref": "customer-1",
        })  # fmt: skip
        assert who.tags == ("Abandoned basket 2",)

        # The link leads to a purchase: what else was to come does not.
        tell(shop, "1", "COMPLETE", 0, REFNOEXT=found["order-ext-ref"])
        sweep(shop)
        assert arrived.empty()
        states = {one["number"]: one["state"] for one in shop.orders()}
        assert states == {"1": "paid", "2": "paid", "3": "pending"}
    reasons = [one.reason for one in field.store.histories.list_decisions(people[0])]
    assert reasons[-1] == "goal reached: purchase"


def test_a_code_that_rides_in_the_link_alone_is_redeemed_by_the_order(
    field: Field, service: PushService
) -> None:
    """Once a pool is called so, the step's promo is that pool: 15 % for who comes back."""
    pool = field.store.promo_codes.create("PAY5", 1, 0)
    field.store.promo_codes.add(pool.id, ["GOLD000001", "GOLD000002", "GOLD000003"])
    public = vapid.load(field.config.keys)[field.key].public
    (person,) = field.subscribed(service, "fcm", public, count=1)
    field.store.subscriptions.set_alias(person, "customer-1", trusted=True)
    arrived = service.deliveries()
    with r.running(field.config.folder, sources=SOURCES) as port:
        shop = Shop(field.config.folder, port)
        tell(shop, "1", "PENDING", 33.5)
        sweep(shop)
        payload = decrypt(arrived.get(timeout=10).body)
        link = json.loads(payload)["notification"].pop("navigate")
        assert dict(parse_qsl(urlsplit(link).query))["coupon"] == "GOLD000001"
        assert payload.count(b"GOLD") == payload.count(link.encode()), "the text has no code"

        # The shop writes it as the buyer typed it, or as it likes.
        used = {"IPN_PROMOCODE[]": ["gold000001"]}
        tell(shop, "1", "COMPLETE", 0, **used)
        tell(shop, "1", "REFUND", 0, **used, REFUND_TYPE="TOTAL")
        sweep(shop)
        assert shop.orders("1")[0]["state"] == "refunded"
    counts = field.store.promo_codes.count_states(pool.id)
    assert counts == {"free": 2, "bound": 1, "set_aside": 0, "shared": 0, "redeemed": 1}
    (who,) = field.store.subscriptions.get_many([person], sending.soon())
    run = pushctl("explain", who.public_id, cwd=field.config.folder)
    assert "code GOL... of PAY5, redeemed" in " ".join(run.out.split()), run.out
    data = pushctl("subscribers", "show", who.public_id, cwd=field.config.folder).out
    assert "GOLD000001" not in run.out + data

"""A project whose receiver takes 2Checkout's notifications, over real sockets."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pushctl.rules.shops.order import State
from tests.support import hooks
from tests.support import receiving as r
from tests.support import twocheckout as vendor
from tests.support.program import pushctl
from tests.support.twocheckout import SHA2, SHA3, Pairs

SOURCES = {"checkout2": {"kind": "2checkout", "site": "shop"}}
TOML = '[sources.checkout2]\nkind = "2checkout"\nsite = "shop"'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RECEIPT = re.compile(rb'<sig algo="(sha256|sha3-256)" date="(\d{14})">([0-9a-f]{64})</sig>')


class Shop(NamedTuple):
    folder: Path
    port: int

    def send(self, body: bytes, name: str = "checkout2", **heads: str) -> r.Answered:
        return r.request(self.port, "POST", f"/hooks/{name}", body, {**FORM, **heads})

    def take(self, pairs: Pairs, *fields: str) -> None:
        """Send a genuine notification; check its receipt by the vendor's own computation."""
        fields = fields or (SHA2,)
        answer = self.send(vendor.encode(vendor.sign(pairs, *fields)))
        assert answer.status == 200
        found = RECEIPT.fullmatch(answer.body)
        assert found, answer.body
        newest = SHA3 if SHA3 in fields else SHA2
        assert answer.body == vendor.write_receipt(pairs, newest, found[2].decode())
        stamped = datetime.strptime(found[2].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - stamped) < timedelta(minutes=1)

    def told(self, number: str) -> list[tuple[str, State]]:
        """Return the deliveries in the inbox about an order, and its states."""
        return [
            (delivery.delivery, order.state)
            for delivery in hooks.read_told(self.folder)
            for order in delivery.orders
            if order.number == number
        ]

    def orders(self, number: str | None = None) -> list[dict[str, Any]]:
        """Import, and return the orders as `orders list` has them."""
        run = pushctl("import", cwd=self.folder)
        assert run.code == 0, run.err
        run = pushctl("orders", "list", "--json", cwd=self.folder)
        assert run.code == 0, run.err
        return [one for one in json.loads(run.out) if number in (None, one["number"])]


def build(number: str, **changes: Any) -> Pairs:
    """Return an IPN of now, of an order that no other test has."""
    now = datetime.now(UTC) + timedelta(hours=3)
    at = f"{now:%Y-%m-%d %H:%M:%S}"
    base = {
        "REFNO": number, "SALEDATE": at, "PAYMENTDATE": at, "IPN_DATE": f"{now:%Y%m%d%H%M%S}",
        "MESSAGE_ID": f"{number}-1",
    }  # fmt: skip
    return vendor.build({**base, **changes})

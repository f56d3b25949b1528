"""
The demo's visitors: simulated browsers with real keys.

Each makes the requests of a page and its worker, signed as theirs are, and decrypts what
it receives. The rates are published results of the field (docs/demo.md).
"""

import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushctl.model import Json
from pushctl.rules.tokens import encode, sign_request

# Of those who are reminded of a basket, how many come back, and how many of these
# buy: the results that the reference customer published.
RETURN_RATE = 0.21
BUY_RATE = 0.23
# A message that the service accepted isn't always shown: the laptop stays closed.
SHOWN_RATE = 0.93
CLOSE_RATE = 0.15

_BROWSERS = (
    (
        0.62,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "fcm",
    ),
    (
        0.24,
        "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        "fcm",
    ),
    (
        0.14,
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "mozilla",
    ),
)

_PLACES = (
    (0.20, "ar", "Asia/Riyadh", "Riyadh", "SA"),
    (0.15, "ar", "Asia/Dubai", "Dubai", "AE"),
    (0.25, "tr", "Europe/Istanbul", "Istanbul", "TR"),
    (0.20, "en", "Europe/London", "London", "GB"),
    (0.10, "ru", "Asia/Almaty", "Almaty", "KZ"),
    (0.10, "nl", "Europe/Amsterdam", "Amsterdam", "NL"),
)

CURRENCY = "EUR"
Goods = tuple[str, str, float]  # id, name, price

GOODS: tuple[Goods, ...] = (
    ("lamp", "Brass lamp", 49.0),
    ("rug", "Hand-woven rug", 189.0),
    ("cup", "Coffee cup", 12.5),
    ("chair", "Reading chair", 240.0),
)


@dataclass
class Person:
    """One visitor with one browser."""

    number: int
    language: str
    timezone: str
    city: str
    country: str
    user_agent: str
    service: str  # which push service the browser belongs to
    key: ec.EllipticCurvePrivateKey
    auth: bytes
    endpoint: str = ""
    basket: Goods | None = None
    bought: bool = False
    orders: int = 0

    @property
    def price(self) -> float:
        """What the basket costs."""
        return self.basket[2] if self.basket else 0.0

    @property
    def p256dh(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscribe(self, application_server_key: str, **about: Json) -> tuple[str, Json]:
        """
        Return path and body of the request with which the page registers this browser.

        *about* are attributes of the person beside the city.
        """
        keys = {"p256dh": encode(self.p256dh), "auth": encode(self.auth)}
        return "/v1/subscribe", {
            "subscription": {"endpoint": self.endpoint, "keys": keys},
            "key": application_server_key,
            "language": self.language,
            "timezone": self.timezone,
            "page": "/",
            "source": "demo",
            "attributes": {"city": self.city, **about},
        }

    def abandon(self, tag: str) -> list[tuple[str, Json]]:
        """Return the requests that fill the basket and tag it as abandoned."""
        return [self.tag(tag), *self.fill()] if self.basket else []

    def tag(self, tag: str) -> tuple[str, Json]:
        return "/v1/tags", {"endpoint": self.endpoint, "add": [tag], "remove": []}

    def fill(self) -> list[tuple[str, Json]]:
        """Return the requests that put the goods into the basket."""
        if self.basket is None:
            return []
        item, name, price = self.basket
        cart = {"items": [{"id": item, "name": name, "price": price}], "total": price}
        return [self.track("cart_updated", cart | {"currency": CURRENCY})]

    def buy(self, tag: str) -> list[tuple[str, Json]]:
        """Return the requests that pay for the basket."""
        self.orders += 1
        about = {"order": f"D-{self.number}-{self.orders}", "total": self.price}
        return [
            self.track("purchase", about | {"currency": CURRENCY}),
            ("/v1/tags", {"endpoint": self.endpoint, "add": [], "remove": [tag]}),
        ]

    def decrypt(self, body: bytes) -> Mapping[str, Json]:
        """Return the notification of an encrypted push, decrypted by http_ece."""
        plain = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"
        )
        notification: Mapping[str, Json] = json.loads(plain)["notification"]
        return notification

    def sign(self, path: str, body: bytes) -> str:
        return sign_request(self.auth, path, int(time.time()), body)

    def track(self, name: str, properties: Json) -> tuple[str, Json]:
        """Return the request that records the event *name*."""
        event = {
            "id": encode(os.urandom(16)),
            "name": name,
            "at": time.time_ns() // 1_000_000,
            "properties": properties,
        }
        return "/v1/events", {"endpoint": self.endpoint, "events": [event]}


def make_report(token: str, kind: str, action: str | None = None) -> tuple[str, Json]:
    """Return the request with which a worker reports *kind* of a message."""
    return "/v1/reports", {
        "message": token,
        "kind": kind,
        "action": action,
        "at": time.time_ns() // 1_000_000,
        "id": encode(os.urandom(16)),
    }


def make_people(size: int, chance: random.Random, first: int = 0) -> list[Person]:
    """
    Return *size* visitors, a third of them with something in the basket.

    They are numbered from *first* on.
    """
    people = []
    for number in range(first, first + size):
        _, language, timezone, city, country = _pick(_PLACES, chance)
        _, user_agent, service = _pick(_BROWSERS, chance)
        person = Person(
            number=number,
            language=language,
            timezone=timezone,
            city=city,
            country=country,
            user_agent=user_agent,
            service=service,
            key=ec.generate_private_key(ec.SECP256R1()),
            auth=os.urandom(16),
        )
        if chance.random() < 1 / 3:
            person.basket = choose_goods(chance)
        people.append(person)
    return people


def choose_goods(chance: random.Random) -> Goods:
    """Return one of the shop's goods."""
    return chance.choice(GOODS)


def _pick(rows: Sequence[Any], chance: random.Random) -> Any:
    return chance.choices(rows, weights=[float(row[0]) for row in rows])[0]

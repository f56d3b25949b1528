"""
One campaign over every kind of endpoint and several VAPID keys, judged by strict services.

The embedded services check RFC 8292 as the real ones do: the signature, aud, exp, sub and
that the key is the one which the subscription was made with (tests/demo/test_pushservice.py).
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.push import vapid
from pushctl.rules import tokens
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from pushctl.store.subscriptions import Registration
from tests.support import NOON, auth, p256dh, project, sending
from tests.support.sending import Field, soon

SERVICES = ("mozilla", "fcm", "chromium", "wns", "apple")
HALF_DAY = 12 * 3600


@pytest.fixture
def strict() -> Iterator[PushService]:
    with PushService() as service:
        yield service


def made(folder: Path, service: PushService) -> tuple[Field, list[vapid.Key]]:
    """Return a project with three VAPID keys."""
    project.make(folder)
    sending.template(folder, "sale", title="Sale", body="Everything must go")
    config = sending.led_to(configs.load(folder / "pushctl.toml", {}), service)
    for _ in range(2):
        vapid.write(config.keys)
    keys = list(vapid.load(config.keys).values())
    store = Store(config.database)
    return Field(config, store, keys[0].id), keys


def subscribe(field: Field, endpoint: str, key: vapid.Key, number: int) -> int:
    site = field.store.sites.sync({"shop": "https://shop.example"})["shop"]
    one = Registration(
        site, endpoint, endpoint_hash(endpoint), p256dh(number), auth(number), key.id
    )
    with field.store.write():
        return field.store.subscriptions.add(one, {"language": "en"}, NOON)


def test_every_kind_of_endpoint_and_every_key_in_one_campaign(
    tmp_path: Path, strict: PushService
) -> None:
    field, keys = made(tmp_path, strict)
    bound: dict[str, str] = {}  # endpoint -> the key that it was made with
    for number in range(10 * len(keys)):
        key = keys[number % len(keys)]
        for name in SERVICES:
            endpoint = strict.subscribe(name, key.public)
            if name == "fcm" and number % 2:
                # What Chrome has got since 2024; both kinds are alive.
                endpoint = endpoint.replace("/fcm/send/", "/wp/")
            bound[endpoint] = key.public
            subscribe(field, endpoint, key, number)
    arrived = strict.deliveries()
    report = field.send(soon(), ttl="2h", urgency="high")
    assert field.counts(report.campaign) == {"accepted": len(bound)}

    messages = {}
    while not arrived.empty():
        message = arrived.get()
        messages[message.endpoint] = message
    assert {end: one.sender for end, one in messages.items()} == bound
    assert {one.urgency for one in messages.values()} == {"high"}
    assert all(7_100 <= one.ttl <= 7_200 for one in messages.values())
    topic = tokens.topic(field.config.secret(), report.campaign.id)
    assert {one.topic for one in messages.values()} == {topic}
    kinds = Counter(end.split("/")[2] + "/" + end.split("/")[3] for end in bound)
    assert kinds["fcm.googleapis.com/wp"] == kinds["fcm.googleapis.com/fcm"] == 15
    assert kinds["jmt17.google.com/fcm"] == 30
    field.store.close()


def test_a_message_for_now_or_never_fits_everybody(tmp_path: Path, strict: PushService) -> None:
    """TTL 0: Microsoft wants another cache policy then, and refuses a wrong one."""
    field, (key, *_) = made(tmp_path, strict)
    for number, name in enumerate(SERVICES):
        subscribe(field, strict.subscribe(name, key.public), key, number)
    (field.config.templates / "sale" / "message.toml").write_text(
        'url = "/sale"\nttl = 0\n', "utf-8"
    )
    now = soon()
    report = field.send(now)
    counts = field.counts(report.campaign)
    assert counts == {"accepted": 5}
    field.store.close()


def test_a_subscription_under_another_of_our_keys_is_put_aside_alone(
    tmp_path: Path, strict: PushService
) -> None:
    """Its row says the wrong key; as others are accepted, the fault is the row's."""
    field, (key, other, _) = made(tmp_path, strict)
    for name in SERVICES:
        for number in range(8):
            subscribe(field, strict.subscribe(name, key.public), key, number)
        for number in range(2):
            subscribe(field, strict.subscribe(name, other.public), other, number)
        subscribe(field, strict.subscribe(name, other.public), key, 9)
    report = field.send(soon())
    counts = field.counts(report.campaign)
    assert counts["accepted"] == 50
    assert sum(counts.values()) == 55
    assert report.refused is None
    assert field.states().get("gone", 0) == 0
    field.store.close()


@pytest.mark.parametrize(
    "origin",
    [
        "https://fcm.googleapis.com",
        "https://jmt17.google.com",
        "https://updates.push.services.mozilla.com",
        "https://wns2-par02p.notify.windows.com",
        "https://web.push.apple.com",
    ],
)
def test_the_token_holds_what_rfc_8292_asks_for(origin: str) -> None:
    key = vapid.read(vapid.create())
    now = soon()
    scheme, _, rest = vapid.make_header(origin, key, "mailto:push@shop.example", now).partition(
        " "
    )
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims = (json.loads(decoded(part)) for part in fields["t"].split(".")[:2])
    assert scheme == "vapid"
    assert fields["k"] == key.public
    assert "=" not in fields["k"]
    assert head["alg"] == "ES256"
    assert claims["aud"] == origin
    assert claims["sub"] == "mailto:push@shop.example"
    assert now / 1000 + HALF_DAY / 2 <= claims["exp"] <= now / 1000 + HALF_DAY + 1


def test_ten_thousand_topics_have_32_characters_decode_and_differ() -> None:
    topics = [tokens.topic(b"secret", campaign) for campaign in range(1, 10_001)]
    assert {len(topic) for topic in topics} == {32}
    assert {len(base64.urlsafe_b64decode(topic)) for topic in topics} == {24}
    assert len(set(topics)) == 10_000


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

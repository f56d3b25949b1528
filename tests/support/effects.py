"""Small random shops, written as raw rows, with all that may make figures of effects wrong."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from pushctl import config as configs
from pushctl.config import Config
from pushctl.store import Store
from tests.support import NOON, auth, endpoint, p256dh, project

HOUR, DAY = 3_600_000, 86_400_000
BEGIN = NOON - 60 * DAY

SETTINGS = """
[holdout]
share = 0.25
name = "spring"

[triggers.basket]
on = "cart_updated"
goal = { event = "purchase", within = "24h" }
holdout = 0.3
steps = [
  { after = "30m", template = "sale" },
  { after = "1h", template = "sale", from = "shown" },
]

[triggers.welcome]
on = "subscribed"
reentry = "never"
steps = [{ after = "1m", template = "sale" }]
"""


@dataclass
class Shop:
    """A project with its rows; *now* is its end."""

    config: Config
    store: Store
    chance: random.Random
    now: int = NOON


def build(folder: Path, seed: int, people: int = 40) -> Shop:
    """Write a random history of sixty days, half of which has a control group."""
    project.make(folder, "--site=shop=https://a.example", "--site=other=https://b.example")
    project.add(folder, SETTINGS)
    config = configs.load(folder / "pushctl.toml", {})
    shop = Shop(config, Store(config.database), random.Random(seed))
    with shop.store.write():
        add_people(shop, people)
        add_broadcasts(shop)
        add_events(shop)
        add_orders(shop)
        add_enrolments(shop)
    return shop


def insert(shop: Shop, table: str, **values: object) -> int:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING id"
    return int(shop.store.connection.execute(sql, values).fetchone()[0])


def pick(shop: Shop, since: int = BEGIN) -> int:
    return shop.chance.randrange(since, shop.now + 1)


def list_ids(shop: Shop) -> list[int]:
    return [row for (row,) in shop.store.connection.execute("SELECT id FROM subscriptions")]


def add_people(shop: Shop, people: int) -> None:
    """Add subscriptions; some share an alias, signed or not, or an address."""
    chance = shop.chance
    sites = list(
        shop.store.sites.sync({"shop": "https://a.example", "other": "https://b.e"}).values()
    )
    for number in range(people):
        joined = pick(shop, BEGIN - 60 * DAY)
        state = chance.choices(("active", "unsubscribed", "gone"), (6, 1, 2))[0]
        hashed = chance.choice((None, None, bytes([chance.randrange(8)]) * 16))
        insert(
            shop, "subscriptions", public_id=f"p{chance.randrange(10**9)}-{number}",
            site_id=chance.choice(sites), endpoint=endpoint(number),
            endpoint_hash=number.to_bytes(16, "big"), p256dh=p256dh(0), auth=auth(0),
            key_id="k", state=state, state_at=chance.randrange(joined, shop.now + 1),
            alias=chance.choice((None, f"a{chance.randrange(8)}")),
            alias_trusted=0, email_hash=hashed, subscribed_at=joined, last_seen_at=joined,
        )  # fmt: skip
    shop.store.connection.execute(
        "UPDATE subscriptions SET alias_trusted = 1 WHERE alias IS NOT NULL AND id % 3 > 0"
    )


def add_broadcasts(shop: Shop) -> None:
    """Add broadcasts: before the group, of another name, of this one, without any draw."""
    held = {False: (None, None), True: ("holdout", "in the control group 'spring'")}
    rows = list_ids(shop)
    for number in range(12):
        at = BEGIN + number * 5 * DAY
        name = "winter" if 3 <= number < 6 else "spring"
        campaign = insert(
            shop, "campaigns", name=f"c{number}", status="finished", template="sale",
            audience="everyone", sources="{}", created_at=at, started_at=at,
        )  # fmt: skip
        for row in shop.chance.sample(rows, len(rows) // 2):
            is_held = number >= 3 and shop.chance.random() < 0.3
            cause, reason = held[is_held]
            insert(
                shop, "deliveries", campaign_id=campaign, subscription_id=row,
                status="skipped" if is_held else "accepted", cause=cause,
                reason=reason and reason.replace("spring", name), changed_at=at + number,
                holdout_probability=None if number < 3 else (0.25 if is_held else 0.75),
            )  # fmt: skip


def add_events(shop: Shop) -> None:
    """Add events, many of them within a day after another of the same person."""
    names = (
        "cart_updated", "cart_updated", "cart_updated", "checkout_started", "page_view",
        "purchase", "purchase", "cart_emptied", "payment_failed", "price_dropped",
    )  # fmt: skip
    number = 0
    for row in list_ids(shop):
        for _ in range(shop.chance.randrange(4)):
            at = pick(shop)
            for _ in range(shop.chance.randrange(1, 7)):
                at += shop.chance.choice((0, 1, 60_000, 20 * 60_000, 1_800_000, 5 * HOUR, DAY))
                if at > shop.now:
                    break
                number += 1
                name = shop.chance.choice(names)
                about = {"items": shop.chance.choice(([], [{"id": "1"}]))}
                if name == "purchase" and number % 5 == 0:
                    about["test"] = True  # type: ignore[assignment]
                text = json.dumps(about, separators=(",", ":"))
                insert(shop, "events", subscription_id=row, name=name, at=at, received_at=at,
                       properties=text, dedupe_key=str(number))  # fmt: skip


def add_orders(shop: Shop) -> None:
    """Add orders in all states and two currencies, some beside a purchase that was told."""
    known = shop.store.connection.execute(
        "SELECT subscription_id, at FROM events WHERE name = 'purchase' AND id % 2 = 0"
    ).fetchall()
    others = [(row, pick(shop)) for row in list_ids(shop) if shop.chance.random() < 0.5]
    for number, (row, at) in enumerate([*known, *others]):
        minor = shop.chance.choice((None, 999, 12_345))
        insert(
            shop, "orders", site_id=1, source="page", number=str(number), minor=minor,
            state=shop.chance.choice(("paid", "paid", "refunded", "cancelled", "pending")),
            exponent=None if minor is None else 2, currency=shop.chance.choice(("EUR", "USD")),
            at=at, received_at=at, subscription_id=row if number % 9 else None,
            refunded_minor=shop.chance.choice((None, 99)) if minor else None,
            test=int(number % 7 == 0),
        )  # fmt: skip


def add_enrolments(shop: Shop) -> None:
    """Add enrolments in two triggers, with their messages and what browsers reported."""
    campaigns = {
        (trigger, step): insert(
            shop, "campaigns", name=f"{trigger}/{step}", status="running", template="sale",
            audience="", sources="{}", trigger=trigger, step=step, created_at=BEGIN,
        )
        for trigger, step in (("basket", 1), ("basket", 2), ("welcome", 1))
    }  # fmt: skip
    for number, row in enumerate(list_ids(shop) * 2):
        trigger = shop.chance.choice(("basket", "basket", "welcome"))
        held = trigger == "basket" and shop.chance.random() < 0.3
        at = pick(shop)
        state = "holdout" if held else shop.chance.choice(("finished", "cancelled"))
        enrolment = insert(
            shop, "enrolments", trigger=trigger, subscription_id=row,
            occurrence=f"event:{number}", state=state, entered_at=at, changed_at=at,
        )  # fmt: skip
        if held:
            continue
        for step in (1, 2) if trigger == "basket" else (1,):
            add_message(shop, campaigns[trigger, step], row, enrolment, at + step * 1_800_000)


def add_message(shop: Shop, campaign: int, row: int, enrolment: int, at: int) -> None:
    if at > shop.now:
        return
    statuses = ("accepted", "accepted", "accepted", "skipped", "gone", "in_doubt", "expired")
    status = shop.chance.choice(statuses)
    left = status in ("accepted", "gone", "in_doubt")
    shown = status == "accepted" and shop.chance.random() < 0.7
    clicked = shown and shop.chance.random() < 0.5
    delivery = insert(
        shop, "deliveries", campaign_id=campaign, subscription_id=row, enrolment_id=enrolment,
        status=status, changed_at=at, sent_at=at if left else None,
        shown_at=at + 1_000 if shown else None, clicked_at=at + 9_000 if clicked else None,
    )  # fmt: skip
    for kind, was_so, later in (("shown", shown, 1_000), ("clicked", clicked, 9_000)):
        if was_so:
            insert(shop, "interactions", delivery_id=delivery, kind=kind, at=at + later,
                   dedupe_key=f"{delivery} {kind}")  # fmt: skip

"""A small world of people, messages, reports and orders, written row by row, and changed."""

import random
from collections.abc import Callable
from typing import Any

from pushctl.model import Millis
from pushctl.store import Store

HOUR: Millis = 3_600_000
DAY = 24 * HOUR
START: Millis = 1_770_000_000_000 // DAY * DAY


class Sales:
    """Writes rows; each method returns the new row's id."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._count = 0
        self.site = store.sites.sync({"shop": "https://shop.example"})["shop"]

    def _add(self, table: str, **values: Any) -> int:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        with self.store.write() as connection:
            row = connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values())
            )
        return int(row.lastrowid or 0)

    def change(self, sql: str, *values: Any) -> None:
        with self.store.write() as connection:
            connection.execute(sql, values)

    def number(self) -> int:
        self._count += 1
        return self._count

    def person(self, alias: str | None = None, email: int | None = None, **values: Any) -> int:
        number = self.number()
        return self._add(
            "subscriptions", public_id=f"{number:022}", site_id=self.site,
            endpoint_hash=number.to_bytes(16, "big"), endpoint=f"https://push.example/{number}",
            p256dh=bytes(65), auth=bytes(16), key_id="k", state_at=0, alias=alias,
            alias_trusted=int(alias is not None),
            email_hash=None if email is None else bytes([email]) * 32,
            subscribed_at=0, last_seen_at=0, **values,
        )  # fmt: skip

    def campaign(self, name: str, **values: Any) -> int:
        return self._add(
            "campaigns", name=name, status="finished", template="sale", audience="everyone",
            sources="{}", created_at=START, **values,
        )  # fmt: skip

    def message(self, campaign: int, subscription: int) -> int:
        return self._add(
            "deliveries", campaign_id=campaign, subscription_id=subscription,
            enrolment_id=self.number(), status="accepted", changed_at=START,
        )  # fmt: skip

    def report(self, delivery: int, kind: str, at: Millis) -> int:
        return self._add(
            "interactions", delivery_id=delivery, kind=kind, at=at,
            dedupe_key=f"{self.number()}",
        )  # fmt: skip

    def order(
        self, subscription: int | None, at: Millis, minor: int | None = 1000,
        currency: str | None = "EUR", **values: Any,
    ) -> int:  # fmt: skip
        told = {
            "site_id": self.site, "source": "woo", "number": f"{self.number()}",
            "state": "paid", "minor": minor, "exponent": None if minor is None else 2,
            "currency": currency, "at": at, "received_at": at, "refunded_minor": 0,
            "subscription_id": subscription,
            "unmatched": None if subscription else "nobody", **values,
        }  # fmt: skip
        return self._add("orders", **told)

    def event(self, subscription: int, name: str, at: Millis, properties: str = "{}") -> int:
        return self._add(
            "events", subscription_id=subscription, name=name, at=at, received_at=at,
            properties=properties, dedupe_key=f"{self.number()}",
        )  # fmt: skip

    def code(self, pool: int, *, shared: bool = False) -> int:
        return self._add(
            "promo_codes", pool_id=pool, code=f"CODE{self.number()}",
            state="shared" if shared else "bound", for_all=int(shared),
        )  # fmt: skip

    def pool(self) -> int:
        return self.store.promo_codes.create(f"pool{self.number()}", 0, START).id

    def bind(self, delivery: int, code: int, subscription: int, at: Millis) -> int:
        return self._add(
            "promo_bindings", delivery_id=delivery, code_id=code,
            subscription_id=subscription, scope=1, at=at,
        )  # fmt: skip

    def redeem(self, order: int, code: int, at: Millis) -> None:
        self.change("INSERT OR IGNORE INTO promo_redemptions VALUES (?, ?, ?)", code, order, at)


class RandomSales:
    """A random world: *step* changes something that may change who brought what about."""

    def __init__(self, store: Store, seed: int) -> None:
        self.random = random.Random(seed)
        self.sales = Sales(store)
        self.store = store
        self.campaigns = [self.sales.campaign(f"c{number}") for number in range(4)]
        self.campaigns.append(self.sales.campaign("test", is_test=1))
        self.pools = [self.sales.pool()]
        self.codes = [self.sales.code(self.pools[0]) for _ in range(12)]
        self.codes.append(self.sales.code(self.pools[0], shared=True))
        for _ in range(10):
            self._person()
        for _ in range(40):
            self.step()

    def step(self) -> None:
        steps: list[tuple[int, Callable[[], object]]] = [
            (20, self._message), (30, self._report), (20, self._order), (8, self._event),
            (4, self._person), (6, self._rename), (6, self._change_order), (6, self._bind),
            (6, self._redeem), (2, self._unbind), (1, self._erase), (2, self._assign),
        ]  # fmt: skip
        (chosen,) = self.random.choices(
            [one for _, one in steps], [weight for weight, _ in steps]
        )
        chosen()

    def _ids(self, table: str) -> list[int]:
        key = "delivery_id" if table == "promo_bindings" else "id"
        return [row for (row,) in self.store.connection.execute(f"SELECT {key} FROM {table}")]

    def _pick(self, table: str) -> int | None:
        rows = self._ids(table)
        return self.random.choice(rows) if rows else None

    def _time(self) -> Millis:
        # Whole hours: ties, and ends of windows, come often.
        return START + self.random.randrange(0, 6 * 24, 6) * HOUR

    def _alias(self) -> str | None:
        return self.random.choice([None, None, "ann", "bob", "cem"])

    def _email(self) -> int | None:
        return self.random.choice([None, None, 1, 2])

    def _person(self) -> None:
        self.sales.person(self._alias(), self._email())

    def _message(self) -> None:
        person = self._pick("subscriptions")
        if person is not None:
            self.sales.message(self.random.choice(self.campaigns), person)

    def _report(self) -> None:
        delivery = self._pick("deliveries")
        if delivery is not None:
            kind = self.random.choice(["shown", "shown", "clicked", "clicked", "closed"])
            self.sales.report(delivery, kind, self._time())

    def _order(self) -> None:
        buyer = self._pick("subscriptions") if self.random.random() < 0.8 else None
        state = self.random.choice(["paid"] * 4 + ["pending", "cancelled", "refunded"])
        self.sales.order(buyer, self._time(), state=state, test=int(self.random.random() < 0.1))

    def _event(self) -> None:
        person = self._pick("subscriptions")
        if person is not None:
            self.sales.event(person, "signed_up", self._time())

    def _rename(self) -> None:
        alias = self._alias()
        signed = alias is not None and self.random.random() < 0.8
        self.sales.change(
            "UPDATE subscriptions SET alias = ?, alias_trusted = ?, email_hash = ?"
            " WHERE id = ?",
            alias, int(signed),
            None if (email := self._email()) is None else bytes([email]) * 32,
            self._pick("subscriptions"),
        )  # fmt: skip

    def _change_order(self) -> None:
        change = self.random.choice(["state = 'cancelled'", "state = 'paid'", "test = 1 - test",
                                     f"at = {self._time()}"])  # fmt: skip
        self.sales.change(f"UPDATE orders SET {change} WHERE id = ?", self._pick("orders"))

    def _assign(self) -> None:
        self.sales.change(
            "UPDATE orders SET subscription_id = ?, unmatched = NULL WHERE id = ?",
            self._pick("subscriptions"), self._pick("orders"),
        )  # fmt: skip

    def _bind(self) -> None:
        free = self.store.connection.execute(
            "SELECT id, subscription_id FROM deliveries WHERE subscription_id IS NOT NULL"
            " AND id NOT IN (SELECT delivery_id FROM promo_bindings)"
        ).fetchall()
        if free:
            delivery, person = self.random.choice(free)
            self.sales.bind(delivery, self.random.choice(self.codes), person, self._time())

    def _unbind(self) -> None:
        self.sales.change(
            "DELETE FROM promo_bindings WHERE delivery_id = ?", self._pick("promo_bindings")
        )

    def _redeem(self) -> None:
        order = self._pick("orders")
        if order is not None:
            self.sales.redeem(order, self.random.choice(self.codes), START)

    def _erase(self) -> None:
        person = self._pick("subscriptions")
        if person is not None:
            self.store.erasure.erase([person], START)

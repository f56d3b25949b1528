"""What people do in the shops of a generated history: visits, baskets, orders."""

import numpy as np

from pushctl.demo.history import world
from pushctl.demo.history.people import Ints, draw_day_times
from pushctl.demo.history.rows import Objects, Rows, either, name_rows
from pushctl.demo.history.year import Year
from pushctl.rules import units
from pushctl.store.events import ARRIVAL

_VISITS = ("product_viewed", "page_view", "wishlisted", "stock_awaited")
_VISIT_SHARES = (0.62, 0.32, 0.05, 0.01)
_ABOUT = tuple(f'{{"id":"p{number}"}}' for number in range(200))
# Orders in another currency than their site's, with their decimals and the factor of prices.
_OTHER = {0: ("GBP", 2, 0.85), 1: ("EUR", 2, 0.03), 2: ("KWD", 3, 0.08), 3: ("JPY", 0, 150.0)}


class Shop:
    def __init__(self, year: Year, rows: Rows, *, events: int, orders: int) -> None:
        self._year, self._rows = year, rows
        self._events_left, self._orders_left = events, orders

    def scale(self, total: int, day: int) -> int:
        """Return how many of a year's *total* fall on *day*: the shop grows."""
        weekday = world.ACTIVE_WEEKDAYS[(self._year.people.first // units.DAY + 3 + day) % 7]
        days = self._year.people.days
        return round(total / days * (0.6 + 0.8 * day / days) * weekday / 1.037)

    def choose(self, day: int, count: int, *, unique: bool = False) -> Ints:
        """
        Return *count* of who is subscribed, those who buy much more often than others.

        Whoever is gone comes no more, also where no message has found it yet: else the control
        group, which gets none, would have more people who buy.
        """
        year = self._year
        active = year.list_active(day)
        there = year.people.gone_at[active] > year.people.first + day * units.DAY
        active = active[there]
        if not len(active) or not count:
            return np.zeros(0, dtype=np.int64)
        weights = np.cumsum(year.people.buys[active])
        found = active[np.searchsorted(weights, year.chance.random(count) * weights[-1])]
        return np.unique(found) if unique else found

    def arrive(self, who: Ints) -> Ints:
        """Write the event of subscribing of each of *who*; return the numbers."""
        keys = [f"{one + 1}{ARRIVAL}" for one in who.tolist()]
        return self._write("subscribed", who, self._year.people.subscribed[who], "{}", keys)

    def visit(self, day: int) -> None:
        """Have people look at products and pages."""
        year, chance = self._year, self._year.chance
        length = year.people.days
        days_left = length - day
        growth = (0.6 + 0.8 * day / length) / (0.6 + 0.4 * (1 + day / length))
        who = self.choose(day, int(self._events_left / days_left * growth))
        self._events_left -= len(who)
        people = year.people
        days = np.full(len(who), day)
        at = draw_day_times(people.zone[who], people.offsets, days, people.first, chance)
        at = np.minimum(np.maximum(at, people.subscribed[who]), year.end - 1)
        order = np.argsort(at, kind="stable")
        who, at = who[order], at[order]
        np.maximum.at(year.seen_at, who, at)
        names = np.array(_VISITS, dtype=object)[
            np.searchsorted(np.cumsum(_VISIT_SHARES), chance.random(len(who)))
        ]
        about = np.array(_ABOUT, dtype=object)[chance.integers(0, len(_ABOUT), len(who))]
        self._write(names, who, at, about)

    def fill_baskets(self, who: Ints, at: Ints) -> Ints:
        """Write the event of each basket, and that payment was reached; return the first's."""
        chance = self._year.chance
        about = np.array(_ABOUT, dtype=object)[chance.integers(0, len(_ABOUT), len(who))]
        items = np.array([f'{{"items":[{one}]}}' for one in about.tolist()], dtype=object)
        rows = self._write("cart_updated", who, at, items)
        pays = (chance.random(len(who)) < 0.45) & (at + units.MINUTE < self._year.end)
        self._write("checkout_started", who[pays], at[pays] + units.MINUTE, items[pays])
        self._events_left -= len(who) + int(pays.sum())
        return rows

    def buy(self, day: int) -> None:
        """Write the orders that messages brought, and those that come by themselves."""
        year, chance = self._year, self._year.chance
        who, at = year.take_bought()
        self._orders_left -= len(who)
        own = self.choose(day, self._count_own(day))
        year.bought_anyhow[own] = True
        people = year.people
        days = np.full(len(own), day)
        own_at = draw_day_times(people.zone[own], people.offsets, days, people.first, chance)
        own_at = np.minimum(np.maximum(own_at, people.subscribed[own]), year.end - 1)
        self._orders_left -= len(own)
        who, at = np.concatenate([who, own]), np.concatenate([at, own_at])
        order = np.argsort(at, kind="stable")
        self._write_orders(who[order], at[order])

    def _count_own(self, day: int) -> int:
        days_left = self._year.people.days - day
        return max(0, int(self._orders_left / days_left * (0.75 if days_left > 20 else 0.9)))

    def _write_orders(self, who: Ints, at: Ints) -> None:
        year, chance, count = self._year, self._year.chance, len(who)
        if not count:
            return
        self._events_left -= count
        people = year.people
        site = people.site[who]
        minor, exponent, currency = self._price(site)
        fate = chance.random(count)
        state = np.full(count, "paid", dtype=object)
        state[fate < 0.05] = "refunded"
        state[fate < 0.02] = "cancelled"
        state[fate < 0.01] = "pending"
        partly = (fate >= 0.05) & (fate < 0.07)
        refunded = np.where(state == "refunded", minor, np.where(partly, minor // 3, 0))
        kept = ~people.erased[who]
        rows = self._rows.number("orders", count)
        numbers = [f"{row + 100000}" for row in rows.tolist()]
        used = self._redeem(who, at, rows)
        alias = [f"customer-{one}" for one in people.person[who].tolist()]
        named = kept & people.has_alias[who]
        self._rows.add(
            "orders",
            {
                "id": rows,
                "site_id": site + 1,
                "source": "page",
                "number": numbers,
                "state": state,
                "minor": minor,
                "exponent": exponent,
                "currency": currency,
                "at": at,
                "received_at": at + 400,
                "subscription_id": either(kept, who + 1, None),
                "codes": used,
                "unmatched": either(kept, None, "erased"),
                "matched": either(kept, "page", None),
                "alias": either(named, np.array(alias, dtype=object), None),
                "refunded_minor": refunded,
                "test": (chance.random(count) < 0.004).astype(np.int64),
            },
        )
        told = state != "pending"
        about = [f'{{"order":"{one}"}}' for one in numbers]
        self._write("purchase", who[told], at[told], np.array(about, dtype=object)[told])

    def _price(self, site: Ints) -> tuple[Ints, Ints, Objects]:
        """Return minor units, decimals and currency of an order of each *site*."""
        chance, count = self._year.chance, len(site)
        foreign = chance.random(count) < 0.04
        prices = np.array([one.price for one in world.SITES])[site]
        factor = np.array([_OTHER[one][2] for one in range(4)])[site]
        amount = prices * np.where(foreign, factor, 1.0) * chance.lognormal(0, 0.8, count)
        others = np.array([_OTHER[one][1] for one in range(4)])[site]
        exponent = np.where(foreign, others, 2)
        minor = np.maximum(1, (amount * 10.0**exponent).astype(np.int64))
        own = np.array([one.currency for one in world.SITES], dtype=object)[site]
        other = np.array([_OTHER[one][0] for one in range(4)], dtype=object)[site]
        return minor, exponent, either(foreign, other, own)

    def _redeem(self, who: Ints, at: Ints, rows: Ints) -> list[str]:
        """Write which codes these orders use; return them as the orders have them."""
        used = ["[]"] * len(who)
        found = []
        for place, one in enumerate(who.tolist()):
            if one in self._year.codes:
                code, text = self._year.codes.pop(one)
                used[place] = f'["{text}"]'
                found.append((code, int(rows[place]), int(at[place])))
        if found:
            codes, orders, times = (list(column) for column in zip(*found, strict=True))
            self._rows.add(
                "promo_redemptions", {"code_id": codes, "order_id": orders, "at": times}
            )
        return used

    def _write(self, names: "np.ndarray | str", who: Ints, at: Ints, about: "np.ndarray | str",
               keys: list[str] | None = None) -> Ints:  # fmt: skip
        """Write events of all but the erased; return all their numbers."""
        rows = self._rows.number("events", len(who))
        kept = ~self._year.people.erased[who]
        keys = keys or name_rows("e", rows)
        self._rows.add(
            "events",
            {
                "id": rows[kept],
                "subscription_id": who[kept] + 1,
                "name": names[kept] if isinstance(names, np.ndarray) else names,
                "at": at[kept],
                "received_at": at[kept] + 300,
                "properties": about[kept] if isinstance(about, np.ndarray) else about,
                "dedupe_key": [key for key, k in zip(keys, kept.tolist(), strict=True) if k],
            },
        )
        return rows

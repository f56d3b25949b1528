"""
Small random histories with everything odd in them, for figures that are counted twice.

Rows are written as they could stand in a database after years: erased people, several devices
of a person, tests, other channels, messages in doubt that were shown after all, refunds,
currencies, another service's worker, control groups, variants, rows of before an upgrade.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushctl import config as configs
from pushctl.config import Config
from pushctl.model import Millis
from pushctl.store import Store, restoring
from tests.support import DAY, HOUR, MINUTE, NOON, auth, endpoint, p256dh, project

SITES = ("shop", "souk", "carsi")
SPAN = 120 * DAY  # before NOON
_SETTINGS = """
[holdout]
share = 0.25
name  = "2026"

[triggers.basket]
on      = "cart_updated"
goal    = { event = "purchase", within = "24h" }
holdout = 0.3
steps   = [{ after = "3m", template = "abandoned_basket_1" },
           { after = "90m", template = "abandoned_basket_discount", promo = "CODE" }]

[triggers.welcome]
on    = "subscribed"
steps = [{ after = "1m", template = "welcome" }]
"""
_ZONES = ("Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Auckland", None)
_LANGUAGES = ("en", "tr-TR", "ar", "de-AT", None)
_STATUSES = (
    ("accepted", None, 201), ("accepted", None, 201), ("accepted", None, 201),
    ("accepted", None, 201), ("accepted", "shown", None), ("accepted", "by_hand", None),
    ("gone", "gone", 410), ("gone", "by_hand", None), ("rejected", "bad_request", 400),
    ("rejected", "no_message", None), ("expired", "time_over", None),
    ("skipped", "holdout", None), ("skipped", "frequency", None),
    ("skipped", "forgotten", None),
    ("planned", None, None), ("planned", "quiet_hours", None), ("sending", None, None),
    ("in_doubt", "timeout", None),
)  # fmt: skip
_CURRENCIES = (("EUR", 2), ("USD", 2), ("TRY", 2), ("KWD", 3), ("JPY", 0), (None, 2))


@dataclass
class History:
    """A project with a random past, open until ``close``."""

    folder: Path
    config: Config
    store: Store
    now: Millis
    seed: int

    def close(self) -> None:
        self.store.close()


def make_random_history(
    seed: int, folder: Path, *, people: int = 40, campaigns: int = 12, restored: bool = False
) -> History:
    """
    Return a project in the new *folder* with *people* subscriptions that have a past.

    *restored*: in the midst of each kind of rows numbers go on as after a restore. All else is
    the same.
    """
    made = project.make(folder, *(f"--site={name}=https://{name}.example" for name in SITES))
    project.add(made, _SETTINGS)
    config = configs.load(made / configs.FILE, {})
    store = Store(config.database)
    with store.write():
        _Writer(store, random.Random(seed), people, campaigns, restored).write()
    return History(made, config, store, NOON, seed)


@dataclass
class _Writer:
    store: Store
    chance: random.Random
    people: int
    campaigns: int
    restored: bool
    rows: list[int] = field(default_factory=list)  # of subscriptions that are there
    since: dict[int, Millis] = field(default_factory=dict)
    alias: dict[int, str | None] = field(default_factory=dict)
    since_of: dict[int, Millis] = field(default_factory=dict)  # campaigns
    messages: list[tuple[int, int, int | None, Millis]] = field(default_factory=list)
    clicks: list[tuple[int | None, Millis]] = field(default_factory=list)

    def write(self) -> None:
        self.sites = self.store.sites.sync({name: f"https://{name}.example" for name in SITES})
        # Since then somebody is held out of all marketing; before, nothing was drawn.
        self.held_since = self._draw_time(NOON - SPAN, NOON - SPAN // 3)
        self._write_people()
        self._write_enrolments()
        for number in range(self.campaigns):
            self._halve(number, self.campaigns)
            self._write_campaign(number)
        self._write_reports()
        self._write_events()
        self._write_orders()
        self._write_prompts()

    def _add(self, table: str, **values: Any) -> int:
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        return self.store.connection.execute(sql, values).lastrowid or 0

    def _halve(self, place: int, count: int) -> None:
        """Skip numbers before the row *place*, where half of *count* rows are written."""
        if self.restored and place == count // 2:
            restoring.skip_numbers(self.store)

    def _draw_time(self, since: Millis = NOON - SPAN, until: Millis = NOON) -> Millis:
        """Return a moment; some are alike to the millisecond, some at a full hour."""
        at = self.chance.randrange(since, max(until, since + 1))
        return at if self.chance.random() < 0.7 else max(since, at // HOUR * HOUR)

    def _pick(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def _write_people(self) -> None:
        for number in range(self.people):
            self._halve(number, self.people)
            twin = self.chance.randrange(number) if number and self.chance.random() < 0.3 else 0
            site = self.sites[self._pick(*SITES)]
            alias, trusted, mail = None, 0, None
            if twin:
                alias, trusted = f"person {twin}", int(self.chance.random() < 0.8)
                mail = bytes([twin]) * 32 if self.chance.random() < 0.3 else None
            state = self._pick(
                "active", "active", "active", "unsubscribed", "gone", "quarantined"
            )
            since = self._draw_time(NOON - 2 * SPAN)
            attributes = {
                "device": self._pick("phone", "desktop", "tablet"),
                "landing_page": self._pick("/", "/lamps/", "/<b>"),
            }
            row = self._add(
                "subscriptions",
                public_id=f"{self.chance.randrange(10**9):022}"[:19] + f"{number:03}",
                site_id=site, endpoint=endpoint(number), endpoint_hash=auth(number),
                p256dh=p256dh(number % 5), auth=auth(number % 5), key_id="k", state=state,
                state_at=since, alias=alias, alias_trusted=trusted, email_hash=mail,
                language=self._pick(*_LANGUAGES), timezone=self._pick(*_ZONES),
                country=self._pick("DE", "TR", "SA", "EG", None),
                city=self._pick("Cairo", "Berlin", "\x1b[31mred", None),
                browser=self._pick("Chrome", "Firefox", "Safari", "Edge", None),
                os=self._pick("Android", "iOS", "Windows", None),
                source=self._pick("google", "=cmd()", None),
                attributes=json.dumps(attributes if self.chance.random() < 0.8 else {}),
                subscribed_at=since, last_seen_at=since,
                verified_at=self._pick(None, since + HOUR),
                worker=self._pick(None, None, None, None, "onesignal"),
            )  # fmt: skip
            self.rows.append(row)
            self.since[row], self.alias[row] = since, alias
            self._write_changes(row, state, since)

    def _write_changes(self, row: int, state: str, since: Millis) -> None:
        """Write a past that ends in *state*; some came here inactive and have none."""
        if self.chance.random() < 0.15:
            return
        kinds = []
        for _ in range(self._pick(0, 0, 1, 2)):
            kinds += [self._pick("unsubscribed", "gone", "quarantined"), "revived"]
        if state != "active":
            kinds.append(state)
        if self.chance.random() < 0.1:
            kinds.insert(0, "revived")  # imported after leaving elsewhere
        times = sorted(self._draw_time(since) for _ in kinds)
        for kind, at in zip(kinds, times, strict=True):
            if kind == "gone" and self.chance.random() < 0.2:
                self._change(row, "quarantined", at)  # an inactive one can get worse
            self._change(row, kind, at)

    def _change(self, row: int, kind: str, at: Millis) -> None:
        self._add("subscription_changes", subscription_id=row, kind=kind,
                  reason=self._pick("410 unsubscribed", "by the subscriber", None), at=at,
                  cause=self._pick(None, "gone", "by_hand"))  # fmt: skip

    def _write_enrolments(self) -> None:
        self.enrolments: list[tuple[int, int, str, Millis]] = []
        for place in range(self.people):
            self._halve(place, self.people)
            row, trigger = self._pick(*self.rows), self._pick("basket", "basket", "welcome")
            at = self._draw_time(self.since[row])
            state = self._pick("finished", "finished", "cancelled", "expired", "superseded",
                               "holdout", "active")  # fmt: skip
            if trigger == "welcome" and state == "holdout":
                state = "finished"
            if state == "active" and any(
                (one, name) == (row, trigger) for _, one, name, _ in self.enrolments
            ):
                state = "cancelled"
            number = self._add(
                "enrolments", trigger=trigger, subscription_id=row, occurrence=f"event:{place}",
                state=state, step=self._pick(1, 2, 3), sent=self._pick(0, 1, 2), entered_at=at,
                changed_at=at + self.chance.randrange(DAY),
                next_at=at + DAY if state == "active" else None,
                reached=self._pick("purchase", None) if state == "finished" else None,
            )  # fmt: skip
            self.enrolments.append((number, row, trigger, at))

    def _write_campaign(self, number: int) -> None:
        is_step = number % 3 == 0 and self.chance.random() < 0.7
        if is_step:
            name, step = self._pick(("basket", 1), ("basket", 2), ("welcome", 1))
            full = f"{name}/{step}" + ("" if number < 3 else f"/{number}")
        else:
            name, step, full = None, None, f"campaign {number} <i>"
        at = self._draw_time()
        options: dict[str, Any] = {}
        is_test = not is_step and self.chance.random() < 0.1
        if is_test:
            options["test"] = True
        if is_step and self.chance.random() < 0.2:
            options["channel"] = "exec"
            full += ":exec"
        has_variants = self.chance.random() < 0.4
        sources = {
            "message.toml": 'url = "/"\nttl = "1d"\n',
            "en.toml": f'title = "{number} {self._pick("seen it?", "look")}"\nbody = "B"\n',
        }
        campaign = self._add(
            "campaigns", name=full, trigger=name, step=step, template="t", audience="everyone",
            status=self._pick("finished", "finished", "running", "paused", "cancelled"),
            sources=json.dumps(sources), options=json.dumps(options), created_at=at,
            started_at=self._pick(at, at, None), is_test=1 if is_test else None,
            topic=self._pick("promotion", "news", None),
        )  # fmt: skip
        self.since_of[campaign] = at
        if has_variants and not is_step:
            self._write_experiment(campaign, full, at)
        if is_step:
            own = sorted(
                (one for one in self.enrolments if one[2] == name), key=lambda one: one[3]
            )
            for enrolment, row, _, entered in own:
                if self.chance.random() < 0.7:
                    self._write_message(campaign, row, enrolment, entered + HOUR, has_variants)
        else:
            count = self.chance.randrange(self.people)
            for row in self.chance.sample(self.rows, count):
                self._write_message(campaign, row, 0, at, has_variants)

    def _write_experiment(self, campaign: int, name: str, at: Millis) -> None:
        arms = [{"variant": letter, "weight": 0.5} for letter in "ab"]
        self._add(
            "experiments", name=name, campaign_id=campaign, arms=json.dumps(arms),
            differ="text", rule="fixed", on_tie="best", test_share=1.0, seed=name,
            decide_at=at + HOUR, state="decided", winner="b", cause="picked", why="picked",
            decided_at=at + HOUR, after_delivery=0, created_at=at,
        )  # fmt: skip

    def _write_message(
        self, campaign: int, row: int, enrolment: int, at: Millis, has_variants: bool
    ) -> None:
        status, cause, http = self._pick(*_STATUSES)
        begun = at if enrolment else self.since_of[campaign]
        is_drawn = begun >= self.held_since
        if cause == "holdout" and not is_drawn:
            cause = "frequency"
        if cause != "holdout":  # those are written down when the campaign is frozen
            at += self.chance.randrange(HOUR)
        erased = self.chance.random() < 0.06
        old = self.chance.random() < 0.15  # of before the upgrade: changed after it was sent
        went_out = status in ("accepted", "gone", "in_doubt") or http is not None
        held = cause == "holdout"
        reason = "in the control group '2026'" if held else http and str(http)
        number = self._add(
            "deliveries", campaign_id=campaign, subscription_id=None if erased else row,
            enrolment_id=enrolment, status=status, cause=cause, http_status=http,
            reason=reason, changed_at=at,
            attempts=int(went_out),
            sent_at=at if went_out and not old else None,
            language=self._pick("en", "ar", "tr", None),
            variant=self._pick("a", "b") if has_variants and not held else None,
            variant_probability=0.5 if has_variants and not held else None,
            holdout_probability=(0.25 if held else 0.75) if is_drawn else None,
            hour_probability=self._pick(None, None, 0.0625, 0.8125),
        )  # fmt: skip
        if status == "accepted":
            if self.chance.random() < 0.08:
                self._add("foreign_deliveries", delivery_id=number)
            if self.chance.random() < 0.05:
                self._add("thanked", delivery_id=number, at=at + MINUTE)
            else:
                self.messages.append((number, campaign, None if erased else row, at))

    def _write_reports(self) -> None:
        for told_of, (number, _, row, at) in enumerate(self.messages):
            self._halve(told_of, len(self.messages))
            kinds: Sequence[str] = self._pick(
                (), (), ("shown",), ("shown",), ("shown", "clicked"), ("clicked",),
                ("shown", "closed"), ("closed",), ("shown", "clicked", "clicked"),
            )  # fmt: skip
            told = []
            for place, kind in enumerate(kinds):
                when = at + self._pick(5_000, MINUTE, HOUR, DAY, 2 * DAY) * (place + 1)
                told.append((kind, when))
                self._add("interactions", delivery_id=number, kind=kind, at=when,
                          action=self._pick(None, None, "shop") if kind == "clicked" else None,
                          dedupe_key=f"{number}-{place}")  # fmt: skip
                if kind == "clicked":
                    self.clicks.append((row, when))
            clicked = min((when for kind, when in told if kind == "clicked"), default=None)
            shown = min((when for _, when in told), default=None)
            sql = "UPDATE deliveries SET shown_at = ?, clicked_at = ? WHERE id = ?"
            self.store.connection.execute(sql, (shown, clicked, number))

    def _write_events(self) -> None:
        names = ("page_view", "product_viewed", "cart_updated", "checkout_started", "purchase",
                 "cart_emptied")  # fmt: skip
        for place in range(4 * self.people):
            self._halve(place, 4 * self.people)
            row = self._pick(*self.rows)
            at = self._draw_time(self.since[row])
            self._add("events", subscription_id=row, name=self._pick(*names), at=at,
                      received_at=at + 500, properties=self._pick("{}", '{"items":[1]}'),
                      dedupe_key=f"event {place}")  # fmt: skip

    def _write_orders(self) -> None:
        pool = self._add("promo_pools", name="CODE", low=1, created_at=NOON - SPAN)
        for number in range(2 * self.people):
            self._halve(number, 2 * self.people)
            row, at = self._find_buyer()
            currency, exponent = self._pick(*_CURRENCIES)
            minor = self._pick(None, self.chance.randrange(1, 100_000), 0)
            state = self._pick("paid", "paid", "paid", "refunded", "pending", "cancelled")
            unmatched = None if row else self._pick("erased", "nobody has it")
            order = self._add(
                "orders", site_id=self.sites[self._pick(*SITES)], number=f"{number}",
                source=self._pick("page", "woo"), state=state, minor=minor,
                exponent=None if minor is None else exponent,
                currency=None if minor is None else currency, at=at, received_at=at + MINUTE,
                subscription_id=row, unmatched=unmatched, matched="page" if row else None,
                alias=self.alias.get(row or 0) if self.chance.random() < 0.5 else None,
                refunded_minor=_refund(self.chance, minor, state),
                test=int(self.chance.random() < 0.1),
            )  # fmt: skip
            if self.messages and self.chance.random() < 0.15:
                self._redeem(pool, number, order, at)

    def _find_buyer(self) -> tuple[int | None, Millis]:
        """Return who bought and when: often within a day of a click, to the millisecond."""
        if self.clicks and self.chance.random() < 0.6:
            row, at = self._pick(*self.clicks)
            after = self._pick(
                0, 1, HOUR, DAY, DAY + 1, 3 * DAY, self.chance.randrange(2 * DAY)
            )
            return row, at + after
        return self._pick(*self.rows, None), self._draw_time()

    def _redeem(self, pool: int, number: int, order: int, at: Millis) -> None:
        delivery, campaign, row, sent = self._pick(*self.messages)
        known = "SELECT 1 FROM promo_bindings WHERE delivery_id = ?"
        if self.store.connection.execute(known, (delivery,)).fetchone():
            return
        code = self._add("promo_codes", pool_id=pool, code=f"CODE{number}", state="bound",
                         redeemed_at=at)  # fmt: skip
        self._add("promo_bindings", delivery_id=delivery, code_id=code, subscription_id=row,
                  scope=campaign, at=sent)  # fmt: skip
        self._add("promo_redemptions", code_id=code, order_id=order, at=at)

    def _write_prompts(self) -> None:
        stages = (
            "visit",
            "visit",
            "seen",
            "accepted",
            "allowed",
            "denied",
            "dismissed",
            "failed",
        )
        for _ in range(40):
            day = self._draw_time() // DAY * DAY
            sql = "INSERT OR IGNORE INTO prompt_counts VALUES (?, ?, ?, ?, ?, ?, ?, NULL)"
            values = (
                self.sites[self._pick(*SITES)], day, self._pick("card", "bell"),
                self._pick("en", "ar"), self._pick("Chrome", "Firefox", "other"),
                self._pick(*stages), self.chance.randrange(1, 50),
            )  # fmt: skip
            self.store.connection.execute(sql, values)


def _refund(chance: random.Random, minor: int | None, state: str) -> int | None:
    if minor is None:
        return None
    return minor if state == "refunded" else chance.choice((0, 0, 0, minor // 3))

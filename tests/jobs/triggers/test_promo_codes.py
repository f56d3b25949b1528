"""Promo codes in steps: one for all steps of a trigger, and a reminder before it lapses."""

from pathlib import Path

import pytest

from pushctl.jobs.delivery.claims.ledger import Ledger
from pushctl.jobs.triggers import promo_reminders
from pushctl.rules.shops.order import PAGE, Purchase, State
from pushctl.store import Store, idle
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.store.orders import Found
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Shop

TRIGGERS = """
[triggers.basket]
on    = "cart_updated"
steps = [
  { after = "3m", template = "one", promo = "b15" },
  { after = "1h", template = "two", promo = "b15" },
]

[triggers.lapsing]
on    = "promo_expiring"
where = { pool = "b15" }
steps = [{ template = "three", promo = "b15" }]
"""


class Sender(Shop):
    """Its postman claims as a run does, with promo codes."""

    def claim(self, campaign: int, at: int) -> list[ClaimedRow]:
        ledger = Ledger(self.store, self.config, self.store.campaigns.get_by_id(campaign))
        with ledger.transaction():
            return ledger.claim(10_000, at)

    def codes(self, person: int) -> list[tuple[str, str]]:
        """Return campaign and code of each message that a person got, in their order."""
        mine = [one for one in self.sent if one.person == person]
        codes = self.store.promo_bindings.load_codes(one.delivery for one in mine)
        return [(one.campaign, codes[one.delivery]) for one in mine]

    def buy(self, person: int, code: str, at: int) -> None:
        bought = Purchase(f"o{at}", None, (), (code,))
        self.store.orders.add(1, PAGE, bought, State.PAID, at, at, Found(person))


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Sender:
    pool = store.promo_codes.create("b15", 1, NOON)
    store.promo_codes.add(pool.id, [f"code-{number}" for number in range(9)])
    store.promo_codes.change(
        pool.id, expires_at=NOON + 10 * DAY, remind_at=NOON + 7 * DAY, low=1
    )
    return Sender(tmp_path, store, TRIGGERS)


def remind_by_basket(shop: Sender, person: int, at: int) -> None:
    shop.fill(person, at)
    shop.sweep(at + 3 * MINUTE)
    shop.sweep(at + 2 * HOUR)


def test_the_steps_of_a_trigger_show_one_code_until_it_is_used(shop: Sender) -> None:
    person, other = shop.person(), shop.person()
    remind_by_basket(shop, person, NOON)
    remind_by_basket(shop, person, NOON + DAY)
    assert set(shop.codes(person)) == {("basket/1", "code-0"), ("basket/2", "code-0")}
    shop.buy(person, "CODE-0", NOON + 2 * DAY)
    remind_by_basket(shop, person, NOON + 3 * DAY)
    assert shop.codes(person)[-1] == ("basket/2", "code-1")
    remind_by_basket(shop, other, NOON + 3 * DAY)
    assert shop.codes(other)[-1] == ("basket/2", "code-2")


def test_a_step_without_promo_uses_the_pool_of_its_template(shop: Sender) -> None:
    shop.declare(TRIGGERS.replace(', promo = "b15"', ""))
    for name in ("one", "two"):
        (shop.folder / "templates" / name / "message.toml").write_text('promo = "b15"\n')
    person = shop.person()
    remind_by_basket(shop, person, NOON)
    assert shop.codes(person) == [("basket/1", "code-0"), ("basket/2", "code-0")]


def test_who_has_not_used_a_code_is_reminded_of_it_once(shop: Sender) -> None:
    people = [shop.person() for _ in range(3)]
    for person in people:
        remind_by_basket(shop, person, NOON)
    used, late, _ = people
    shop.buy(used, "code-0", NOON + DAY)
    shop.sweep(NOON + 2 * DAY)
    sql, asked = idle.FIND_WORK, {"config": "", "now": NOON + 7 * DAY - 1}
    assert shop.store.connection.execute(sql, asked).fetchone()[1] == 0
    asked["now"] += 1
    assert shop.store.connection.execute(sql, asked).fetchone()[1] == 1
    promo_reminders.tell_due(shop.store, shop.config, NOON + 7 * DAY)
    # Between the event and its message somebody uses the code.
    shop.buy(late, "code-1", NOON + 7 * DAY)
    shop.sweep(NOON + 7 * DAY + MINUTE)
    shop.sweep(NOON + 8 * DAY)
    reminded = [[one for one in shop.codes(it) if one[0] == "lapsing/1"] for it in people]
    assert reminded == [[], [], [("lapsing/1", "code-2")]]
    sql = "SELECT cause, reason FROM deliveries WHERE subscription_id = ? AND cause NOT NULL"
    assert shop.store.connection.execute(sql, (late,)).fetchall() == [
        ("code_used", "has used the promo code meanwhile")
    ]
    (event,) = [one for one in shop.store.events.list_newest(people[2]) if "promo" in one.name]
    assert event.properties == {"pool": "b15", "expires": "2026-05-08", "days": 3}
    pool = shop.store.promo_codes.get("b15")
    assert pool.reminded_at == NOON + 7 * DAY
    assert promo_reminders.tell(shop.store, shop.config, pool, 0, NOON + 8 * DAY) == 0
    # Of another end they are told again.
    later = {"expires_at": NOON + 20 * DAY, "remind_at": NOON + 8 * DAY, "low": 1}
    shop.store.promo_codes.change(pool.id, **later)
    assert promo_reminders.tell_due(shop.store, shop.config, NOON + 8 * DAY) == 1


def test_a_code_of_the_step_stays_a_code_where_no_pool_has_that_name(shop: Sender) -> None:
    shop.declare(TRIGGERS.replace('"b15"', '"B15"'))
    person = shop.person()
    remind_by_basket(shop, person, NOON)
    options = shop.store.campaigns.get("basket/1").options
    assert options["extra"] == {"promo": "B15"}
    assert shop.store.promo_codes.count_free(1) == 9


def test_a_fallback_does_not_lapse_and_a_code_for_all_does_unless_it_was_used(
    shop: Sender,
) -> None:
    people = [shop.person() for _ in range(3)]
    for person in people:
        remind_by_basket(shop, person, NOON)
    pool, codes = shop.store.promo_codes.get("b15"), shop.store.promo_codes
    codes.share(pool.id, "BASKET10")
    sql = "UPDATE promo_bindings SET code_id = (SELECT shared_id FROM promo_pools)"
    shop.store.connection.execute(sql)
    assert promo_reminders.tell(shop.store, shop.config, pool, 0, NOON + 7 * DAY) == 0
    shop.store.connection.execute("DELETE FROM promo_codes WHERE state <> 'shared'")
    shop.buy(people[0], "basket10", NOON + DAY)
    assert promo_reminders.tell(shop.store, shop.config, pool, 0, NOON + 7 * DAY) == 2

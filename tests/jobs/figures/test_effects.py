"""Control groups, triggers and baskets: every count equals a slow recount over raw rows."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pushctl.jobs.figures.effects import assigned_people
from pushctl.jobs.figures.effects.purchases import Purchases
from pushctl.jobs.figures.effects.revenue_lift import compare_revenue
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import basket, holdout, triggers
from pushctl.jobs.figures.tables.holdout import Begin
from pushctl.jobs.subscribers.contact_policy import load_people
from pushctl.rules.figures.revenue import per_person
from pushctl.rules.money import Money
from tests.support import effects
from tests.support.effects import DAY, HOUR, Shop
from tests.support.recount import attribution as slow_attribution
from tests.support.recount import basket as slow_basket
from tests.support.recount import holdout as slow_holdout
from tests.support.recount import triggers as slow_triggers

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return effects.build(tmp_path_factory.mktemp("effects"), request.param)


def compare_holdout(shop: Shop, asked: Filter) -> None:
    slow = slow_holdout.count(
        shop.store, "spring", 0.25, shop.now, asked.since or 0, asked.site_id
    )
    rows = holdout.load(shop.store, shop.config, asked).rows
    assert [row["group"] for row in rows] == list(slow)
    for row in rows:
        known = slow[str(row["group"])]
        revenue = {one.currency: one.exact for one in row["revenue"] or ()}  # type: ignore[union-attr]
        assert revenue == known.pop("revenue")
        assert {name: row[name] for name in known} == known


def test_both_groups_are_counted_as_the_slow_way_does(shop: Shop) -> None:
    compare_holdout(shop, Filter(now=shop.now))
    compare_holdout(shop, Filter(now=shop.now, since=shop.now - 9 * DAY))
    compare_holdout(shop, Filter(now=shop.now, site="other", site_id=2))


def test_the_lots_are_those_by_which_messages_are_sent(shop: Shop) -> None:
    ids = effects.list_ids(shop)
    words = load_people(shop.store, ids).words
    drawn = assigned_people.load_persons(shop.store)
    group = shop.config.contact_policy.holdout
    assert group is not None
    fast = assigned_people.find_lots(drawn, group.name, group.share)
    assert {one: bool(fast[drawn.of[one]]) for one in ids} == {
        one: group.has(words[one]) for one in ids
    }


def test_triggers_are_counted_as_the_slow_way_does(shop: Shop) -> None:
    rows = {
        row["trigger"]: row for row in triggers.load(shop.store, shop.config, _all(shop)).rows
    }
    window = triggers.find_window(shop.config.triggers["basket"])
    assert window == 24 * HOUR + 90 * 60_000
    slow = slow_triggers.count_groups(
        shop.store, "basket", window, is_tested=True, everything=("spring", 0.25)
    )
    slow.pop("compared_goal")
    assert {name: rows["basket"][name] for name in slow} == slow
    assert rows["welcome"].get("goal") is None and rows["welcome"]["rate"] is None

    messages = slow_triggers.count_messages(shop.store)
    steps = triggers.load_steps(shop.store, shop.config, _all(shop)).rows
    assert [(row["trigger"], row["step"]) for row in steps] == list(messages)
    for row in steps:
        known = messages[str(row["trigger"]), str(row["step"])]
        assert {name: row[name] for name in known} == known
    total = sum(row["accepted"] for (name, _), row in messages.items() if name == "basket")
    assert rows["basket"]["accepted"] == total


def test_orders_of_triggers_are_those_of_the_last_click(shop: Shop) -> None:
    steps = {
        row: (trigger, str(step))
        for row, trigger, step in shop.store.connection.execute(
            "SELECT id, trigger, step FROM campaigns WHERE trigger IS NOT NULL"
        )
    }
    slow = Counter(
        steps[campaign]
        for _, kind, _, campaign, *_ in slow_attribution.recount(shop.store)
        if kind == "direct" and campaign in steps
    )
    rows = triggers.load_steps(shop.store, shop.config, _all(shop)).rows
    assert {(row["trigger"], row["step"]): row["orders"] for row in rows} == {
        one: slow[one] for one in steps.values()
    }
    rows = triggers.load(shop.store, shop.config, _all(shop)).rows
    assert sum(int(str(row["orders"])) for row in rows) == slow.total()


def test_another_share_is_another_group(shop: Shop) -> None:
    group = shop.config.contact_policy.holdout
    assert group is not None
    first = holdout.find_begin(shop.store, group)
    assert first is not None and first.at >= effects.BEGIN and first.leaks == 0
    assert holdout.find_begin(shop.store, replace(group, name="autumn")) is None
    # A broadcast to everybody, and then a new share under the old name.
    later = first.at + 30 * DAY
    with shop.store.write():
        for at, probability in ((later, None), (later + 1, 0.1)):
            campaign = effects.insert(
                shop, "campaigns", name=f"more {at}", status="finished", template="sale",
                audience="", sources="{}", created_at=at,
            )  # fmt: skip
            effects.insert(
                shop, "deliveries", campaign_id=campaign, changed_at=at,
                subscription_id=effects.list_ids(shop)[0], holdout_probability=probability,
                status="skipped" if probability else "accepted",
                cause="holdout" if probability else None,
                reason=group.describe() if probability else None,
            )  # fmt: skip
    assert holdout.find_begin(shop.store, replace(group, share=0.1)) == Begin(later + 1, 0)
    assert holdout.find_begin(shop.store, group) is None
    with shop.store.write() as connection:
        connection.execute("DELETE FROM deliveries WHERE holdout_probability = 0.1")
    assert holdout.find_begin(shop.store, group) == Begin(first.at, 1)
    with shop.store.write() as connection:
        for table, key in (("deliveries", "changed_at"), ("campaigns", "created_at")):
            connection.execute(f"DELETE FROM {table} WHERE {key} IN (?, ?)", (later, later + 1))


def test_what_a_difference_is_worth_is_said_for_each_currency() -> None:
    chance, held = np.random.default_rng(3), np.arange(2_000) % 5 == 0
    who = np.sort(chance.choice(2_000, 1_500))
    minor, none = chance.integers(100, 9_000, 1_500), np.zeros(1_500, np.int64)
    kind = np.where(np.arange(1_500) % 9 == 0, 1, 0)  # the second currency: too few
    made = Purchases(who, none, none == 0, minor, kind, [(2, "EUR"), (0, "JPY")])
    found = compare_revenue(made, who, held)
    sums: dict[int, float] = {}
    for person, amount, code in zip(who.tolist(), minor.tolist(), kind.tolist(), strict=True):
        if code == 0:
            sums[person] = sums.get(person, 0) + amount / 100
    groups = [[sums[one] for one in sums if held[one] == part] for part in (True, False)]
    known = per_person.compare_revenue(groups[0], 400, groups[1], 1_600)
    assert known is not None and known.value is not None
    assert found["more_revenue"] == (Money(round(known.value * 160_000), 2, "EUR"),)
    assert found["more_revenue_low"] == pytest.approx(known.low * 160_000)
    assert found["more_revenue_n"] == 2_000


def test_baskets_are_counted_as_the_slow_way_does(shop: Shop) -> None:
    for since in (effects.BEGIN, shop.now - 30 * DAY):
        for site, number in ((None, None), ("other", 2)):
            asked = Filter(now=shop.now, since=since, site=site, site_id=number)
            slow = slow_basket.count(shop.store, ("basket",), since, shop.now, number)
            rows = basket.load(shop.store, shop.config, asked).rows
            assert slow["abandoned"] + slow["bought"] > 0
            found = [row["baskets"] for row in rows]
            names = ("abandoned", "reminded", "returned", "recovered", "recovered")
            assert found == [slow[name] for name in names]
            assert rows[0]["whole"] == slow["abandoned"] + slow["bought"]


def _all(shop: Shop) -> Filter:
    return Filter(now=shop.now)

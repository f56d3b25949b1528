"""Orders redeem promo codes: as shops compare them, once an order, whoever tells."""

import json
from typing import Any

import pytest

from pushctl.rules.shops.order import State
from pushctl.rules.shops.promo_codes import hide_told, list_told
from pushctl.store.promo_codes import Pool
from tests.support import NOON
from tests.support.posting import Browser, Project
from tests.support.telling import record, tell_order


@pytest.fixture
def pool(inbox_project: Project) -> Pool:
    codes = inbox_project.store.promo_codes
    pool = codes.create("spring", 1, NOON)
    codes.add(pool.id, ["Gold-1", "Gold-2", "Gold-3"])
    codes.share(pool.id, "SALE10")
    inbox_project.store.connection.execute(
        "UPDATE promo_codes SET state = 'bound' WHERE code IN ('Gold-1', 'Gold-2')"
    )
    return codes.get("spring")


def redeemed(project: Project, pool: Pool) -> dict[str, int]:
    found = project.store.promo_codes.count_states(pool.id)
    return {name: found[name] for name in ("bound", "free", "set_aside", "redeemed")}


def buy(project: Project, browser: Browser, **told: Any) -> None:
    event = {"name": "purchase", "properties": told}
    assert not project.drain(browser.post("/v1/events", events=[event])).quarantined


def test_a_pages_order_redeems_its_codes_once_and_its_event_hides_them(
    inbox_project: Project, pool: Pool
) -> None:
    ann = Browser(1, inbox_project.key)
    inbox_project.drain(ann.subscribe())
    for _ in range(2):
        buy(inbox_project, ann, order="7", total=5, codes=["gold-1", "SALE10", "unknown"])
    counts = {"bound": 2, "free": 1, "set_aside": 0, "redeemed": 2}
    assert redeemed(inbox_project, pool) == counts
    who = inbox_project.get(ann)
    assert who is not None
    event = next(inbox_project.store.events.list_newest(who.id))
    assert event.properties["codes"] == ["gol...", "SALE10", "unknown"]
    # Another order has used the one for all, and a code that nobody has got yet.
    buy(inbox_project, ann, order="8", coupon="sale10", promo="GOLD-3")
    counts |= {"free": 0, "set_aside": 1, "redeemed": 4}
    assert redeemed(inbox_project, pool) == counts


def test_a_shops_order_redeems_when_it_is_paid_and_keeps_it_when_refunded(
    inbox_project: Project, pool: Pool
) -> None:
    for state, count in ((State.PENDING, 0), (State.PAID, 1), (State.REFUNDED, 1)):
        told = tell_order("7", state, codes=("GOLD-1",))
        assert not inbox_project.drain(record(told)).quarantined
        assert redeemed(inbox_project, pool)["redeemed"] == count, state
    assert redeemed(inbox_project, pool)["free"] == 1


@pytest.mark.parametrize(
    ("told", "codes"),
    [
        ({"promo": " A1 "}, ("A1",)),
        ({"coupon": "A1", "codes": ["B2", {"code": "C3"}, 7, None]}, ("A1", "B2", "C3")),
        ({"codes": "x" * 65}, ()),
        ({"discount_codes": [{"code": "A1", "amount": "5"}]}, ("A1",)),
        ({"code": "A1"}, ()),
    ],
)
def test_purchases_tell_of_codes_in_the_ways_of_shops(
    told: dict[str, Any], codes: tuple[str, ...]
) -> None:
    assert sorted(list_told(told)) == sorted(codes)
    hidden = json.dumps(hide_told(told, [one.lower() for one in codes]))
    assert not any(f'"{one}"' in hidden for one in codes)

"""What a basket is worth decides when its reminder comes: unknown is dear, never cheap."""

from pathlib import Path
from typing import Any

import pytest

from pushctl import config as configs
from pushctl.jobs.subscribers import carts
from pushctl.jobs.triggers import explain
from pushctl.store import Store
from tests.support import DAY, MINUTE, NOON
from tests.support.shop import Shop

BY_PRICE = """
[triggers.by_price]
on    = "cart_updated"
steps = [{ after = [{ below = 50, after = "10m" }, { after = "1d" }], template = "one" }]
[triggers.dear]
on    = "cart_updated"
where = { value = ">= 1000" }
steps = [{ after = "2d", template = "two" }]
"""
CHEAP, DEAR = NOON + 10 * MINUTE, NOON + DAY


@pytest.mark.parametrize(
    ("told", "next_at", "dear"),
    [
        ({"items": [{"price": "49,90 €"}]}, CHEAP, False),
        ({"items": [{"price": "1.249,00"}]}, DEAR, True),
        ({"items": [{"price": "1.249"}]}, DEAR, True),  # the site's currency decides
        ({"items": [{"price": "1.249"}], "currency": "KWD"}, DEAR, False),
        ({"items": [{"name": "Lamp"}]}, DEAR, False),
        ({"items": [{"price": "on request"}]}, DEAR, False),
        ({"items": [{"price": 10}, {"price": None}]}, DEAR, False),
        ({"items": [{"price": 10}] * 30}, DEAR, False),
        ({"items": [{"price": 60, "quantity": 0.75}]}, CHEAP, False),
        ({"items": [{"price": "20 €"}, {"price": "10 $"}]}, DEAR, False),
        ({"items": [{"price": 20}], "value": "on request"}, DEAR, False),  # its own word counts
        ({"items": [{"price": 10}], "count": 40, "total": None}, DEAR, False),
        ({"total": "1 249,00", "items": []}, None, False),  # nothing is left in it
        ({"total": "1 249,00"}, DEAR, True),
    ],
)
def test_price_tiers_take_what_is_unknown_as_dear(
    tmp_path: Path, store: Store, told: dict[str, Any], next_at: int | None, dear: bool
) -> None:
    shop = Shop(tmp_path, store, BY_PRICE)
    file = tmp_path / "pushctl.toml"
    file.write_text(file.read_text().replace("[sites.shop]", '[sites.shop]\ncurrency = "EUR"'))
    shop.config = configs.load(file, {})
    ann = shop.person()
    shop.event(ann, "cart_updated", NOON, **told)
    shop.sweep(NOON)
    begun = {one.trigger: one.next_at for one in store.enrolments.list_all(ann)}
    assert begun.get("by_price") == next_at
    assert ("dear" in begun) is dear


def test_a_total_that_is_unknown_is_told_nowhere(tmp_path: Path, store: Store) -> None:
    shop = Shop(tmp_path, store, BY_PRICE)
    ann = shop.person()
    shop.event(ann, "cart_updated", NOON, items=[{"name": "Lamp", "price": "1.249"}])
    held = carts.load(store, shop.config, {ann: "shop"})[ann]
    assert held["total"] is None and held["names"] == ["Lamp"]
    who = store.subscriptions.get(str(ann), NOON)
    told = [one.text for one in explain.timeline(shop.config, store, who, NOON)]
    assert told[0] == "cart_updated"

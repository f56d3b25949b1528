"""Rows whose people got there between the decision and the sending."""

import json
from pathlib import Path

import pytest

from pushctl.inbox import Writer
from pushctl.jobs.delivery.claims import goals
from pushctl.jobs.delivery.claims.goals import Goals
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.model import Cause, InboxRecord
from pushctl.push import vapid
from pushctl.rules import tokens
from pushctl.store.tracking import Stop
from tests import support
from tests.support import MINUTE, NOON, sending
from tests.support.shop import Shop, decide_all

DUE = NOON + 3 * MINUTE
PLAIN = """
[triggers.basket]
on    = "cart_updated"
steps = [{ after = "3m", template = "one" }]
"""


@pytest.fixture
def withheld(tmp_path: Path) -> Path:
    return tmp_path / "7.withheld"


def remind(shop: Shop, *people: int) -> dict[int, RenderedRow]:
    """Have the reminders of *people* claimed; return the rows."""
    for one in people:
        shop.fill(one, NOON)
    decide_all(shop.config, shop.store, DUE)
    (campaign,) = shop.store.deliveries.list_due_campaigns(DUE)
    return {
        row.id: RenderedRow(
            sending.letter(row.id), ("https://a", "k"), 1, None, row.subscription, None, 0
        )
        for row in shop.claim(campaign, DUE)
    }


def watch(shop: Shop, withheld: Path) -> Goals:
    vapid.write(shop.config.keys)
    return Goals(shop.store, shop.config, shop.config.triggers["basket"], withheld)


def test_what_another_program_drains_meanwhile_counts(swept_shop: Shop, withheld: Path) -> None:
    ann, ben, eve, fay = (swept_shop.person() for _ in range(4))
    rows = remind(swept_shop, ann, ben, eve, fay)
    watched = watch(swept_shop, withheld)
    watched.look(rows)
    assert watched.whole
    assert not watched.reached

    swept_shop.event(ann, "purchase", DUE)
    swept_shop.event(ben, "cart_emptied", DUE)
    swept_shop.store.tracking.add_stops([Stop(eve, "purchase", DUE)])
    swept_shop.event(fay, "page_view", DUE)
    watched._looked -= 1  # as if a second had gone by
    watched.look(rows)
    people = {rows[row].subscription: why for row, why in watched.reached.items()}
    bought = "bought meanwhile"
    assert people == {ann: bought, ben: "cart_emptied came meanwhile", eve: bought}
    assert sorted(map(int, withheld.read_text().split())) == sorted(watched.reached)
    assert watched.take_new() == set(watched.reached)
    assert watched.take_new() == set()
    watched.withdraw()
    assert not withheld.exists()


def test_it_counts_for_all_devices_of_a_person(swept_shop: Shop, withheld: Path) -> None:
    ann, phone, ben = (swept_shop.person() for _ in range(3))
    sql = "UPDATE subscriptions SET alias = 'ann', alias_trusted = 1 WHERE id IN (?, ?)"
    with swept_shop.store.write() as connection:
        connection.execute(sql, (ann, phone))
    rows = remind(swept_shop, ann, ben)
    watched = watch(swept_shop, withheld)
    swept_shop.event(phone, "purchase", DUE)
    watched.look(rows)
    assert [rows[row].subscription for row in watched.reached] == [ann]
    # Those who are claimed later, too.
    assert len(watched.find(rows.values())) == 1


def test_a_purchase_before_the_basket_ends_nothing(swept_shop: Shop, withheld: Path) -> None:
    ann = swept_shop.person()
    rows = remind(swept_shop, ann)
    watched = watch(swept_shop, withheld)
    swept_shop.event(ann, "purchase", NOON - MINUTE, received_at=DUE)
    watched.look(rows)
    assert not watched.reached


def test_an_error_while_letters_are_under_way_is_raised_once_they_are_written(
    swept_shop: Shop, withheld: Path
) -> None:
    rows = remind(swept_shop, swept_shop.person())
    watched = watch(swept_shop, withheld)
    swept_shop.store.connection.execute("ALTER TABLE events RENAME TO elsewhere")
    watched.look_while_sending(rows)
    with pytest.raises(Exception, match="no such table"):
        watched.look(rows)


def ask(shop: Shop, person: int, path: str, **body: int) -> InboxRecord:
    """Return a request of somebody's browser."""
    sql = "SELECT endpoint FROM subscriptions WHERE id = ?"
    (endpoint,) = shop.store.connection.execute(sql, (person,)).fetchone()
    with shop.store.write() as connection:
        hashed = tokens.endpoint_hash(endpoint)
        sql = "UPDATE subscriptions SET endpoint_hash = ? WHERE id = ?"
        connection.execute(sql, (hashed, person))
    raw = json.dumps({"endpoint": endpoint, **body})
    signature = tokens.sign_request(support.auth(), path, DUE // 1000, raw.encode())
    return InboxRecord(f"{person:022}", DUE, path, "shop", raw, signature)


@pytest.mark.parametrize("goal", [True, False])
def test_who_leaves_is_left_out_on_that_device_also_without_a_goal(
    swept_shop: Shop, withheld: Path, goal: bool
) -> None:
    if not goal:
        swept_shop.declare(PLAIN)
    ann, ben, eve = (swept_shop.person() for _ in range(3))
    rows = remind(swept_shop, ann, ben, eve)
    watched = watch(swept_shop, withheld)
    (swept_shop.config.keys / "secret").write_bytes(bytes(32))
    writer = Writer(swept_shop.config.inbox)
    writer.append([ask(swept_shop, ann, "/v1/unsubscribe")])
    writer.append([ask(swept_shop, ben, "/v1/preferences", pause=60)])
    writer.close()
    swept_shop.store.tracking.add_stops([Stop(eve, "purchase", DUE)])
    watched.look(rows)
    people = {rows[row].subscription: why for row, why in watched.reached.items()}
    assert people == {
        ann: "unsubscribed meanwhile",
        ben: "asked for a pause meanwhile",
        **({eve: "bought meanwhile"} if goal else {}),
    }
    causes = {goals.find_cause(why) for why in people.values()}
    assert causes >= {Cause.NOT_ACTIVE, Cause.PAUSED_BY_SUBSCRIBER}
    assert sorted(map(int, withheld.read_text().split())) == sorted(watched.reached)


def test_only_what_a_trigger_sends_is_watched(swept_shop: Shop) -> None:
    remind(swept_shop, swept_shop.person())
    store = swept_shop.store
    (row,) = store.connection.execute("SELECT min(id) FROM campaigns").fetchone()
    step = store.campaigns.get_by_id(row)
    vapid.write(swept_shop.config.keys)
    assert goals.watch(store, swept_shop.config, step, None) is not None
    store.connection.execute('UPDATE campaigns SET "trigger" = NULL')
    assert goals.watch(store, swept_shop.config, step, None) is None

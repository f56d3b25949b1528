"""One person, several devices: one enrolment of a trigger at a time, where they were last."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.store import Store
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import BASKET, Shop


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    return Shop(tmp_path, store)


def devices(shop: Shop, *, trusted: bool = True, named: bool = True) -> tuple[int, int]:
    """Return the phone and the laptop of somebody called ann."""
    phone, laptop = shop.person(), shop.person()
    if named:
        for device in (phone, laptop):
            shop.store.subscriptions.name(device, "ann", trusted)
    return phone, laptop


def live(shop: Shop, minutes: int, since: int = NOON) -> None:
    for minute in range(minutes + 1):
        shop.sweep(since + minute * MINUTE)


def test_a_basket_on_two_devices_is_one_reminder_on_the_last_one(shop: Shop) -> None:
    phone, laptop = devices(shop)
    shop.fill(laptop, NOON)
    shop.fill(phone, NOON + MINUTE)
    live(shop, 120)
    assert shop.got(laptop) == []
    assert [name for name, _ in shop.got(phone)] == ["basket/1", "basket/2"]
    assert shop.why(laptop)[-1][0] == "superseded"
    assert "on another device" in shop.why(laptop)[-1][1]
    assert shop.tags(laptop, NOON) == ()


def test_a_basket_opened_elsewhere_after_the_reminder_is_no_second_one(shop: Shop) -> None:
    shop.declare(BASKET + 'reentry = "1d"\n')
    phone, laptop = devices(shop)
    shop.fill(laptop, NOON)
    live(shop, 4)
    shop.fill(phone, NOON + 5 * MINUTE)
    live(shop, 30, NOON + 5 * MINUTE)
    assert [one.person for one in shop.sent] == [laptop]
    assert shop.why(phone)[-1][1].startswith("again after 1d at the earliest")


def test_devices_that_only_say_the_same_name_are_strangers(shop: Shop) -> None:
    phone, laptop = devices(shop, trusted=False)
    shop.fill(laptop, NOON)
    shop.fill(phone, NOON + MINUTE)
    live(shop, 10)
    assert {one.person for one in shop.sent} == {phone, laptop}


def test_who_logs_in_on_both_after_filling_both_is_reminded_once(shop: Shop) -> None:
    phone, laptop = devices(shop, named=False)
    shop.fill(laptop, NOON)
    shop.fill(phone, NOON)
    shop.sweep(NOON + MINUTE)
    for device in (phone, laptop):
        shop.store.subscriptions.name(device, "ann", True)
    live(shop, 20, NOON + 2 * MINUTE)
    assert len(shop.sent) == 1
    assert ("cancel", "another device of theirs gets it") in [
        *shop.why(phone),
        *shop.why(laptop),
    ]


def test_a_birthday_is_greeted_on_one_device(shop: Shop) -> None:
    shop.declare("""
[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
steps = [{ template = "one" }]
""")
    phone, laptop = devices(shop)
    for device in (phone, laptop):
        shop.store.subscriptions.describe(device, {"birthday": "1990-04-28"})
    shop.store.subscriptions.refresh(laptop, {}, NOON + MINUTE)
    for hour in range(-24, 24):
        shop.sweep(NOON + hour * HOUR)
    assert [one.person for one in shop.sent] == [laptop]
    assert shop.why(phone) == [
        ("refused", "the day 2026-04-28: it began on another device of theirs")
    ]


def test_who_is_here_on_one_device_is_not_absent(shop: Shop) -> None:
    shop.declare("""
[triggers.win_back]
inactive = "30d"
steps = [{ template = "one" }]
""")
    phone, _ = devices(shop)
    for day in range(28, 45):
        shop.store.subscriptions.refresh(phone, {}, NOON + day * DAY)
        for hour in range(0, 24, 6):
            shop.sweep(NOON + day * DAY + hour * HOUR)
    assert shop.sent == []
    for quarter in range(4 * 45, 4 * 80):
        shop.sweep(NOON + quarter * 6 * HOUR)
    assert [one.person for one in shop.sent] == [phone]


def test_a_person_gets_one_message_a_sweep_however_many_are_due(shop: Shop) -> None:
    """More enrolments than one batch holds, the person's two at either end of them."""
    second = BASKET.replace("triggers.basket]", "triggers.trial]").replace(
        '"cart_updated"', '"trial"'
    )
    shop.declare(BASKET + second)
    ann = shop.person()
    shop.event(ann, "trial", NOON - 2000)
    for _ in range(600):
        shop.fill(shop.person(), NOON - 1000)
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    assert len(shop.sent) == 601
    assert len(shop.got(ann)) == 1
    assert shop.why(ann)[-1] == ("hold", "another message went out just before")


def test_what_a_machine_slept_through_comes_minutes_apart(shop: Shop) -> None:
    shop.declare("""
[triggers.drip]
on    = "subscribed"
steps = [{ after = "1h", template = "one" }, { after = "2h", template = "two" }]
""")
    ann = shop.person()
    shop.event(ann, "subscribed", NOON)
    shop.sweep(NOON)
    live(shop, 10, NOON + 5 * HOUR)
    assert shop.got(ann) == [
        ("drip/1", NOON + 5 * HOUR),
        ("drip/2", NOON + 5 * HOUR + 5 * MINUTE),
    ]

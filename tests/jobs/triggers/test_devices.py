"""One person, several devices: one enrolment of a trigger at a time, where they were last."""

from pushctl.rules.triggers.trigger import held_out
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import BASKET, Shop


def devices(swept_shop: Shop, *, trusted: bool = True, named: bool = True) -> tuple[int, int]:
    """Return the phone and the laptop of somebody called ann."""
    phone, laptop = swept_shop.person(), swept_shop.person()
    if named:
        for device in (phone, laptop):
            swept_shop.store.subscriptions.set_alias(device, "ann", trusted)
    return phone, laptop


def live(swept_shop: Shop, minutes: int, since: int = NOON) -> None:
    for minute in range(minutes + 1):
        swept_shop.sweep(since + minute * MINUTE)


def test_a_basket_on_two_devices_is_one_reminder_on_the_last_one(swept_shop: Shop) -> None:
    phone, laptop = devices(swept_shop)
    swept_shop.fill(laptop, NOON)
    swept_shop.fill(phone, NOON + MINUTE)
    live(swept_shop, 120)
    assert swept_shop.got(laptop) == []
    assert [name for name, _ in swept_shop.got(phone)] == ["basket/1", "basket/2"]
    assert swept_shop.why(laptop)[-1][0] == "superseded"
    assert "on another device" in swept_shop.why(laptop)[-1][1]
    assert swept_shop.tags(laptop, NOON) == ()


def test_a_basket_opened_elsewhere_after_the_reminder_is_no_second_one(
    swept_shop: Shop,
) -> None:
    swept_shop.declare(BASKET + 'reentry = "1d"\n')
    phone, laptop = devices(swept_shop)
    swept_shop.fill(laptop, NOON)
    live(swept_shop, 4)
    swept_shop.fill(phone, NOON + 5 * MINUTE)
    live(swept_shop, 30, NOON + 5 * MINUTE)
    assert [one.person for one in swept_shop.sent] == [laptop]
    assert swept_shop.why(phone)[-1][1].startswith("again after 1d at the earliest")


def test_devices_that_only_say_the_same_name_are_strangers(swept_shop: Shop) -> None:
    phone, laptop = devices(swept_shop, trusted=False)
    swept_shop.fill(laptop, NOON)
    swept_shop.fill(phone, NOON + MINUTE)
    live(swept_shop, 10)
    assert {one.person for one in swept_shop.sent} == {phone, laptop}


def test_who_logs_in_on_both_after_filling_both_is_reminded_once(swept_shop: Shop) -> None:
    phone, laptop = devices(swept_shop, named=False)
    swept_shop.fill(laptop, NOON)
    swept_shop.fill(phone, NOON)
    swept_shop.sweep(NOON + MINUTE)
    for device in (phone, laptop):
        swept_shop.store.subscriptions.set_alias(device, "ann", True)
    live(swept_shop, 20, NOON + 2 * MINUTE)
    assert len(swept_shop.sent) == 1
    assert ("cancel", "another device of theirs gets it") in [
        *swept_shop.why(phone),
        *swept_shop.why(laptop),
    ]


def test_a_birthday_is_greeted_on_one_device(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
steps = [{ template = "one" }]
""")
    phone, laptop = devices(swept_shop)
    for device in (phone, laptop):
        swept_shop.store.subscriptions.set_attributes(device, {"birthday": "1990-04-28"})
    swept_shop.store.subscriptions.refresh(laptop, {}, NOON + MINUTE)
    for hour in range(-24, 24):
        swept_shop.sweep(NOON + hour * HOUR)
    assert [one.person for one in swept_shop.sent] == [laptop]
    assert swept_shop.why(phone) == [
        ("refused", "the day 2026-04-28: it began on another device of theirs")
    ]


def test_who_is_here_on_one_device_is_not_absent(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.win_back]
inactive = "30d"
steps = [{ template = "one" }]
""")
    phone, _ = devices(swept_shop)
    for day in range(28, 45):
        swept_shop.store.subscriptions.refresh(phone, {}, NOON + day * DAY)
        for hour in range(0, 24, 6):
            swept_shop.sweep(NOON + day * DAY + hour * HOUR)
    assert swept_shop.sent == []
    for quarter in range(4 * 45, 4 * 80):
        swept_shop.sweep(NOON + quarter * 6 * HOUR)
    assert [one.person for one in swept_shop.sent] == [phone]


def test_a_person_gets_one_message_a_sweep_however_many_are_due(swept_shop: Shop) -> None:
    """More enrolments than one batch holds, the person's two at either end of them."""
    second = BASKET.replace("triggers.basket]", "triggers.trial]").replace(
        '"cart_updated"', '"trial"'
    )
    swept_shop.declare(BASKET + second)
    ann = swept_shop.person()
    swept_shop.event(ann, "trial", NOON - 2000)
    for _ in range(600):
        swept_shop.fill(swept_shop.person(), NOON - 1000)
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert len(swept_shop.sent) == 601
    assert len(swept_shop.got(ann)) == 1
    assert swept_shop.why(ann)[-1] == ("hold", "another message went out just before")


def test_what_a_machine_slept_through_comes_minutes_apart(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.drip]
on    = "subscribed"
steps = [{ after = "1h", template = "one" }, { after = "2h", template = "two" }]
""")
    ann = swept_shop.person()
    swept_shop.event(ann, "subscribed", NOON)
    swept_shop.sweep(NOON)
    live(swept_shop, 10, NOON + 5 * HOUR)
    assert swept_shop.got(ann) == [
        ("drip/1", NOON + 5 * HOUR),
        ("drip/2", NOON + 5 * HOUR + 5 * MINUTE),
    ]


def test_all_devices_of_a_held_out_person_are_held_out(swept_shop: Shop) -> None:
    swept_shop.declare(BASKET.replace("steps", "holdout = 0.5\nsteps"))
    pairs = [(swept_shop.person(), swept_shop.person()) for _ in range(30)]
    singles = [swept_shop.person() for _ in range(30)]
    for number, pair in enumerate(pairs):
        for device in pair:
            swept_shop.store.subscriptions.set_alias(device, f"c{number}", True)
    trigger = swept_shop.config.triggers["basket"]

    def lot(device: int) -> bool:
        return held_out(trigger, swept_shop.store.subscriptions.get(str(device)).public_id)

    for at, device in enumerate([each for pair in pairs for each in pair] + singles):
        swept_shop.fill(device, NOON + at)
    live(swept_shop, 10)
    for first, second in pairs:
        assert bool(swept_shop.got(first) or swept_shop.got(second)) is not lot(first)
    assert {lot(first) for first, _ in pairs} == {True, False}
    assert any(lot(first) != lot(second) for first, second in pairs)
    # Whoever has one device keeps the lot of before.
    assert [not swept_shop.got(one) for one in singles] == [lot(one) for one in singles]


def test_all_devices_of_a_person_get_the_same_variant(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.offer]
on      = "offer_viewed"
reentry = "0s"
steps   = [{ templates = ["one", "two"] }]
""")
    for number in range(12):
        for device in (pair := (swept_shop.person(), swept_shop.person())):
            swept_shop.store.subscriptions.set_alias(device, f"c{number}", True)
        for minute, device in enumerate(pair):
            swept_shop.event(device, "offer_viewed", NOON + minute * HOUR)
            swept_shop.sweep(NOON + minute * HOUR + MINUTE)
        variants = {name for device in pair for name, _ in swept_shop.got(device)}
        assert len(variants) == 1
        assert all(len(swept_shop.got(device)) == 1 for device in pair)

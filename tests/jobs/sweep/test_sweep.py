"""The sweep: events in, the right messages out, each once, each with its reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.jobs.subscribers import carts
from pushctl.jobs.sweep import sweep
from pushctl.store import Store
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.rows import deliveries
from tests.support.shop import BASKET, Shop


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    return Shop(tmp_path, store)


def test_the_basket_story(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON + MINUTE)
    assert shop.got(ann) == []
    assert shop.tags(ann, NOON) == ("Abandoned basket 1",)

    shop.sweep(NOON + 3 * MINUTE)
    shop.sweep(NOON + 4 * MINUTE)
    shop.sweep(NOON + 93 * MINUTE)
    shop.sweep(NOON + 94 * MINUTE)
    assert shop.got(ann) == [
        ("basket/1", NOON + 3 * MINUTE),
        ("basket/2", NOON + 93 * MINUTE),
    ]


def test_buying_in_between_stops_it_and_takes_the_tag(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    shop.event(ann, "purchase", NOON + 10 * MINUTE, total=20)
    shop.sweep(NOON + 11 * MINUTE)
    shop.sweep(NOON + 2 * HOUR)
    assert [name for name, _ in shop.got(ann)] == ["basket/1"]
    assert shop.tags(ann, NOON) == ()
    assert shop.why(ann)[-1] == ("finish", "goal reached: purchase")


def test_buying_just_before_the_reminder_stops_it_in_the_same_sweep(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    shop.event(ann, "purchase", NOON + 3 * MINUTE)
    shop.sweep(NOON + 3 * MINUTE)
    assert shop.got(ann) == []


def test_an_emptied_basket_is_no_abandoned_one(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    shop.event(ann, "cart_updated", NOON + MINUTE, items=[])
    shop.sweep(NOON + 3 * MINUTE)
    assert shop.got(ann) == []
    assert carts.of(shop.store, shop.config, {ann: "shop"}) == {}


def test_each_change_of_the_basket_starts_the_clock_anew(shop: Shop) -> None:
    ann = shop.person()
    for minute in (0, 2, 4):
        shop.fill(ann, NOON + minute * MINUTE, quantity=minute + 1)
        shop.sweep(NOON + minute * MINUTE)
    shop.sweep(NOON + 6 * MINUTE)
    assert shop.got(ann) == []
    shop.sweep(NOON + 7 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["basket/1"]
    (enrolment,) = shop.store.enrolments.of(ann)
    assert enrolment.context["cart"]["count"] == 5
    assert enrolment.context["cart"]["url"] == "/cart"


def test_a_machine_asleep_for_a_weekend_sends_nothing_stale(shop: Shop) -> None:
    people = [shop.person() for _ in range(20)]
    for person in people:
        shop.fill(person, NOON)
    shop.sweep(NOON + MINUTE)
    shop.sweep(NOON + 2 * DAY)
    assert shop.sent == []
    assert shop.why(people[0])[-1] == ("expire", "1d23h57m late, more than 15m")


def test_nobody_gets_a_message_twice_although_a_sweep_dies_before_sending(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    sweep.decide_all(shop.config, shop.store, NOON + 3 * MINUTE)
    # The next one finds the planned message, and plans no other.
    shop.sweep(NOON + 4 * MINUTE)
    shop.sweep(NOON + 5 * MINUTE)
    assert shop.got(ann) == [("basket/1", NOON + 4 * MINUTE)]


def test_a_message_planned_and_not_sent_is_withdrawn_when_they_buy(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    sweep.decide_all(shop.config, shop.store, NOON + 3 * MINUTE)
    shop.event(ann, "purchase", NOON + 4 * MINUTE)
    shop.sweep(NOON + 4 * MINUTE)
    assert shop.got(ann) == []
    campaign = shop.store.campaigns.get("basket/1")
    assert deliveries(shop.store, campaign.id) == {"skipped": 1}


def test_reaching_payment_changes_to_the_second_basket(shop: Shop) -> None:
    shop.declare("""
[triggers.basket_1]
on = "cart_updated"
cancel_on = ["purchase", "cart_emptied", "checkout_started"]
tag = "Abandoned basket 1"
steps = [{ after = "3m", template = "one" }]
[triggers.basket_2]
on = "checkout_started"
cancel_on = ["purchase", "cart_emptied"]
tag = "Abandoned basket 2"
steps = [{ after = "3m", template = "two" }]
""")
    ann = shop.person()
    shop.fill(ann, NOON, price=80)
    shop.event(ann, "checkout_started", NOON + MINUTE)
    shop.sweep(NOON + MINUTE)
    assert shop.tags(ann, NOON) == ("Abandoned basket 2",)
    shop.sweep(NOON + 4 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["basket_2/1"]
    enrolment = shop.store.enrolments.of(ann, "basket_2")[0]
    assert enrolment.context["cart"]["total"] == 80


def test_another_device_of_the_same_person_stops_it_too(shop: Shop) -> None:
    phone, laptop = shop.person(), shop.person()
    for device in (phone, laptop):
        shop.store.subscriptions.name(device, "ann", True)
    shop.fill(phone, NOON)
    shop.sweep(NOON)
    shop.event(laptop, "purchase", NOON + MINUTE)
    shop.sweep(NOON + 3 * MINUTE)
    assert shop.sent == []


def test_an_alias_that_anybody_could_claim_stops_nobody(shop: Shop) -> None:
    ann, eve = shop.person(), shop.person()
    for device in (ann, eve):
        shop.store.subscriptions.name(device, "ann", False)
    shop.fill(ann, NOON)
    shop.event(eve, "purchase", NOON + MINUTE)
    shop.sweep(NOON + 3 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["basket/1"]


def test_the_audience_is_asked_when_entering_and_when_sending(shop: Shop) -> None:
    shop.declare(BASKET + "audience = \"not tag('staff')\"\n")
    ann, boss, late = (shop.person() for _ in range(3))
    shop.store.tags.add([boss], "Staff", NOON)
    for person in (ann, boss, late):
        shop.fill(person, NOON)
    shop.sweep(NOON + MINUTE)
    shop.store.tags.add([late], "staff", NOON)
    shop.sweep(NOON + 3 * MINUTE)
    assert {one.person for one in shop.sent} == {ann}
    assert shop.why(boss) == [("refused", "cart_updated: not in the audience")]
    assert shop.why(late)[-1] == ("cancel", "not in the audience any more")


def test_one_message_a_person_and_sweep(shop: Shop) -> None:
    low = BASKET.replace("triggers.basket]", "triggers.low]").replace('"15m"', '"1h"')
    high = BASKET.replace("triggers.basket]", "triggers.high]\npriority = 5")
    shop.declare(low + high)
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["high/1"]
    shop.sweep(NOON + 8 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["high/1", "low/1"]


def test_the_frequency_cap_counts_all_devices_of_a_person(shop: Shop) -> None:
    shop.declare('[frequency]\nmessages = 1\nwithin = "12h"\n' + BASKET)
    phone, laptop = shop.person(), shop.person()
    for device in (phone, laptop):
        shop.store.subscriptions.name(device, "ann", True)
    shop.fill(phone, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    shop.fill(laptop, NOON + 4 * MINUTE)
    shop.sweep(NOON + 7 * MINUTE)
    assert len(shop.sent) == 1
    assert shop.why(laptop)[-1][1].startswith("frequency cap: 1 messages in 12h")


def test_a_paused_trigger_holds(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    shop.store.triggers.pause("basket", NOON)
    shop.sweep(NOON + 3 * MINUTE)
    assert shop.sent == []
    shop.store.triggers.pause("basket", None)
    shop.sweep(NOON + 10 * MINUTE)
    assert shop.got(ann) == [("basket/1", NOON + 10 * MINUTE)]


def test_a_trigger_taken_out_of_the_file_ends_its_enrolments(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    shop.declare("")
    shop.sweep(NOON + 3 * MINUTE)
    assert shop.sent == []
    assert shop.tags(ann, NOON) == ()
    assert shop.why(ann)[-1] == ("cancel", "the trigger was taken out of pushctl.toml")


def test_changed_steps_lead_running_enrolments(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    shop.sweep(NOON + 4 * MINUTE)
    shop.declare(BASKET.replace('"90m"', '"4h"'))
    shop.sweep(NOON + 2 * HOUR)
    assert len(shop.sent) == 1
    for minute in range(240, 246):
        shop.sweep(NOON + minute * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["basket/1", "basket/2"]


def test_a_broken_template_stops_no_other_trigger(shop: Shop) -> None:
    broken = BASKET.replace("triggers.basket]", "triggers.broken]\npriority = 9")
    shop.declare(BASKET + broken.replace('"one"', '"missing"'))
    ann, bob = shop.person(), shop.person()
    shop.fill(ann, NOON)
    shop.fill(bob, NOON)
    summary = shop.sweep(NOON + 3 * MINUTE)
    assert summary.exit_code == 5
    assert "missing" in summary.notes[0]
    shop.sweep(NOON + 8 * MINUTE)
    assert {one.campaign for one in shop.sent} == {"basket/1"}


def test_an_event_that_nobody_can_read_stops_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a stranger's page finds to send next: the other baskets go on."""
    from pushctl.rules.triggers import enrolling

    ann, eve = shop.person(), shop.person()
    shop.fill(eve, NOON, price=666)
    shop.fill(ann, NOON)
    real = enrolling.context

    def fails(event: Any, basket: Any) -> Any:
        if event.subscription == eve:
            raise OverflowError("cannot convert float infinity to integer")
        return real(event, basket)

    monkeypatch.setattr(enrolling, "context", fails)
    summary = shop.sweep(NOON + 3 * MINUTE)
    assert "event 1 is left out" in summary.notes[0]
    assert shop.got(ann) and not shop.got(eve)
    assert shop.sweep(NOON + 4 * MINUTE).notes == []


def test_an_audience_that_cannot_be_read_rests_its_trigger_alone(shop: Shop) -> None:
    odd = BASKET.replace("triggers.basket]", "triggers.odd]\naudience = \"tag('VIP')\"")
    shop.declare(BASKET + odd)
    ann, bob = shop.person(), shop.person()
    shop.store.tags.add([ann], "VIP", NOON)
    shop.event(ann, "page_view", NOON)
    shop.declare(BASKET + odd.replace("tag('VIP')", "segment('vipp')"))
    for person in (ann, bob):
        shop.fill(person, NOON)
    for minute in (0, 3, 9):
        summary = shop.sweep(NOON + minute * MINUTE)
        assert summary.exit_code == 5
        assert "odd rests, its audience can't be read: no segment" in summary.notes[0]
    assert {one.campaign for one in shop.sent} == {"basket/1"}
    assert ("refused", "cart_updated: the audience can't be read") in shop.why(ann)


def test_the_control_group_gets_nothing(shop: Shop) -> None:
    shop.declare(BASKET + "holdout = 0.5\n")
    people = [shop.person() for _ in range(40)]
    for person in people:
        shop.fill(person, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    assert 8 < len(shop.sent) < 32
    for person in people:
        kinds = [kind for kind, _ in shop.why(person)]
        assert kinds in (["entered", "deliver"], ["holdout"])


def test_a_birthday_is_greeted_once_at_ten_in_the_morning_there(shop: Shop) -> None:
    shop.declare("""
[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
steps = [{ template = "one" }]
""")
    berlin, new_york = shop.person(), shop.person("America/New_York")
    for person in (berlin, new_york):
        shop.store.subscriptions.describe(person, {"birthday": "1990-04-28"})
    for hour in range(-48, 48):
        shop.sweep(NOON + hour * HOUR)
    assert shop.got(berlin) == [("birthday/1", NOON)]
    assert shop.got(new_york) == [("birthday/1", NOON + 6 * HOUR)]


def test_who_stays_away_is_won_back_once(shop: Shop) -> None:
    shop.declare("""
[triggers.win_back]
inactive = "30d"
steps = [{ template = "one" }]
""")
    ann, bob = shop.person(), shop.person()
    for day in range(25, 40):
        if day == 29:
            shop.store.subscriptions.refresh(bob, {}, NOON + day * DAY)
        for hour in range(0, 24, 3):
            shop.sweep(NOON + day * DAY + hour * HOUR)
    assert [name for name, _ in shop.got(ann)] == ["win_back/1"]
    assert shop.got(bob) == []


def test_the_welcome_drip_follows_the_subscription(shop: Shop) -> None:
    shop.declare("""
[triggers.welcome]
on = "subscribed"
reentry = "never"
steps = [{ after = "1m", template = "one" }, { after = "1d", template = "two" }]
""")
    ann = shop.person()
    shop.event(ann, "subscribed", NOON)
    for hour in range(30):
        shop.sweep(NOON + hour * HOUR + MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["welcome/1", "welcome/2"]


def test_and_not_waits_for_what_does_not_come(shop: Shop) -> None:
    shop.declare("""
[triggers.trial]
on = "trial_viewed"
unless = "downloaded"
within = "2h"
steps = [{ template = "one" }]
""")
    ann, bob = shop.person(), shop.person()
    for person in (ann, bob):
        shop.event(person, "trial_viewed", NOON)
    shop.event(bob, "downloaded", NOON + HOUR)
    for minute in range(0, 150, 10):
        shop.sweep(NOON + minute * MINUTE)
    assert shop.got(ann) == [("trial/1", NOON + 2 * HOUR)]
    assert shop.got(bob) == []


def test_a_dry_run_changes_nothing(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    options = sweep.Options(dry_run=True, rehearsal=True)
    summary = sweep.run(shop.config, shop.store, NOON + 3 * MINUTE, options)
    assert [what for _, what in summary.messages] == ["basket, step 1: one"]
    assert shop.store.enrolments.of(ann) == []
    assert shop.why(ann) == []
    assert shop.store.campaigns.all() == []


def test_old_events_of_a_first_sweep_are_let_lie(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON - 3 * DAY)
    shop.sweep(NOON)
    assert shop.why(ann) == []


def test_the_same_refusal_is_written_once(shop: Shop) -> None:
    shop.declare(BASKET + "restart = false\n")
    ann = shop.person()
    for second in range(5):
        shop.fill(ann, NOON + second * 1000)
    shop.sweep(NOON + MINUTE)
    assert shop.why(ann) == [
        ("entered", "cart_updated came"),
        ("refused", "cart_updated: already on its way"),
    ]


def test_a_trigger_s_tag_counts_from_the_moment_it_is_set(shop: Shop) -> None:
    """One event begins two triggers; the tag of the first keeps the person out of the other."""
    second = BASKET.replace("triggers.basket]", "triggers.second]").replace(
        'tag       = "Abandoned basket 1"',
        "audience = \"not tag('abandoned  BASKET 1') and not tag('staff')\"",
    )
    thanks = """
[triggers.thanks]
on = "purchase"
audience = "tag('Abandoned basket 1') or tag('regular')"
steps = [{ template = "three" }]
"""
    shop.declare(BASKET + second + thanks)
    ann, bob = shop.person(), shop.person()
    shop.store.tags.add([bob], "regular", NOON)
    for person in (ann, bob):
        shop.fill(person, NOON)
    shop.sweep(NOON)
    for person in (ann, bob):
        shop.event(person, "purchase", NOON + MINUTE)
    shop.sweep(NOON + MINUTE)
    assert ("refused", "cart_updated: not in the audience") in shop.why(ann)
    assert shop.store.enrolments.of(ann, "second") == []
    # The purchase has ended the first, and its tag is off.
    assert shop.why(ann)[-1] == ("refused", "purchase: not in the audience")
    assert [name for name, _ in shop.got(bob)] == ["thanks/1"]

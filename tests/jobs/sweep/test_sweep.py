"""The sweep: events in, the right messages out, each once, each with its reason."""

from typing import Any

import pytest

from pushctl.jobs.subscribers import carts
from pushctl.jobs.sweep import sweep
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.rows import deliveries
from tests.support.shop import BASKET, Shop, decide_all


def test_the_basket_story(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON + MINUTE)
    assert swept_shop.got(ann) == []
    assert swept_shop.tags(ann, NOON) == ("Abandoned basket 1",)

    swept_shop.sweep(NOON + 3 * MINUTE)
    swept_shop.sweep(NOON + 4 * MINUTE)
    swept_shop.sweep(NOON + 93 * MINUTE)
    swept_shop.sweep(NOON + 94 * MINUTE)
    assert swept_shop.got(ann) == [
        ("basket/1", NOON + 3 * MINUTE),
        ("basket/2", NOON + 93 * MINUTE),
    ]


def test_buying_in_between_stops_it_and_takes_the_tag(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    swept_shop.event(ann, "purchase", NOON + 10 * MINUTE, total=20)
    swept_shop.sweep(NOON + 11 * MINUTE)
    swept_shop.sweep(NOON + 2 * HOUR)
    assert [name for name, _ in swept_shop.got(ann)] == ["basket/1"]
    assert swept_shop.tags(ann, NOON) == ()
    assert swept_shop.why(ann)[-1] == ("finish", "goal reached: purchase")


def test_buying_just_before_the_reminder_stops_it_in_the_same_sweep(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON)
    swept_shop.event(ann, "purchase", NOON + 3 * MINUTE)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.got(ann) == []


def test_an_emptied_basket_is_no_abandoned_one(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON)
    swept_shop.event(ann, "cart_updated", NOON + MINUTE, items=[])
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.got(ann) == []
    assert carts.load(swept_shop.store, swept_shop.config, {ann: "shop"}) == {}


def test_each_change_of_the_basket_starts_the_clock_anew(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    for minute in (0, 2, 4):
        swept_shop.fill(ann, NOON + minute * MINUTE, quantity=minute + 1)
        swept_shop.sweep(NOON + minute * MINUTE)
    swept_shop.sweep(NOON + 6 * MINUTE)
    assert swept_shop.got(ann) == []
    swept_shop.sweep(NOON + 7 * MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["basket/1"]
    (enrolment,) = swept_shop.store.enrolments.list_all(ann)
    assert enrolment.context["cart"]["count"] == 5
    assert enrolment.context["cart"]["url"] == "/cart"


def test_a_machine_asleep_for_a_weekend_sends_nothing_stale(swept_shop: Shop) -> None:
    people = [swept_shop.person() for _ in range(20)]
    for person in people:
        swept_shop.fill(person, NOON)
    swept_shop.sweep(NOON + MINUTE)
    swept_shop.sweep(NOON + 2 * DAY)
    assert swept_shop.sent == []
    assert swept_shop.why(people[0])[-1] == ("expire", "1d23h57m late, more than 15m")


def test_nobody_gets_a_message_twice_although_a_sweep_dies_before_sending(
    swept_shop: Shop,
) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    decide_all(swept_shop.config, swept_shop.store, NOON + 3 * MINUTE)
    # The next one finds the planned message, and plans no other.
    swept_shop.sweep(NOON + 4 * MINUTE)
    swept_shop.sweep(NOON + 5 * MINUTE)
    assert swept_shop.got(ann) == [("basket/1", NOON + 4 * MINUTE)]


def test_a_message_planned_and_not_sent_is_withdrawn_when_they_buy(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    decide_all(swept_shop.config, swept_shop.store, NOON + 3 * MINUTE)
    swept_shop.event(ann, "purchase", NOON + 4 * MINUTE)
    swept_shop.sweep(NOON + 4 * MINUTE)
    assert swept_shop.got(ann) == []
    campaign = swept_shop.store.campaigns.get("basket/1")
    assert deliveries(swept_shop.store, campaign.id) == {"skipped": 1}


def test_reaching_payment_changes_to_the_second_basket(swept_shop: Shop) -> None:
    swept_shop.declare("""
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
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON, price=80)
    swept_shop.event(ann, "checkout_started", NOON + MINUTE)
    swept_shop.sweep(NOON + MINUTE)
    assert swept_shop.tags(ann, NOON) == ("Abandoned basket 2",)
    swept_shop.sweep(NOON + 4 * MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["basket_2/1"]
    enrolment = swept_shop.store.enrolments.list_all(ann, "basket_2")[0]
    assert enrolment.context["cart"]["total"] == 80


def test_another_device_of_the_same_person_stops_it_too(swept_shop: Shop) -> None:
    phone, laptop = swept_shop.person(), swept_shop.person()
    for device in (phone, laptop):
        swept_shop.store.subscriptions.set_alias(device, "ann", True)
    swept_shop.fill(phone, NOON)
    swept_shop.sweep(NOON)
    swept_shop.event(laptop, "purchase", NOON + MINUTE)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.sent == []


def test_an_alias_that_anybody_could_claim_stops_nobody(swept_shop: Shop) -> None:
    ann, eve = swept_shop.person(), swept_shop.person()
    for device in (ann, eve):
        swept_shop.store.subscriptions.set_alias(device, "ann", False)
    swept_shop.fill(ann, NOON)
    swept_shop.event(eve, "purchase", NOON + MINUTE)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["basket/1"]


def test_the_audience_is_asked_when_entering_and_when_sending(swept_shop: Shop) -> None:
    swept_shop.declare(BASKET + "audience = \"not tag('staff')\"\n")
    ann, boss, late = (swept_shop.person() for _ in range(3))
    swept_shop.store.tags.add([boss], "Staff", NOON)
    for person in (ann, boss, late):
        swept_shop.fill(person, NOON)
    swept_shop.sweep(NOON + MINUTE)
    swept_shop.store.tags.add([late], "staff", NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert {one.person for one in swept_shop.sent} == {ann}
    assert swept_shop.why(boss) == [("refused", "cart_updated: not in the audience")]
    assert swept_shop.why(late)[-1] == ("cancel", "not in the audience any more")


def test_one_message_a_person_and_sweep(swept_shop: Shop) -> None:
    low = BASKET.replace("triggers.basket]", "triggers.low]").replace('"15m"', '"1h"')
    high = BASKET.replace("triggers.basket]", "triggers.high]\npriority = 5")
    swept_shop.declare(low + high)
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["high/1"]
    swept_shop.sweep(NOON + 8 * MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["high/1", "low/1"]


def test_the_frequency_cap_counts_all_devices_of_a_person(swept_shop: Shop) -> None:
    swept_shop.declare('[frequency]\nmessages = 1\nwithin = "12h"\n' + BASKET)
    phone, laptop = swept_shop.person(), swept_shop.person()
    for device in (phone, laptop):
        swept_shop.store.subscriptions.set_alias(device, "ann", True)
    swept_shop.fill(phone, NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    swept_shop.fill(laptop, NOON + 4 * MINUTE)
    swept_shop.sweep(NOON + 7 * MINUTE)
    assert len(swept_shop.sent) == 1
    assert swept_shop.why(laptop)[-1][1].startswith("frequency cap: 1 messages in 12h")


def test_a_paused_trigger_holds(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON)
    swept_shop.store.triggers.set_paused("basket", NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.sent == []
    swept_shop.store.triggers.set_paused("basket", None)
    swept_shop.sweep(NOON + 10 * MINUTE)
    assert swept_shop.got(ann) == [("basket/1", NOON + 10 * MINUTE)]


def test_a_trigger_taken_out_of_the_file_ends_its_enrolments(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON)
    swept_shop.declare("")
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.sent == []
    assert swept_shop.tags(ann, NOON) == ()
    assert swept_shop.why(ann)[-1] == ("cancel", "the trigger was taken out of pushctl.toml")


def test_changed_steps_lead_running_enrolments(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    swept_shop.sweep(NOON + 4 * MINUTE)
    swept_shop.declare(BASKET.replace('"90m"', '"4h"'))
    swept_shop.sweep(NOON + 2 * HOUR)
    assert len(swept_shop.sent) == 1
    for minute in range(240, 246):
        swept_shop.sweep(NOON + minute * MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["basket/1", "basket/2"]


def test_a_broken_template_stops_no_other_trigger(swept_shop: Shop) -> None:
    broken = BASKET.replace("triggers.basket]", "triggers.broken]\npriority = 9")
    swept_shop.declare(BASKET + broken.replace('"one"', '"missing"'))
    ann, bob = swept_shop.person(), swept_shop.person()
    swept_shop.fill(ann, NOON)
    swept_shop.fill(bob, NOON)
    summary = swept_shop.sweep(NOON + 3 * MINUTE)
    assert summary.exit_code == 5
    assert "missing" in summary.notes[0]
    swept_shop.sweep(NOON + 8 * MINUTE)
    assert {one.campaign for one in swept_shop.sent} == {"basket/1"}


def test_an_event_that_nobody_can_read_stops_nobody(
    swept_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a stranger's page finds to send next: the other baskets go on."""
    from pushctl.rules.triggers import enrolling

    ann, eve = swept_shop.person(), swept_shop.person()
    swept_shop.fill(eve, NOON, price=666)
    swept_shop.fill(ann, NOON)
    real = enrolling.context

    def fails(event: Any, basket: Any) -> Any:
        if event.subscription == eve:
            raise OverflowError("cannot convert float infinity to integer")
        return real(event, basket)

    monkeypatch.setattr(enrolling, "context", fails)
    summary = swept_shop.sweep(NOON + 3 * MINUTE)
    assert "event 1 is left out" in summary.notes[0]
    assert swept_shop.got(ann) and not swept_shop.got(eve)
    assert swept_shop.sweep(NOON + 4 * MINUTE).notes == []


def test_an_audience_that_cannot_be_read_rests_its_trigger_alone(swept_shop: Shop) -> None:
    odd = BASKET.replace("triggers.basket]", "triggers.odd]\naudience = \"tag('VIP')\"")
    swept_shop.declare(BASKET + odd)
    ann, bob = swept_shop.person(), swept_shop.person()
    swept_shop.store.tags.add([ann], "VIP", NOON)
    swept_shop.event(ann, "page_view", NOON)
    swept_shop.declare(BASKET + odd.replace("tag('VIP')", "segment('vipp')"))
    for person in (ann, bob):
        swept_shop.fill(person, NOON)
    for minute in (0, 3, 9):
        summary = swept_shop.sweep(NOON + minute * MINUTE)
        assert summary.exit_code == 5
        assert "odd rests, its audience can't be read: no segment" in summary.notes[0]
    assert {one.campaign for one in swept_shop.sent} == {"basket/1"}
    assert ("refused", "cart_updated: the audience can't be read") in swept_shop.why(ann)


def test_a_campaign_that_nobody_knows_rests_the_trigger_that_asks_for_it(
    swept_shop: Shop,
) -> None:
    odd = BASKET.replace("triggers.basket]", "triggers.odd]\naudience = \"sent('sael')\"")
    own = BASKET.replace("triggers.basket]", "triggers.own]\naudience = \"not sent('own/1')\"")
    swept_shop.declare(BASKET + odd + own)
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    for minute in (0, 3, 9):
        summary = swept_shop.sweep(NOON + minute * MINUTE)
        assert "odd rests, its audience can't be read: no campaign" in summary.notes[0]
    assert {one.campaign for one in swept_shop.sent} == {"basket/1", "own/1"}


def test_the_control_group_gets_nothing(swept_shop: Shop) -> None:
    swept_shop.declare(BASKET + "holdout = 0.5\n")
    people = [swept_shop.person() for _ in range(40)]
    for person in people:
        swept_shop.fill(person, NOON)
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert 8 < len(swept_shop.sent) < 32
    for person in people:
        kinds = [kind for kind, _ in swept_shop.why(person)]
        assert kinds in (["entered", "deliver"], ["holdout"])


def test_a_birthday_is_greeted_once_at_ten_in_the_morning_there(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
steps = [{ template = "one" }]
""")
    berlin, new_york = swept_shop.person(), swept_shop.person("America/New_York")
    for person in (berlin, new_york):
        swept_shop.store.subscriptions.set_attributes(person, {"birthday": "1990-04-28"})
    for hour in range(-48, 48):
        swept_shop.sweep(NOON + hour * HOUR)
    assert swept_shop.got(berlin) == [("birthday/1", NOON)]
    assert swept_shop.got(new_york) == [("birthday/1", NOON + 6 * HOUR)]


def test_who_stays_away_is_won_back_once(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.win_back]
inactive = "30d"
steps = [{ template = "one" }]
""")
    ann, bob = swept_shop.person(), swept_shop.person()
    for day in range(25, 40):
        if day == 29:
            swept_shop.store.subscriptions.refresh(bob, {}, NOON + day * DAY)
        for hour in range(0, 24, 3):
            swept_shop.sweep(NOON + day * DAY + hour * HOUR)
    assert [name for name, _ in swept_shop.got(ann)] == ["win_back/1"]
    assert swept_shop.got(bob) == []


def test_the_welcome_drip_follows_the_subscription(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.welcome]
on = "subscribed"
reentry = "never"
steps = [{ after = "1m", template = "one" }, { after = "1d", template = "two" }]
""")
    ann = swept_shop.person()
    swept_shop.event(ann, "subscribed", NOON)
    for hour in range(30):
        swept_shop.sweep(NOON + hour * HOUR + MINUTE)
    assert [name for name, _ in swept_shop.got(ann)] == ["welcome/1", "welcome/2"]


def test_and_not_waits_for_what_does_not_come(swept_shop: Shop) -> None:
    swept_shop.declare("""
[triggers.trial]
on = "trial_viewed"
unless = "downloaded"
within = "2h"
steps = [{ template = "one" }]
""")
    ann, bob = swept_shop.person(), swept_shop.person()
    for person in (ann, bob):
        swept_shop.event(person, "trial_viewed", NOON)
    swept_shop.event(bob, "downloaded", NOON + HOUR)
    for minute in range(0, 150, 10):
        swept_shop.sweep(NOON + minute * MINUTE)
    assert swept_shop.got(ann) == [("trial/1", NOON + 2 * HOUR)]
    assert swept_shop.got(bob) == []


def test_a_dry_run_changes_nothing(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON)
    options = sweep.Options(dry_run=True, rehearsal=True)
    summary = sweep.run(swept_shop.config, swept_shop.store, NOON + 3 * MINUTE, options)
    assert [what for _, what in summary.messages] == ["basket, step 1: one"]
    assert swept_shop.store.enrolments.list_all(ann) == []
    assert swept_shop.why(ann) == []
    assert swept_shop.store.campaigns.list_newest() == []


def test_old_events_of_a_first_sweep_are_let_lie(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    swept_shop.fill(ann, NOON - 3 * DAY)
    swept_shop.sweep(NOON)
    assert swept_shop.why(ann) == []


def test_the_same_refusal_is_written_once(swept_shop: Shop) -> None:
    swept_shop.declare(BASKET + "restart = false\n")
    ann = swept_shop.person()
    for second in range(5):
        swept_shop.fill(ann, NOON + second * 1000)
    swept_shop.sweep(NOON + MINUTE)
    assert swept_shop.why(ann) == [
        ("entered", "cart_updated came"),
        ("refused", "cart_updated: already on its way"),
    ]


def test_a_trigger_s_tag_counts_from_the_moment_it_is_set(swept_shop: Shop) -> None:
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
    swept_shop.declare(BASKET + second + thanks)
    ann, bob = swept_shop.person(), swept_shop.person()
    swept_shop.store.tags.add([bob], "regular", NOON)
    for person in (ann, bob):
        swept_shop.fill(person, NOON)
    swept_shop.sweep(NOON)
    for person in (ann, bob):
        swept_shop.event(person, "purchase", NOON + MINUTE)
    swept_shop.sweep(NOON + MINUTE)
    assert ("refused", "cart_updated: not in the audience") in swept_shop.why(ann)
    assert swept_shop.store.enrolments.list_all(ann, "second") == []
    # The purchase has ended the first, and its tag is off.
    assert swept_shop.why(ann)[-1] == ("refused", "purchase: not in the audience")
    assert [name for name, _ in swept_shop.got(bob)] == ["thanks/1"]

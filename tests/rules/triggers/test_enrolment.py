"""The way through a trigger: entering, waiting, getting messages, leaving."""

from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushctl.rules import limits, timing
from pushctl.rules.shops import cart
from pushctl.rules.triggers.declaration import parse
from pushctl.rules.triggers.enrolment import (
    Cancel,
    Deliver,
    Enrolment,
    Event,
    Expire,
    Finish,
    Hold,
    Person,
    Skip,
    State,
    after,
    choose,
    decide,
    due_at,
    observe,
    watched_for,
)
from pushctl.rules.triggers.entry import Enter, Refuse, Restart, date_occurrence, enter
from pushctl.rules.triggers.trigger import DateRule, Frequency, Trigger
from pushctl.rules.units import DAY, HOUR, MINUTE
from tests.support import NOON

BERLIN = timing.zone("Europe/Berlin")
ANN = Person(1, "ann", "ann", BERLIN)


def trigger(name: str = "basket", **more: Any) -> Trigger:
    table = {
        "on": "cart_updated",
        "cancel_on": ["cart_emptied"],
        "goal": {"event": "purchase", "within": "24h"},
        "steps": [
            {"after": "3m", "template": "one", "ttl": "30m", "max_late": "15m"},
            {"after": "90m", "template": "two", "from": "shown"},
        ],
    } | more
    found, faults = parse(name, {key: value for key, value in table.items() if value != ""})
    assert found is not None, faults
    return found


BASKET = trigger()


def event(
    number: int = 1, name: str = "cart_updated", at: int = NOON, **properties: Any
) -> Event:
    return Event(number, 1, name, at, properties)


def entered(declared: Trigger = BASKET, at: int = NOON, **context: Any) -> Enrolment:
    entry = come(declared, event(at=at), None, context)
    assert isinstance(entry, Enter)
    return replace(entry.enrolment, id=7)


def come(
    declared: Trigger,
    what: Event,
    latest: Enrolment | None,
    context: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    return enter(declared, what, latest, lot="ann", zone=BERLIN, context=context or {}, **more)


def sent(declared: Trigger = BASKET, **context: Any) -> Enrolment:
    """Ann's enrolment after step 1 went out, three minutes past noon."""
    now = NOON + 3 * MINUTE
    enrolled = entered(declared, **context)
    intent = decide(declared, enrolled, [], now, ANN)
    assert isinstance(intent, Deliver)
    return after(declared, enrolled, intent, now, BERLIN)


def test_a_full_basket_begins_an_enrolment() -> None:
    enrolment = entered()
    assert (enrolment.state, enrolment.step, enrolment.next_at) == (
        State.ACTIVE,
        1,
        NOON + 3 * MINUTE,
    )
    assert enrolment.occurrence == "event:1"


def test_nothing_happens_before_its_time() -> None:
    assert decide(BASKET, entered(), [], NOON + 3 * MINUTE - 1, ANN) is None


def test_the_reminder_comes_after_three_minutes() -> None:
    intent = decide(BASKET, entered(), [], NOON + 3 * MINUTE, ANN)
    assert isinstance(intent, Deliver)
    assert (intent.template, intent.due) == ("one", NOON + 3 * MINUTE)
    assert intent.expires_at == NOON + 18 * MINUTE


def test_goal_beats_a_due_step() -> None:
    intent = decide(BASKET, entered(), ["purchase"], NOON + 3 * MINUTE, ANN)
    assert intent == Finish(7, "goal reached: purchase", goal="purchase")


def test_emptying_the_basket_cancels() -> None:
    intent = decide(BASKET, entered(), ["cart_emptied"], NOON, ANN)
    assert intent == Cancel(7, "cart_emptied came")


def test_who_unsubscribed_is_left_alone() -> None:
    intent = decide(BASKET, entered(), [], NOON + HOUR, replace(ANN, active=False))
    assert isinstance(intent, Cancel)


def test_too_late_expires_and_never_bursts() -> None:
    enrolment = entered()
    intent = decide(BASKET, enrolment, [], NOON + 2 * DAY, ANN)
    assert isinstance(intent, Expire)
    # The discount counts from a reminder that nobody got.
    assert after(BASKET, enrolment, intent, NOON + 2 * DAY, BERLIN).state is State.EXPIRED


def test_a_step_that_counts_from_the_event_survives_a_missed_one() -> None:
    declared = trigger(
        steps=[{"after": "3m", "template": "a"}, {"after": "2d", "template": "b"}]
    )
    enrolled = entered(declared)
    missed = decide(declared, enrolled, [], NOON + DAY, ANN)
    assert isinstance(missed, Expire)
    going_on = after(declared, enrolled, missed, NOON + DAY, BERLIN)
    assert (going_on.step, going_on.next_at) == (2, NOON + 2 * DAY)


def test_the_second_message_counts_from_when_the_first_was_shown() -> None:
    enrolment = sent()
    assert enrolment.sent == 1
    assert decide(BASKET, enrolment, [], NOON + 100 * MINUTE, ANN) is not None  # never shown
    shown = observe(BASKET, enrolment, 1, BERLIN, shown_at=NOON + 20 * MINUTE)
    assert shown.next_at == NOON + 110 * MINUTE
    assert decide(BASKET, shown, [], NOON + 109 * MINUTE, ANN) is None
    intent = decide(BASKET, shown, [], NOON + 110 * MINUTE, ANN)
    assert isinstance(intent, Deliver)
    assert intent.template == "two"


def test_what_was_never_shown_has_no_second_message() -> None:
    enrolment = sent()
    assert (
        enrolment.next_at == NOON + 93 * MINUTE
    )  # sent at 3, lives 30, an hour for the report
    assert decide(BASKET, enrolment, [], enrolment.next_at - 1, ANN) is None
    assert decide(BASKET, enrolment, [], enrolment.next_at, ANN) == Finish(
        7, "step 1 was never shown", State.EXPIRED
    )


def test_a_report_counts_once_and_only_for_its_step() -> None:
    enrolment = observe(BASKET, sent(), 1, BERLIN, shown_at=NOON + 20 * MINUTE)
    assert observe(BASKET, enrolment, 1, BERLIN, shown_at=NOON + 50 * MINUTE) == enrolment
    assert observe(BASKET, enrolment, 2, BERLIN, shown_at=NOON + 50 * MINUTE) == enrolment


def test_a_late_report_does_not_undo_a_hold() -> None:
    declared = trigger(steps=[{"template": "a"}, {"template": "b", "from": "accepted"}])
    enrolled = replace(sent(declared), accepted_at=NOON, next_at=NOON + HOUR)
    assert observe(declared, enrolled, 1, BERLIN, shown_at=NOON + MINUTE).next_at == NOON + HOUR


def test_quiet_hours_hold_to_their_end() -> None:
    night = trigger(quiet="21:00-08:00", steps=[{"after": "3m", "template": "a"}])
    ten = NOON + 14 * HOUR  # midnight in Berlin
    enrolled = entered(night, at=ten)
    intent = decide(night, enrolled, [], ten + 3 * MINUTE, ANN)
    assert intent == Hold(7, 1, NOON + 22 * HOUR, "quiet hours 21:00-08:00")
    morning = decide(night, enrolled, [], intent.until, ANN)
    assert isinstance(morning, Deliver)


def test_waiting_in_quiet_hours_is_not_late() -> None:
    """The first step may be 15 minutes late, and the night is eleven hours long."""
    night = trigger(quiet="21:00-08:00")
    morning = NOON + 22 * HOUR
    for begun in range(NOON + 10 * HOUR, morning, 7 * MINUTE):  # 20:00 to 08:00 in Berlin
        enrolled, now = entered(night, at=begun), begun + 3 * MINUTE
        intent = decide(night, enrolled, [], now, ANN)
        if night.quiet is not None and not night.quiet.holds(now, BERLIN):
            assert isinstance(intent, Deliver)
            continue
        assert intent == Hold(7, 1, morning, "quiet hours 21:00-08:00")
        sent = decide(night, enrolled, [], morning, ANN)
        assert isinstance(sent, Deliver)
        assert sent.expires_at == morning + 15 * MINUTE
        assert isinstance(decide(night, enrolled, [], morning + 15 * MINUTE, ANN), Deliver)
        assert isinstance(decide(night, enrolled, [], morning + 16 * MINUTE, ANN), Expire)


def test_what_was_late_before_the_night_is_late_after_it() -> None:
    night = trigger(quiet="21:00-08:00")
    enrolled = entered(night, at=NOON + 10 * HOUR + 47 * MINUTE)  # due at 20:50
    morning = NOON + 22 * HOUR
    assert isinstance(decide(night, enrolled, [], morning + 5 * MINUTE, ANN), Deliver)
    late = decide(night, enrolled, [], morning + 6 * MINUTE, ANN)
    assert isinstance(late, Expire)
    assert "more than 15m" in late.reason


def test_a_stop_counts_while_the_last_message_may_wait_for_the_morning() -> None:
    declared = {"steps": [{"template": "a", "max_late": "15m"}], "goal": ""}
    assert watched_for(trigger(quiet="21:00-08:00", **declared)) == 11 * HOUR + 15 * MINUTE


def test_quiet_hours_are_those_of_the_person() -> None:
    night = trigger(quiet="21:00-08:00")
    katmandu = replace(ANN, zone=timing.zone("Asia/Kathmandu"))  # 13:45 there
    assert isinstance(decide(night, entered(night), [], NOON + 3 * MINUTE, katmandu), Deliver)
    honolulu = replace(ANN, zone=timing.zone("Pacific/Honolulu"))  # 22:00 there
    assert isinstance(decide(night, entered(night), [], NOON + 3 * MINUTE, honolulu), Hold)


def test_the_frequency_cap_holds_until_the_window_has_room() -> None:
    cap = Frequency(2, DAY)
    drip = trigger(steps=[{"after": "3m", "template": "a", "max_late": "2d"}])
    now = NOON + 3 * MINUTE
    busy = replace(ANN, sent=(NOON - 2 * HOUR, NOON - 3 * HOUR, NOON - 2 * DAY))
    intent = decide(drip, entered(drip), [], now, busy, cap)
    assert intent == Hold(7, 1, NOON + 21 * HOUR, "frequency cap: 2 messages in 1d")
    free = replace(ANN, sent=(NOON - 2 * HOUR, NOON - 2 * DAY))
    assert isinstance(decide(drip, entered(drip), [], now, free, cap), Deliver)


def test_what_is_transactional_knows_no_cap() -> None:
    receipt = trigger(transactional=True)
    busy = replace(ANN, sent=(NOON,) * 9)
    intent = decide(receipt, entered(receipt), [], NOON + 3 * MINUTE, busy, Frequency(1, DAY))
    assert isinstance(intent, Deliver)


def test_the_audience_is_asked_again_at_send_time() -> None:
    left = replace(ANN, in_audience=False)
    assert decide(BASKET, entered(), [], NOON + 3 * MINUTE, left) == Cancel(
        7, "not in the audience any more"
    )


def test_who_asked_for_a_pause_is_skipped_but_for_what_is_transactional() -> None:
    resting = replace(ANN, refusal="asked for a pause")
    now = NOON + 3 * MINUTE
    assert decide(BASKET, entered(), [], now, resting) == Skip(7, 1, "asked for a pause")
    receipt = trigger(transactional=True)
    assert isinstance(decide(receipt, entered(receipt), [], now, resting), Deliver)


def test_a_step_for_dear_baskets_is_skipped_for_cheap_ones() -> None:
    declared = trigger(
        steps=[
            {"after": "3m", "template": "a", "when": {"value": ">= 100"}},
            {"after": "5m", "template": "b"},
        ]
    )
    cheap = entered(declared, value=20)
    intent = decide(declared, cheap, [], NOON + 3 * MINUTE, ANN)
    assert isinstance(intent, Skip)
    assert (
        after(declared, cheap, intent, NOON + 3 * MINUTE, BERLIN).next_at == NOON + 5 * MINUTE
    )
    assert isinstance(
        decide(declared, entered(declared, value=200), [], NOON + 3 * MINUTE, ANN), Deliver
    )


def test_at_waits_for_the_next_local_time() -> None:
    evening = trigger(steps=[{"after": "1h", "at": "18:00", "template": "a"}])
    assert entered(evening).next_at == NOON + 8 * HOUR  # NOON is 10:00 in Berlin
    assert due_at(evening, entered(evening), UTC) == NOON + 10 * HOUR


def test_after_the_last_step_the_goal_is_watched_for() -> None:
    enrolment = observe(BASKET, sent(), 1, BERLIN, shown_at=NOON + 4 * MINUTE)
    now = NOON + 94 * MINUTE
    intent = decide(BASKET, enrolment, [], now, ANN)
    done = after(BASKET, enrolment, intent, now, BERLIN)
    assert (done.state, done.next_at) == (State.ACTIVE, now + DAY)
    assert decide(BASKET, done, [], now + HOUR, ANN) is None
    assert isinstance(decide(BASKET, done, ["purchase"], now + HOUR, ANN), Finish)
    assert decide(BASKET, done, [], now + DAY, ANN) == Finish(7, "all steps are done")


def test_an_enrolment_without_goal_ends_with_its_last_step() -> None:
    declared = trigger(goal="", cancel_on="", steps=[{"template": "a"}])
    assert sent(declared).state is State.FINISHED


def test_an_enrolment_that_may_be_cancelled_lasts_as_long_as_its_last_message() -> None:
    declared = trigger(goal="", steps=[{"template": "a", "max_late": "1h"}])
    assert sent(declared).next_at == NOON + 63 * MINUTE


def test_steps_taken_out_of_the_file_end_the_enrolment() -> None:
    shorter = trigger(goal="", steps=[{"template": "a"}])
    assert isinstance(decide(shorter, replace(sent(), next_at=None), [], NOON, ANN), Finish)


def test_a_new_basket_starts_the_clock_anew() -> None:
    later = event(2, at=NOON + 2 * MINUTE)
    entry = come(BASKET, later, entered(), {"value": 9})
    assert isinstance(entry, Restart)
    assert entry.enrolment.next_at == NOON + 5 * MINUTE
    assert (entry.enrolment.id, entry.enrolment.context) == (7, {"value": 9})


def test_who_came_back_after_the_reminder_begins_a_new_enrolment() -> None:
    entry = come(BASKET, event(2, at=NOON + HOUR), sent())
    assert isinstance(entry, Enter)
    assert (entry.ends, entry.enrolment.id) == (7, 0)


def test_reentry_keeps_the_old_enrolment_and_takes_the_new_basket() -> None:
    daily = trigger(reentry="1d")
    enrolment = sent(daily)
    entry = come(daily, event(2, at=NOON + HOUR), enrolment, {"value": 3})
    assert entry == Restart(
        replace(enrolment, context={"value": 3}),
        "again after 1d at the earliest: context renewed",
    )
    assert isinstance(come(daily, event(2, at=NOON + DAY), enrolment), Enter)


def test_never_again_means_it() -> None:
    once = trigger(reentry="never")
    ended = replace(entered(once), state=State.FINISHED)
    assert come(once, event(2, at=NOON + 900 * DAY), ended) == Refuse("once only")


def test_without_restart_the_first_event_counts() -> None:
    plain = trigger(restart=False)
    assert come(plain, event(2, at=NOON + MINUTE), entered(plain)) == Refuse(
        "already on its way"
    )


def test_events_that_arrive_out_of_order_change_nothing() -> None:
    assert isinstance(come(BASKET, event(2, at=NOON - MINUTE), entered()), Refuse)
    assert come(BASKET, event(), None, seen=["purchase"]) == Refuse("purchase came after it")


def test_conditions_and_sites_choose_who_is_meant() -> None:
    picky = trigger(where={"value": ">= 50"}, sites=["shop"])
    assert come(picky, event(value=20), None, site="shop") is None
    assert come(picky, event(value=50), None, site="other") is None
    assert isinstance(come(picky, event(value=50), None, site="shop"), Enter)
    # A page that tells items and prices alone: the basket is worth what they cost.
    assert isinstance(come(picky, event(), None, {"value": 80}, site="shop"), Enter)
    assert come(picky, event(value=20), None, {"value": 80}, site="shop") is None


def test_a_sequence_needs_its_order_and_its_time() -> None:
    series = trigger(on=["viewed", "compared", "cart_updated"], within="1h")

    def past(*minutes: tuple[int, str]) -> Any:
        history = [event(9 + n, name, NOON - m * MINUTE) for n, (m, name) in enumerate(minutes)]
        return come(series, event(), None, history=history)

    assert isinstance(past((50, "viewed"), (20, "compared")), Enter)
    assert past((20, "viewed"), (50, "compared")) is None
    assert past((70, "viewed"), (20, "compared")) is None
    assert past((50, "viewed")) is None


def test_the_control_group_is_watched_and_never_written_to() -> None:
    half = trigger(holdout=0.5)
    entries = [
        enter(half, event(), None, lot=str(n), zone=BERLIN, context={}) for n in range(40)
    ]
    held = [one.enrolment for one in entries if one.enrolment.state is State.HOLDOUT]
    assert 8 < len(held) < 32
    assert all(decide(half, enrolment, [], NOON + DAY, ANN) is None for enrolment in held)


def test_one_message_per_person_by_priority() -> None:
    low, high = trigger("low"), trigger("high", priority=5)
    first = Deliver(1, 1, "one", NOON, "", NOON + HOUR)
    second = Deliver(2, 1, "one", NOON + 1, "", NOON + HOUR)
    other = Deliver(3, 1, "one", NOON, "", NOON + HOUR)
    bob = replace(ANN, key="bob")
    chosen = choose(
        [(low, ANN, first), (high, ANN, second), (low, bob, other)], Frequency(), NOON
    )
    assert chosen == [second, Hold(1, 1, NOON + 5 * MINUTE, "high goes first"), other]


def test_who_must_wait_too_long_expires() -> None:
    low, high = trigger("low"), trigger("high", priority=5)
    due = [
        (low, ANN, Deliver(1, 1, "one", NOON - 12 * MINUTE, "", NOON + HOUR)),
        (high, ANN, Deliver(2, 1, "one", NOON, "", NOON + HOUR)),
    ]
    assert isinstance(choose(due, Frequency(), NOON)[1], Expire)


def test_who_came_back_is_not_missed() -> None:
    missed = trigger(
        on="", cancel_on="", goal="", inactive="30d", steps=[{"template": "win_back"}]
    )
    enrolment = Enrolment(7, "basket", 1, "x", NOON)
    back = replace(ANN, last_seen_at=NOON + MINUTE)
    assert decide(missed, enrolment, [], NOON + HOUR, back) == Cancel(7, "came back")
    assert isinstance(decide(missed, enrolment, [], NOON + HOUR, ANN), Deliver)


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("1990-04-28", 0, "date:2026-04-28"),
        ("1990-05-01", -3, "date:2026-04-28"),
        ("1990-04-20", 0, None),
        ("2027-04-28", 0, None),
        ("no date", 0, None),
        (17, 0, None),
    ],
)
def test_birthdays_come_once_a_year(value: object, days: int, expected: str | None) -> None:
    rule = trigger(on="", date={"attribute": "birthday", "days": days, "at": "12:00"}).date
    assert rule is not None
    found = date_occurrence(rule, value, BERLIN, NOON, NOON + DAY)
    assert (found[0] if found else None) == expected
    if found:
        assert found[1] == NOON + 2 * HOUR


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    value=st.dates().map(str) | st.sampled_from(["0001-01-01", "9999-12-31", "9999-01-01T"]),
    days=st.integers(-366, 366),
    yearly=st.booleans(),
    zone=st.sampled_from(["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"]),
)
def test_no_date_that_a_browser_says_stops_the_scan(
    value: str, days: int, yearly: bool, zone: str
) -> None:
    rule = DateRule("birthday", days, yearly=yearly)
    found = date_occurrence(rule, value, timing.zone(zone), NOON - DAY, NOON + DAY)
    assert found is None or NOON - DAY <= found[1] < NOON + DAY


def test_an_update_that_leaves_nothing_empties_the_basket() -> None:
    assert cart.meaning("cart_updated", {"items": []}) == "cart_emptied"
    assert cart.meaning("cart_updated", {"total": 0}) == "cart_emptied"
    assert cart.meaning("cart_updated", {"items": [{}]}) == "cart_updated"
    assert cart.meaning("purchase", {"items": []}) == "purchase"


def test_a_basket_says_how_many_and_how_much() -> None:
    items = [{"name": "Lamp", "price": "19.5", "quantity": 2, "url": "/lamp"}]
    found = cart.read(
        {"items": items, "currency": "EUR", "url": "/cart?x=1"}, ["https://a.example"]
    )
    assert (found["count"], found["several"], found["total"]) == (2, True, 39)
    assert (found["names"], found["url"]) == (["Lamp"], "/cart?x=1")
    assert cart.value({}, found) == 39


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/cart",
        "//evil.example",
        "javascript:alert(1)",
        "https://a.example@evil.example/",
        "https://a.example.evil.example/",
        "/\\evil.example",
        "/a\nb",
        7,
    ],
)
def test_a_page_cannot_lead_people_away(url: object) -> None:
    assert cart.read({"url": url}, ["https://a.example"])["url"] is None


def test_odd_baskets_do_no_harm() -> None:
    odd = {"items": [None, 3, {"price": "nan", "quantity": -4, "name": {"a": 1}}] * 50}
    found = cart.read(odd, [])
    assert len(found["items"]) <= limits.MAX_CART_ITEMS
    assert cart.read({"items": "many", "total": {}}, [])["total"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["inf", "-Infinity", "1e999", "1e308", "nan", "1_0", "१२"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["items", "total", "value", "price", "quantity", "url", "name", "id"]),
        inner, max_size=6,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    properties=st.dictionaries(
        st.sampled_from(["items", "total", "value", "price", "currency", "url"]),
        JSON | st.lists(st.dictionaries(st.sampled_from(["price", "quantity"]), JSON)),
    )
)
def test_no_page_can_send_a_basket_that_stops_the_sweep(properties: dict[str, Any]) -> None:
    found = cart.read(properties, ["https://shop.example"])
    worth = cart.value(properties, found)
    assert worth is None or abs(worth) < 1e20
    cart.meaning("cart_updated", properties)
    assert entered(BASKET, value=worth).active


def test_infinite_prices_are_none() -> None:
    for price in ("inf", "1e999", float("inf"), 10**400, "1e308"):
        assert cart.read({"items": [{"price": price, "quantity": 9}]}, [])["total"] is None

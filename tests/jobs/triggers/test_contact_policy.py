"""The site's quiet hours, the control group and the sunset rule hold for triggers, too."""

from pushctl.jobs.project import check_contact_policy
from pushctl.jobs.triggers import describe, replay
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.rows import everybody
from tests.support.shop import BASKET, Shop

ONE = """
[triggers.basket]
on = "cart_updated"
goal = { event = "purchase", within = "24h" }
steps = [{ after = "3m", template = "one" }]
"""
EVENING = NOON + 12 * HOUR  # 22:00 in Berlin


def live(shop: Shop, since: int, minutes: int = 5, *, show: bool = True) -> None:
    for minute in range(minutes + 1):
        shop.sweep(since + minute * MINUTE, show=show)


def rows(shop: Shop, person: int) -> list[tuple[str, str | None, float | None]]:
    sql = """
        SELECT status, cause, holdout_probability FROM deliveries
         WHERE subscription_id = ? ORDER BY id
    """
    return [tuple(row) for row in shop.store.connection.execute(sql, (person,))]


def rehearse(
    shop: Shop, person: int, at: int, trigger: str = "basket"
) -> list[tuple[str, int]]:
    """Return what `triggers test` says of the steps: kind and time."""
    (who,) = shop.store.subscriptions.get_many([person])
    told = describe.rehearse(shop.config, shop.store, trigger, who, at, {})
    return [(one.kind, one.at) for one in told if one.step is not None]


def replayed(shop: Shop, since: int, now: int) -> list[tuple[str, int]]:
    """Return whom `replay` would send something, and when."""
    rules = replay.load_rules(shop.config, shop.store, None)
    found = replay.replay_events(shop.config, shop.store, rules, since, now)
    return sorted((one.subscriber, one.at) for one in found)


def sent(shop: Shop) -> list[tuple[str, int]]:
    names = {it.id: it.public_id for it in everybody(shop.store)}
    return sorted((names[one.person], one.at) for one in shop.sent)


def test_the_site_s_quiet_hours_hold_unless_the_trigger_says_none(swept_shop: Shop) -> None:
    quiet = '[quiet]\nhours = "21:00-08:00"\n'
    other = ONE.replace("triggers.basket", "triggers.other")
    other = other.replace("cart_updated", "looked") + 'quiet = "none"\n'
    swept_shop.declare(quiet + ONE + other)
    ann, ben = swept_shop.person(), swept_shop.person()
    swept_shop.fill(ann, EVENING)
    swept_shop.event(ben, "looked", EVENING)
    told = rehearse(swept_shop, ann, EVENING)
    assert told == [("hold", EVENING + 3 * MINUTE), ("deliver", EVENING + 10 * HOUR)]
    live(swept_shop, EVENING)
    assert [one.person for one in swept_shop.sent] == [ben]
    swept_shop.sweep(EVENING + 10 * HOUR)
    assert [one.person for one in swept_shop.sent] == [ben, ann]
    assert replayed(swept_shop, EVENING, EVENING + 11 * HOUR) == sent(swept_shop)


def test_the_control_group_has_rows_but_no_messages(swept_shop: Shop) -> None:
    holdout = '[holdout]\nshare = 0.5\nname = "2026"\n'
    receipt = ONE.replace("triggers.basket", "triggers.receipt")
    receipt = receipt.replace("cart_updated", "paid") + "transactional = true\n"
    swept_shop.declare(holdout + BASKET + receipt)
    people = [swept_shop.person() for _ in range(12)]
    for one in people:
        swept_shop.fill(one, NOON)
    told = {one: {kind for kind, _ in rehearse(swept_shop, one, NOON)} for one in people}
    live(swept_shop, NOON, 120)
    assert replayed(swept_shop, NOON, NOON + 2 * HOUR) == sent(swept_shop)
    got = {one.person for one in swept_shop.sent}
    assert 0 < len(got) < 12
    for one in people:
        assert told[one] == ({"deliver"} if one in got else {"skip"})
        # Both steps are there: the second counts from the beginning where none was shown.
        assert rows(swept_shop, one) == (
            [("accepted", None, 0.5)] * 2 if one in got else [("skipped", "holdout", 0.5)] * 2
        )
    out = next(one for one in people if one not in got)
    swept_shop.event(out, "paid", NOON + 3 * HOUR)
    live(swept_shop, NOON + 3 * HOUR)
    assert rows(swept_shop, out)[-1] == ("accepted", None, None)
    assert any("control group" in why for _, why in swept_shop.why(out))


def test_who_shows_nothing_gets_no_more_reminders_but_receipts(swept_shop: Shop) -> None:
    sunset = "[sunset]\nafter = 3\nmonthly = 0\n"
    swept_shop.declare(sunset + ONE)
    ann = swept_shop.person()
    for day in range(7):
        swept_shop.fill(ann, NOON + day * DAY)
        live(swept_shop, NOON + day * DAY, show=day == 0)
        swept_shop.event(ann, "purchase", NOON + day * DAY + HOUR)
        swept_shop.sweep(NOON + day * DAY + HOUR)
    found = rows(swept_shop, ann)
    assert [status for status, _, _ in found] == ["accepted"] * 4 + ["skipped"] * 3
    assert found[-1][1] == "sunset"
    after = NOON + 7 * DAY
    assert rehearse(swept_shop, ann, after) == [("skip", after + 3 * MINUTE)]
    assert replayed(swept_shop, NOON + 4 * DAY, after) == []


def test_receipts_don_t_count_in_the_cap(swept_shop: Shop) -> None:
    cap = "[frequency]\nmessages = 1\n"
    receipt = ONE.replace("triggers.basket", "triggers.receipt")
    receipt = receipt.replace("cart_updated", "paid") + "transactional = true\n"
    swept_shop.declare(cap + ONE + receipt)
    ann = swept_shop.person()
    swept_shop.event(ann, "paid", NOON)
    live(swept_shop, NOON)
    swept_shop.fill(ann, NOON + HOUR)
    live(swept_shop, NOON + HOUR)
    assert [one.campaign for one in swept_shop.sent] == ["receipt/1", "basket/1"]


def test_check_tells_how_many_people_get_no_marketing(swept_shop: Shop) -> None:
    swept_shop.declare('[holdout]\nshare = 0.05\nname = "2026"\n[sunset]\n' + ONE)
    for _ in range(30):
        swept_shop.person()
    notes = list(check_contact_policy.find_notes(swept_shop.config, swept_shop.store, NOON))
    assert [area for area, _, _ in notes] == ["holdout", "sunset"]
    assert "of 30 active subscribers (0.05)" in notes[0][1]
    assert "0.1 to 0.2 is advised" in notes[0][2]
    assert notes[1][1].startswith("0 subscribers get nothing now")

"""Rates of hours that were drawn by lots."""

import numpy as np
import pytest

from pushctl.rules.figures.send_times import random_hours


def test_a_slot_of_one_campaign_is_the_weighted_mean_of_its_sends() -> None:
    """The arms of methods-figures.md, section 6, as slots: 9/13 and 94/183."""
    slot = np.array([0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1])
    chance = np.array([0.5, 0.5, 0.5, 0.5, 0.7, 0.3, 0.7, 0.7, 0.9, 0.9, 0.1, 0.9])
    clicked = np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0], bool)
    people = np.arange(1, 13)
    found = random_hours.measure_slots(3, slot, np.zeros(12, int), people, clicked, chance)
    assert found[0].rate.value == pytest.approx(9 / 13)
    assert found[1].rate.value == pytest.approx(94 / 183)
    assert (found[0].sends, found[0].people, found[0].campaigns) == (4, 4, 1)
    assert found[2] == random_hours.NOTHING


def test_a_good_text_makes_no_hour_better() -> None:
    """Two campaigns: the good one usually goes out in slot 0, the bad one in slot 1."""
    draw = np.random.default_rng(5)
    people = 120_000
    campaign = draw.integers(0, 2, people)
    other = draw.random(people) < 0.1
    slot = np.where(other, 1 - campaign, campaign)
    chance = np.where(other, 0.1, 0.9)
    rate = np.where(campaign == 0, 0.12, 0.04) * np.where(slot == 1, 1.2, 1.0)
    clicked = draw.random(people) < rate
    person = np.arange(1, people + 1)
    found = random_hours.measure_slots(2, slot, campaign, person, clicked, chance)
    ratio = (found[1].rate.value or 0) / (found[0].rate.value or 1)
    assert 1.1 < ratio < 1.3
    seen = random_hours.measure_seen(2, slot, campaign, person, clicked)
    assert (seen[1].rate.value or 0) < (seen[0].rate.value or 0) / 1.5  # what it seems to be


def test_the_unit_is_the_person() -> None:
    slot, campaign = np.zeros(400, int), np.zeros(400, int)
    clicked = np.array([True] * 40 + [False] * 360)
    chance = np.full(400, 0.5)
    alone = random_hours.measure_slots(1, slot, campaign, np.arange(400), clicked, chance)[0]
    tens = np.repeat(np.arange(40), 10)
    shared = random_hours.measure_slots(1, slot, campaign, tens, clicked, chance)[0]
    assert shared.people == 40
    assert shared.rate.value == pytest.approx(alone.rate.value)
    assert shared.count.sends < alone.count.sends / 5
    seen = random_hours.measure_seen(1, slot, campaign, tens, clicked)[0]
    assert seen.rate.high - seen.rate.low > 2 * (alone.rate.high - alone.rate.low)


def test_where_nothing_was_drawn_a_campaign_is_one_observation() -> None:
    campaign = np.repeat(np.arange(10), 1_000)
    clicked = np.concatenate([np.arange(1_000) < 40 + 8 * one for one in range(10)])
    slot = campaign % 2
    found = random_hours.measure_by_campaign(3, slot, campaign, clicked)
    assert found[0].sends < 1_500  # of 5,000
    assert found[0].clicks / found[0].sends == pytest.approx(clicked[slot == 0].mean())
    assert found[2].sends == 0
    one = random_hours.measure_by_campaign(
        1, np.zeros(1_000, int), campaign[:1_000], clicked[:1_000]
    )
    assert one[0].sends == 0  # of one campaign


def test_nothing_comes_of_nothing() -> None:
    none = np.zeros(0, int)
    found = random_hours.measure_slots(
        2, none, none, none, none.astype(bool), none.astype(float)
    )
    assert found == [random_hours.NOTHING] * 2


@pytest.mark.parametrize("happened", [False, True])
def test_that_nobody_of_a_few_clicked_or_everybody_says_little_of_the_next(
    happened: bool,
) -> None:
    """17 people: Wilson's 0 to 18.4 %, and 81.6 to 100 %; twice each, they are still 17."""
    bounds = pytest.approx((0.8157, 1.0) if happened else (0.0, 0.1843), abs=0.0005)
    slot, person = np.zeros(34, int), np.repeat(np.arange(17), 2)
    seen = random_hours.measure_seen(1, slot, slot, person, np.full(34, happened))[0]
    assert (seen.rate.low, seen.rate.high) == bounds


def test_that_nobody_of_a_few_clicked_at_a_drawn_hour_says_little_of_the_next() -> None:
    """17 people of slot 0, once and twice each; 400 of the same campaign clicked at slot 1."""
    for times in (1, 2):
        few = 17 * times
        slot = np.array([0] * few + [1] * 4_000)
        person = np.concatenate([np.repeat(np.arange(17), times), np.arange(17, 4_017)])
        clicked = np.array([False] * few + [True] * 400 + [False] * 3_600)
        campaign, chance = np.zeros(len(slot), int), np.full(len(slot), 0.5)
        none = random_hours.measure_slots(2, slot, campaign, person, clicked, chance)[0].rate
        assert none.value == 0
        assert (none.low, none.high) == pytest.approx((0.0, 0.1843), abs=0.0005)

"""A pause and "fewer": who asked for it gets nothing, or one message a week."""

from pathlib import Path

import pytest

from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.broadcast import plan
from pushctl.jobs.campaigns.draft import Draft
from pushctl.rules.units import WEEK
from pushctl.rules.web import reserved_tags
from pushctl.rules.web.reserved_tags import (
    ENOUGH,
    FEWER,
    FEWER_WITHIN,
    PAUSE,
    PAUSED,
    PREFERENCES,
)
from tests.support import DAY, HOUR, NOON, sending
from tests.support.rows import deliveries
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(3)
    return made


def receivers(field: Field, now: int = NOON, limit: int | None = None) -> list[int]:
    wish = Draft(everyone=True, template="sale", limit=limit)
    return list(plan(field.store, field.config, wish, now).receivers)


def send_to(field: Field, person: int, at: int) -> None:
    campaign = field.freeze(at, to=[_name(field, person)])
    sql = "UPDATE deliveries SET status = 'accepted' WHERE campaign_id = :id"
    with field.store.write() as connection:
        connection.execute(sql, {"id": campaign.id})


def refusal(field: Field, person: int, now: int) -> str:
    held = {name for _, name in field.store.tags.list_held([person], PREFERENCES, now)}
    sent = field.store.histories.list_messages([person], now - FEWER_WITHIN)
    return reserved_tags.refusal(held, [message.at for message in sent], now)


def _name(field: Field, person: int) -> str:
    return next(iter(field.store.subscriptions.get_many([person], NOON))).public_id


def test_a_broadcast_leaves_out_who_paused_until_the_pause_is_over(field: Field) -> None:
    first, second, third = receivers(field)
    field.store.tags.add([second], PAUSED, NOON, NOON + WEEK)
    assert receivers(field) == [first, third]
    assert receivers(field, limit=2) == [first, third]
    assert receivers(field, NOON + WEEK) == [first, second, third]


def test_fewer_is_one_message_a_week(field: Field) -> None:
    first, *others = receivers(field)
    field.store.tags.add([first], FEWER, NOON)
    assert receivers(field) == [first, *others]
    send_to(field, first, NOON)
    assert receivers(field, NOON + 6 * DAY) == others
    assert refusal(field, first, NOON + 6 * DAY) == ENOUGH
    assert receivers(field, NOON + 8 * DAY) == [first, *others]
    assert refusal(field, first, NOON + 8 * DAY) == ""


def test_a_pause_takes_people_out_of_what_is_planned_for_its_time(field: Field) -> None:
    first, second, _ = receivers(field)
    wish = Draft(everyone=True, template="sale", over="10d")
    campaign = broadcast.freeze(field.store, plan(field.store, field.config, wish, NOON), NOON)
    skipped = field.store.schedules.withhold(first, NOON + DAY, PAUSE, NOON + HOUR)
    field.store.schedules.withhold(second, NOON, PAUSE, NOON)
    assert skipped == 1
    assert deliveries(field.store, campaign.id) == {"planned": 2, "skipped": 1}
    assert ("skipped", PAUSE, 1) in field.store.deliveries.count_reasons(campaign.id)

"""Campaigns for later: on the site's clock, and on each person's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.errors import InputError, UsageError
from pushctl.jobs import sweep
from pushctl.model import CampaignStatus
from pushctl.rules import timing
from pushctl.rules.schedule import Passed, due, wall
from tests.support import DAY, HOUR, NOON, sending
from tests.support.sending import Field

BERLIN, KATHMANDU = timing.zone("Europe/Berlin"), timing.zone("Asia/Kathmandu")


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with PushService(checks=False) as service:
        made = sending.field(tmp_path, service)
        yield made
        made.store.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:00", "2026-04-28 18:00"),
        ("today 18:00", "2026-04-28 18:00"),
        ("tomorrow 09:00", "2026-04-29 09:00"),
        ("Friday 18:00", "2026-05-01 18:00"),
        ("2026-12-24 18:00", "2026-12-24 18:00"),
    ],
)
def test_times_as_people_say_them(text: str, expected: str) -> None:
    assert f"{wall(text, NOON, BERLIN):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize("text", ["soon", "tomorrow noonish", "25:00", "18:00 UTC"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        wall(text, NOON, BERLIN)


def test_where_the_time_has_passed() -> None:
    noon_there = wall("12:00", NOON, BERLIN)  # in Kathmandu it is 13:45
    assert due(noon_there, BERLIN, NOON) == NOON + 2 * HOUR
    assert due(noon_there, KATHMANDU, NOON, Passed.NOW) == NOON
    assert due(noon_there, KATHMANDU, NOON, Passed.SKIP) is None
    tomorrow = due(noon_there, KATHMANDU, NOON, Passed.TOMORROW)
    assert tomorrow == NOON + DAY - 105 * timing.MINUTE


def test_a_scheduled_campaign_goes_out_with_the_sweep_of_its_time(field: Field) -> None:
    people = field.people(3)
    campaign = field.freeze(at="18:00")
    assert campaign.status is CampaignStatus.SCHEDULED
    rehearsal = sweep.Options(rehearsal=True)
    sweep.run(field.config, field.store, NOON + HOUR, rehearsal)
    assert field.counts(campaign) == {"planned": 3}
    evening = timing.moment("2026-04-28T18:00:00+00:00")  # the site is in UTC
    sweep.run(field.config, field.store, evening, rehearsal)
    assert field.counts(campaign) == {"accepted": len(people)}


def test_on_each_persons_own_clock(field: Field) -> None:
    here, there = field.people(2)
    field.store.subscriptions.refresh(here, {"timezone": "Europe/Berlin"}, NOON)
    field.store.subscriptions.refresh(there, {"timezone": "Asia/Kathmandu"}, NOON)
    campaign = field.freeze(at="12:00", local=True, passed=Passed.SKIP)
    rows = field.store.connection.execute(
        "SELECT subscription_id, next_attempt_at FROM deliveries WHERE campaign_id = ?",
        (campaign.id,),
    )
    assert rows.fetchall() == [(here, NOON + 2 * HOUR)]


def test_a_scheduled_campaign_can_be_cancelled(field: Field) -> None:
    field.people(1)
    campaign = field.freeze(at="18:00")
    field.store.campaigns.change(campaign.id, CampaignStatus.CANCELLED, NOON)
    evening = timing.moment("2026-04-28T19:00:00+00:00")
    sweep.run(field.config, field.store, evening, sweep.Options(rehearsal=True))
    assert "accepted" not in field.counts(campaign)


@pytest.mark.parametrize(
    "wish", [{"at": "07:00"}, {"local": True}, {"at": "18:00", "over": "1h"}]
)
def test_what_cannot_be_meant(field: Field, wish: dict[str, object]) -> None:
    field.people(1)
    with pytest.raises(UsageError):
        field.freeze(**wish)


def test_a_text_by_hand_needs_no_template(field: Field) -> None:
    (ann,) = field.people(1)
    name = field.store.subscriptions.get(str(ann)).public_id
    report = field.send(
        sending.soon(), everyone=False, template=None, to=[name], message='Your "sofa" is here'
    )
    assert field.counts(report.campaign) == {"accepted": 1}
    assert '"Your \\"sofa\\" is here"' in report.campaign.sources["en.toml"]

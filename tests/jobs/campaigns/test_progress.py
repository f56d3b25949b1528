"""How far a campaign is, while it is being sent."""

from datetime import UTC
from pathlib import Path

import pytest

from pushctl.commands import campaigns_watch
from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import manage, progress
from pushctl.model import CampaignStatus
from pushctl.store import progress as rows
from tests.support import HOUR, MINUTE, SECOND, sending
from tests.support.sending import FCM, MOZILLA, soon


@pytest.fixture
def field(tmp_path: Path):  # type: ignore[no-untyped-def]
    service = PushService(tmp_path / "service", checks=False).start()
    made = sending.field(tmp_path / "project", service)
    yield made
    made.store.close()
    service.stop()


def set_state(field: sending.Field, states: dict[str, int], at: int) -> None:
    """Give the first rows these states, one after another, as answered *at*."""
    first = 0
    sql = "UPDATE deliveries SET status = ?, changed_at = ?, sent_at = ? WHERE id = ?"
    ids = [row[0] for row in field.store.connection.execute("SELECT id FROM deliveries")]
    with field.store.write() as connection:
        for state, count in states.items():
            for number in ids[first : first + count]:
                connection.execute(sql, (state, at, at, number))
            first += count


def test_rates_and_time_left_are_of_the_last_half_minute(field: sending.Field) -> None:
    field.people(60, FCM)
    field.people(40, MOZILLA, first=60)
    now = soon()
    campaign = field.freeze(now)
    set_state(field, {"accepted": 30, "gone": 2}, now - 10 * SECOND)
    found = progress.measure(field.store, campaign.name, now)
    assert (found.planned, found.accepted, found.failed, found.waiting) == (100, 30, 2, 68)
    assert found.per_second == pytest.approx(3.0)
    assert found.seconds_left == pytest.approx(68 / 3.0)
    assert [(it.host, it.refused) for it in found.services] == [(FCM, 2)]
    assert "about 23s left" in progress.say_left(found, now, UTC)
    # Half a minute later nothing is known of the rate any more: that is not zero.
    later = progress.measure(field.store, campaign.name, now + MINUTE)
    assert later.per_second is None and later.seconds_left is None
    assert "nothing was accepted" in progress.say_left(later, now + MINUTE, UTC)


def test_a_full_sample_does_not_make_the_rate_smaller(
    field: sending.Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SAMPLE", 10)
    field.people(100, FCM)
    now = soon()
    campaign = field.freeze(now)
    ids = [row[0] for row in field.store.connection.execute("SELECT id FROM deliveries")]
    with field.store.write() as connection:
        for place, number in enumerate(ids[:80]):
            at = now - (80 - place) * 100  # ten a second
            connection.execute(
                "UPDATE deliveries SET status = 'accepted', sent_at = ? WHERE id = ?",
                (at, number),
            )
    found = progress.measure(field.store, campaign.name, now)
    assert found.per_second == pytest.approx(10, rel=0.15)


def test_what_waits_for_its_turn_in_a_rate_counts_for_the_time_left(
    field: sending.Field,
) -> None:
    field.people(100, FCM)
    now = soon()
    campaign = field.freeze(now)
    ids = [row for (row,) in field.store.connection.execute("SELECT id FROM deliveries")]
    with field.store.write() as connection:
        for place, number in enumerate(ids[:40]):
            connection.execute(
                "UPDATE deliveries SET status = 'accepted', sent_at = ? WHERE id = ?",
                (now - (40 - place) * 100, number),
            )
        # As a run leaves them whose rate is used up: each at its own moment.
        connection.execute(
            "UPDATE deliveries SET cause = 'rate_limit', next_attempt_at = ? + 100 * id"
            " WHERE status = 'planned'",
            (now,),
        )
    found = progress.measure(field.store, campaign.name, now)
    assert found.seconds_left == pytest.approx(6, rel=0.15) and found.next_at is None
    assert progress.say_left(found, now, UTC) in ("about 6s left", "about 7s left")


def test_messages_for_a_later_hour_do_not_count_for_the_time_left(
    field: sending.Field,
) -> None:
    field.people(10, FCM)
    now = soon()
    campaign = field.freeze(now)
    with field.store.write() as connection:
        connection.execute("UPDATE deliveries SET next_attempt_at = ?", (now + 2 * HOUR,))
    found = progress.measure(field.store, campaign.name, now)
    assert (found.seconds_left, found.next_at) == (None, now + 2 * HOUR)
    assert "the next is due at" in progress.say_left(found, now, UTC)


def test_a_paused_campaign_says_why(field: sending.Field) -> None:
    field.people(3, FCM)
    now = soon()
    campaign = field.freeze(now)
    assert [it.name for it in progress.list_under_way(field.store)] == [campaign.name]
    manage.pause(field.store, campaign.name, now)
    found = progress.measure(field.store, campaign.name, now)
    assert found.campaign.status is CampaignStatus.PAUSED
    assert progress.say_left(found, now, UTC) == "paused: paused by hand"


def test_the_first_line_says_all_of_it(field: sending.Field) -> None:
    field.people(4, FCM)
    now = soon()
    campaign = field.freeze(now)
    set_state(field, {"accepted": 1}, now - SECOND)
    found = progress.measure(field.store, campaign.name, now)
    first, *others = campaigns_watch.list_lines(found, "about 3s left")
    assert first[0] == f"{campaign.name}: 1 of 4 (25.0\u202f%), 1.0 a second, about 3s left"
    assert any(FCM in text for text, _ in others)
    assert all(len(text) <= 80 for text, _ in others)

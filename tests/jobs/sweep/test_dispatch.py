"""What a sweep sends when something is in the way: a signal, the night, a paused step."""

import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import manage
from pushctl.jobs.sweep import sweep
from pushctl.jobs.sweep.dispatch import Dispatch
from pushctl.jobs.triggers import feeds, load_facts
from pushctl.jobs.triggers.types import Run
from pushctl.model import CampaignStatus
from pushctl.store import Store
from pushctl.store.ledger_rows import ReleasedRow
from tests.jobs.sweep.test_sweep_processes import fill, start, swept
from tests.support import DAY, HOUR, MINUTE, NOON, project, sending
from tests.support.rows import deliveries
from tests.support.sending import Field
from tests.support.shop import BASKET, Shop, decide_all

NIGHT = BASKET + 'quiet = "21:00-08:00"\n'
EVENING = NOON + 10 * HOUR + 55 * MINUTE  # 20:55 in Berlin


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    patient = NIGHT.replace('ttl = "30m", max_late = "15m"', 'max_late = "20h"')
    return Shop(tmp_path, store, patient)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with PushService(checks=False) as service:
        made = sending.field(tmp_path, service)
        sending.template(tmp_path, "one", title="one", body="Hello")
        sending.template(tmp_path, "two", title="two", body="Hello")
        project.add(tmp_path, BASKET)
        sending.lead_to(tmp_path, service)
        yield made
        made.store.close()


def hold(shop: Shop, at: int) -> None:
    """Do what a sweep does before it sends."""
    run = Run(shop.store, load_facts.load_settings(shop.config, shop.store), at)
    sender = Dispatch(run, shop.config, 0.0, math.inf)
    for number in shop.store.deliveries.list_due_campaigns(at):
        trigger = shop.store.triggers.get_trigger(number)
        sender.postpone_in_quiet_hours(number, shop.config.triggers.get(trigger or ""))


def test_a_second_try_does_not_go_out_at_night(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, EVENING)
    decide_all(shop.config, shop.store, EVENING + 3 * MINUTE)
    (campaign,) = shop.store.deliveries.list_due_campaigns(EVENING + 3 * MINUTE)
    (row,) = shop.claim(campaign, EVENING + 3 * MINUTE)
    again = EVENING + 6 * MINUTE  # 21:01
    shop.store.deliveries.release(
        [ReleasedRow(row.id, again, "HTTP 503")], EVENING + 3 * MINUTE
    )

    hold(shop, again)
    assert shop.store.deliveries.list_due_campaigns(again) == []
    morning = NOON + 22 * HOUR  # 08:00
    assert shop.store.schedules.count_due(campaign, morning - 1) == 0
    assert shop.store.schedules.count_due(campaign, morning) == 1
    kind, reason = shop.why(ann)[-1]
    assert (kind, reason) == ("hold", "quiet hours 21:00-08:00")


def test_what_a_dead_sweep_planned_does_not_go_out_at_night(shop: Shop) -> None:
    berlin, new_york = shop.person(), shop.person("America/New_York")
    for person in (berlin, new_york):
        shop.fill(person, EVENING)
    decide_all(shop.config, shop.store, EVENING + 3 * MINUTE)
    hold(shop, EVENING + 2 * HOUR)
    shop.post(EVENING + 2 * HOUR)
    assert {one.person for one in shop.sent} == {new_york}


def test_a_signal_leaves_reminders_to_the_next_sweep(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, systemctl stop, a reboot: nobody is there to say `campaigns resume`."""
    from pushctl.jobs.delivery import run as engine

    people, now = field.people(40), sending.soon()
    fill(field.store, people, now - 4 * MINUTE)
    from pushctl import config as configs

    config = configs.load(field.config.folder / "pushctl.toml", {})
    decide_all(config, field.store, now)
    real = engine.Sending._submit

    def submit(self: engine.Sending, at: int) -> None:
        self._stop.ask()  # as the handler of the signal does
        real(self, at)

    with monkeypatch.context() as patched:
        patched.setattr(engine.Ledger, "claim", lambda *_: [])
        patched.setattr(engine.Sending, "_submit", submit)
        summary = sweep.run(config, field.store, now)
    assert summary.exit_code == 0
    assert "stopped by a signal" in summary.remarks[0]
    campaign = field.store.campaigns.get("basket/1")
    assert campaign.status is CampaignStatus.RUNNING
    sweep.run(config, field.store, now + MINUTE)
    assert field.counts(campaign) == {"accepted": 40}


def test_a_sweep_keeps_to_a_rate_for_as_long_as_it_may(field: Field) -> None:
    """Scheduled campaigns are sent by sweeps alone: two seconds' worth each would take days."""
    from pushctl import config as configs

    field.people(100)
    campaign = field.freeze(sending.soon(), rate="20/s")
    config = configs.load(field.config.folder / "pushctl.toml", {})
    began = time.monotonic()
    sweep.run(config, field.store, sending.soon())
    assert field.counts(campaign) == {"accepted": 100}
    assert time.monotonic() - began > 3


def test_a_terminated_sweep_ends_in_good_order(field: Field) -> None:
    folder = field.config.folder
    assert swept(folder)[0] == 0
    field.people(300, first=1000)
    campaign = field.freeze(sending.soon(), rate="20/s")
    fill(field.store, field.people(20, first=5000), sending.soon() - 4 * MINUTE)
    process = start(folder)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        counts = deliveries(field.store, campaign.id)
        if counts.get("accepted", 0):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert "stopped by a signal" in error
    assert 0 < field.counts(campaign)["accepted"] < 300
    paused = field.store.connection.execute(
        "SELECT count(*) FROM campaigns WHERE status = 'paused'"
    ).fetchone()
    assert paused == (0,)


def test_a_paused_step_is_told_whenever_it_has_a_message(shop: Shop) -> None:
    ann, bob = shop.person(), shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    number = shop.store.campaigns.get("basket/1").id
    why = "a quarter of the last answers were errors"
    shop.store.campaigns.change_status(number, CampaignStatus.PAUSED, NOON, why)
    assert shop.sweep(NOON + HOUR).notes == []
    shop.fill(bob, NOON + 2 * HOUR)
    summary = shop.sweep(NOON + 2 * HOUR + 3 * MINUTE)
    assert summary.notes == [
        f"basket/1 is paused ({why}), its messages wait. Once that is put right: "
        "pushctl campaigns resume 'basket/1'"
    ]
    assert summary.exit_code == 5


def test_a_step_that_somebody_paused_is_their_affair(shop: Shop) -> None:
    ann, bob = shop.person(), shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    manage.pause(shop.store, "basket/1", NOON)
    shop.fill(bob, NOON + DAY)
    assert shop.sweep(NOON + DAY + 3 * MINUTE).notes == []
    assert shop.store.triggers.list_held_steps() == {"basket": ["basket/1 paused"]}


def test_reminders_go_out_before_an_article_is_even_looked_for(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand readers take minutes; a basket's three minutes are over by then."""
    from pushctl import config as configs

    project.add(
        field.config.folder,
        """[triggers.news]
feed  = "https://shop.example/feed.xml"
steps = [{ template = "two" }]
""",
    )
    config = configs.load(field.config.folder / "pushctl.toml", {})
    people, now = field.people(3), sending.soon()
    sent: list[dict[str, int]] = []

    def fetch(url: str) -> bytes:
        campaign = field.store.campaigns.get("basket/1")
        sent.append(deliveries(field.store, campaign.id))
        return b'<feed xmlns="http://www.w3.org/2005/Atom"></feed>'

    monkeypatch.setattr(feeds, "fetch", fetch)
    fill(field.store, people, now - 4 * MINUTE)
    sweep.run(config, field.store, now)
    assert sent == [{"accepted": 3}]


def test_a_night_s_backlog_of_events_leaves_room_for_reminders(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_EVENTS", 0.0)
    ann = shop.person()
    shop.fill(ann, NOON)
    for second in range(1200):
        shop.event(ann, "page_view", NOON + second)
    summary = shop.sweep(NOON + MINUTE)
    assert summary.counts["events"] == 500
    assert shop.sweep(NOON + 2 * MINUTE).counts["events"] == 500
    summary = shop.sweep(NOON + 3 * MINUTE)
    assert summary.counts["events"] == 201
    assert [name for name, _ in shop.got(ann)] == ["basket/1"]


def test_a_file_saved_while_a_sweep_begins_is_noticed_by_the_next(shop: Shop) -> None:
    ann = shop.person()
    shop.fill(ann, NOON)
    shop.sweep(NOON)
    old = shop.config
    shop.declare("")
    read, shop.config = shop.config, old  # the sweep has read what stood there before
    shop.sweep(NOON + MINUTE)
    shop.config = read
    shop.sweep(NOON + 3 * MINUTE)
    assert shop.sent == []
    assert shop.why(ann)[-1] == ("cancel", "the trigger was taken out of pushctl.toml")


def test_a_campaign_of_next_week_is_no_message_of_today(shop: Shop) -> None:
    shop.declare('[frequency]\nmessages = 1\nwithin = "12h"\n' + BASKET)
    ann = shop.person()
    campaign = shop.store.campaigns.create(
        name="sale", template="three", audience="everyone", sources={}, options={},
        now=NOON, expires_at=None, status=CampaignStatus.SCHEDULED,
    )  # fmt: skip
    shop.store.schedules.plan(
        campaign.id, [(ann, NOON + 7 * DAY)], now=NOON, expires_after=HOUR
    )
    shop.fill(ann, NOON)
    shop.sweep(NOON + 3 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["basket/1"]

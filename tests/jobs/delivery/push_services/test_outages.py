"""
What never left this machine is tried for as long as it is of use.

The outages are real: a push service that is stopped and started again, a port that takes
connections and says nothing, a name that no resolver knows, one that leads nowhere safe.
"""

import contextlib
import io
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pycurl
import pytest

from pushctl import output
from pushctl.commands import send_results
from pushctl.commands.context import Context
from pushctl.demo.pushservice import PushService
from pushctl.errors import DeliveryError
from pushctl.jobs.campaigns import manage
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.push_services.throttle import SCOUTS
from pushctl.model import Campaign, CampaignStatus, Millis
from pushctl.push import chunk, request
from pushctl.rules.delivery import stop_thresholds
from tests.support import DAY, HOUR, MINUTE, SECOND, sending
from tests.support.sending import APPLE, FCM, MOZILLA, Field, soon

SWEEP = deliver.Options(patience=0.0, unattended=True)
BY_HAND = deliver.Options(patience=0.0)
MADE_UP = "wns2-nowhere.notify.windows.com"


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    chunk.close_sender()


class Line:
    """A push service that can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.service = PushService(folder, checks=False).start()

    def cut(self) -> None:
        self.service.stop()
        chunk.close_sender()

    def mend(self) -> None:
        self.service = PushService(self._folder, ports=self.service.ports, checks=False).start()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path / "service")
    yield made
    made.service.stop()


@pytest.fixture
def field(tmp_path: Path, line: Line) -> Iterator[Field]:
    made = sending.field(tmp_path / "project", line.service)
    yield made
    made.store.close()


def sweep(field: Field, campaign: Campaign, now: Millis) -> deliver.Report:
    return deliver.run(field.store, field.config, campaign, now, SWEEP)


def rows(field: Field) -> list[tuple[str, str | None, int, Millis | None]]:
    """Return status, reason, tries and next time of each message."""
    sql = "SELECT status, reason, attempts, next_attempt_at FROM deliveries ORDER BY id"
    return [tuple(row) for row in field.store.connection.execute(sql)]


def lead(field: Field, **hosts: str) -> None:
    """Lead single hosts to other places than the running service."""
    loopback = field.config.push.loopback
    led = replace(loopback, hosts={**loopback.hosts, **hosts})
    field.config = replace(field.config, push=replace(field.config.push, loopback=led))


def lead_out(field: Field, *names: str) -> None:
    """Leave *names* to the resolver, as all names are but for [push.loopback]."""
    loopback = field.config.push.loopback
    hosts = {name: to for name, to in loopback.hosts.items() if name not in names}
    led = replace(loopback, hosts=hosts)
    field.config = replace(field.config, push=replace(field.config.push, loopback=led))


def readdress(field: Field, endpoint: str, subscription: int) -> None:
    with field.store.write() as connection:
        sql = "UPDATE subscriptions SET endpoint = ? WHERE id = ?"
        connection.execute(sql, (endpoint, subscription))


def test_three_hours_without_a_network_cost_nobody_a_message(field: Field, line: Line) -> None:
    field.people(1)
    line.cut()
    now = began = soon()
    campaign = field.freeze(now)
    pauses = []
    while now < began + 3 * HOUR:
        report = sweep(field, campaign, now)
        assert report.campaign.status is CampaignStatus.RUNNING
        assert not report.sent["rejected"]
        due = report.next_due or 0
        pauses.append(due - now)
        now = due
    ((state, why, tries, _),) = rows(field)
    assert (state, why, tries) == ("planned", "no network: no connection", 0)
    # Each pause is as long as the outage was so far, two seconds to five minutes.
    assert 2 * SECOND <= pauses[0] <= 3 * SECOND
    assert 2 * SECOND <= pauses[1] <= 7 * SECOND
    assert 5 * MINUTE <= max(pauses) <= 5 * MINUTE + 31 * SECOND
    assert 30 <= len(pauses) <= 60
    line.mend()
    report = sweep(field, campaign, now + 6 * MINUTE)
    assert field.counts(campaign) == {"accepted": 1}
    assert report.campaign.status is CampaignStatus.FINISHED
    (origin,) = field.store.origins.list_all()
    assert origin.unreached_since is None


def test_a_message_expires_in_an_outage_that_outlasts_it(field: Field, line: Line) -> None:
    field.people(1)
    line.cut()
    now = soon()
    campaign = field.freeze(now, ttl="10m")
    sweep(field, campaign, now)
    assert sweep(field, campaign, now + 11 * MINUTE).sent == {}
    ((state, why, _, _),) = rows(field)
    assert (state, why) == ("expired", "its time was over")


def test_an_outage_of_all_pauses_no_campaign(field: Field, line: Line) -> None:
    """Nothing of it counts among the errors that stop one."""
    count = stop_thresholds.ERROR_WINDOW
    field.people(count)
    line.cut()
    now = soon()
    campaign = field.freeze(now)
    for minute in range(30):
        report = sweep(field, campaign, now + minute * MINUTE)
        assert report.campaign.status is CampaignStatus.RUNNING
        assert report.refused is None
        assert report.notes == []
    assert field.counts(campaign) == {"planned": count}
    # Each look concerns a few, not all who wait.
    soonest = now + 29 * MINUTE + 6 * MINUTE
    assert 1 <= sum((at or 0) < soonest for *_, at in rows(field)) <= SCOUTS + 1
    line.mend()
    # On a busy machine some of a thousand dials come too late for the first sweep.
    for minute in range(40, 60, 6):
        sweep(field, campaign, now + minute * MINUTE)
    assert field.counts(campaign) == {"accepted": count}


def test_an_outage_that_another_run_saw_end_holds_nobody_for_an_hour(
    field: Field, line: Line
) -> None:
    """Those put off by an hour go out once any of them does, whoever met the end of it."""
    field.people(200)
    line.cut()
    now = soon()
    first, second = field.freeze(now, name="first"), field.freeze(now, name="second")
    for minute in range(0, 12, 2):
        sweep(field, first, now + minute * MINUTE)
        sweep(field, second, now + minute * MINUTE)
    line.mend()
    sweep(field, first, now + 18 * MINUTE)
    assert field.counts(first) == {"accepted": 200}
    sweep(field, second, now + 18 * MINUTE)
    assert field.counts(second) == {"accepted": 200}


def test_an_outage_nobody_looked_at_for_long_holds_nobody_for_an_hour(
    field: Field, line: Line
) -> None:
    field.people(200)
    line.cut()
    now = soon()
    campaign = field.freeze(now)
    sweep(field, campaign, now)
    line.mend()
    # Longer than a run remembers an outage, sooner than the hour is over.
    sweep(field, campaign, now + 30 * MINUTE)
    assert field.counts(campaign) == {"accepted": 200}


def test_an_outage_of_one_service_holds_no_other(field: Field) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes dials, and no more
        lead(field, **{FCM: f"127.0.0.1:{silent.getsockname()[1]}"})
        # Long enough for the answers of the others, on a busy machine too.
        field.config = replace(field.config, push=replace(field.config.push, timeout=1.5))
        for host, first in ((FCM, 0), (MOZILLA, 1000), (APPLE, 2000)):
            field.people(200, host, first=first)
        report = field.send(soon(), options=SWEEP)
    assert field.counts(report.campaign) == {"accepted": 400, "planned": 200}
    assert {why for state, why, *_ in rows(field) if state == "planned"} == {
        "no network: timeout"
    }
    assert report.unreached == f"{FCM}: no network: timeout"


def test_an_outage_is_looked_at_once_by_all_campaigns_of_a_sweep(
    field: Field, line: Line
) -> None:
    field.people(50)
    line.cut()
    now = soon()
    first, second = field.freeze(now, name="first"), field.freeze(now, name="second")
    sweep(field, first, now)
    sweep(field, second, now)
    (origin,) = field.store.origins.list_all()
    assert origin.unreached_since == origin.paused_until - 2 * SECOND
    chunk.close_sender()
    report = sweep(field, field.freeze(now, name="third"), now + SECOND)
    assert report.unreached == f"{MOZILLA}: no network: no connection"
    assert chunk._sender is None  # nothing was dialled


def test_whoever_sends_by_hand_does_not_wait_for_the_sweeps(field: Field, line: Line) -> None:
    field.people(3)
    line.cut()
    now = soon()
    campaign = field.freeze(now)
    for seconds in (0, 10, 60, 400):
        sweep(field, campaign, now + seconds * SECOND)
    line.mend()
    now += 410 * SECOND
    assert sweep(field, campaign, now).sent == {}
    report = manage.resume(field.store, field.config, campaign.name, now, BY_HAND)
    assert report.sent == {"accepted": 3}
    (origin,) = field.store.origins.list_all()
    assert (origin.unreached_since, origin.paused_until) == (None, 0)


def test_send_ends_with_5_and_says_that_sweeps_go_on(field: Field, line: Line) -> None:
    field.people(2)
    line.cut()
    report = field.send(soon())
    here = cast(Context, SimpleNamespace(store=field.store, recording=None))
    shown = io.StringIO()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(shown),
        pytest.raises(DeliveryError, match="no network: no connection") as error,
    ):
        send_results.conclude(here, report, output.Format.JSON)
    assert error.value.exit_code == 5
    assert "2 messages could not be sent yet" in str(error.value)
    assert "Sweeps try again" in str(error.value)


def test_a_name_that_nobody_resolves_is_no_reason_to_give_up(field: Field) -> None:
    name = "push.invalid"  # of no resolver, by RFC 6761
    push = replace(field.config.push, allowed_hosts=(name,))
    field.config = replace(field.config, push=push)
    readdress(field, f"https://{name}/1", *field.people(1))
    now = soon()
    campaign = field.freeze(now)
    for minute in range(0, 60, 5):
        sweep(field, campaign, now + minute * MINUTE)
    ((state, why, tries, _),) = rows(field)
    assert (state, why, tries) == ("planned", "no network: no address", 0)


def test_a_made_up_host_is_tried_seldom_and_holds_nobody(field: Field) -> None:
    """Anybody can subscribe with one: below .notify.windows.com every name is allowed."""
    lead_out(field, MADE_UP)
    field.people(5)
    readdress(field, f"https://{MADE_UP}/w/?token=1", *field.people(1, first=100))
    now = soon()
    campaign = field.freeze(now, ttl="28d")
    report = deliver.run(field.store, field.config, campaign, now, SWEEP)
    assert report.sent["accepted"] == 5
    pauses = []
    while (due := report.next_due) and now < soon() + DAY:
        pauses.append(due - now)
        now = due
        report = sweep(field, campaign, now)
    assert [round(it / SECOND, -1) for it in pauses[:4]] == [0, 20, 200, 2000]
    assert max(pauses) <= 6 * HOUR + 2 * SECOND
    assert len(pauses) <= 10
    # No row of its own for each name that a stranger thinks up.
    assert MADE_UP not in {it.origin for it in field.store.origins.list_all()}


def test_in_an_outage_of_all_a_young_host_is_no_suspect(field: Field, line: Line) -> None:
    field.people(5)
    field.people(1, sending.WNS, first=100)
    lead_out(field, sending.WNS)
    line.cut()
    now = soon()
    campaign = field.freeze(now)
    for minute in range(20):
        sweep(field, campaign, now + minute * MINUTE)
    *_, young = rows(field)
    assert young[0] == "planned"
    assert young[2] <= 1


@pytest.mark.parametrize("met", [True, False], ids=["met before", "never met"])
def test_a_portal_that_answers_for_every_name_is_an_outage(
    field: Field, monkeypatch: pytest.MonkeyPatch, met: bool
) -> None:
    field.people(1)
    if met:
        assert field.send(soon(), name="before").sent == {"accepted": 1}
        chunk.close_sender()
    made = request.make_options

    def resolving(*given: object) -> object:
        return [*made(*given), (pycurl.RESOLVE, [f"{MOZILLA}:443:10.0.0.1"])]  # type: ignore[arg-type]

    monkeypatch.setattr(request, "make_options", resolving)
    lead_out(field, MOZILLA)
    report = field.send(soon(), name="after", options=SWEEP)
    assert report.sent == ({"planned": 1} if met else {"rejected": 1})
    why = "no network: address not allowed" if met else "address not allowed"
    assert rows(field)[-1][1] == why

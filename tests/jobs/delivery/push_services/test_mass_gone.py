"""
Many subscriptions called gone at once: from none to all, with a past and without one.

A share of 404 and 410 that was never usual for a push service is a fault until a person
says otherwise, and nobody is deleted for it.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.subscribers import imports
from pushctl.model import CampaignStatus
from pushctl.push import vapid
from pushctl.rules.delivery import stop_thresholds
from pushctl.rules.tokens import encode, endpoint_hash
from pushctl.store import Store
from pushctl.store.events import ARRIVAL, Event
from tests.support import HOUR, NOON, sending
from tests.support.program import pushctl
from tests.support.sending import FCM, MOZILLA, Field, soon

PEOPLE = 800
GONE = {"do": "answer", "status": 410, "path": "/gone-"}


@pytest.fixture(scope="module")
def running() -> Iterator[PushService]:
    """A service that calls gone whoever has it in the path, and takes all others."""
    with PushService(checks=False, script=[GONE]) as service:
        yield service


@pytest.fixture
def field(tmp_path: Path, running: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path, running)
    yield made
    made.store.close()


def leave(field: Field, rows: Sequence[int], percent: int, host: str = MOZILLA) -> int:
    """Have *percent* of *rows*, evenly among them, be gone at their service; count them."""
    gone = [
        row
        for number, row in enumerate(rows)
        if (number + 1) * percent // 100 > number * percent // 100
    ]
    values = []
    for row in gone:
        address = f"https://{host}{sending._PATHS[host]}/gone-{row}"
        values.append((address, endpoint_hash(address), row))
    sql = "UPDATE subscriptions SET endpoint = ?, endpoint_hash = ? WHERE id = ?"
    with field.store.write() as connection:
        connection.executemany(sql, values)
    return len(gone)


def past(field: Field, percent: int, host: str = MOZILLA) -> None:
    """Give *host* a campaign in which *percent* of 1,000 were gone, and believed."""
    rows = field.people(1000, host, first=500_000, tag=f"past {host}")
    leave(field, rows, percent, host)
    wish = {"everyone": False, "tags": (f"past {host}",), "name": f"past {host}"}
    report = field.send(soon(), **wish)
    options = deliver.Options(patience=0.0, accept_mass_gone=True)
    deliver.run(field.store, field.config, report.campaign, soon(), options)
    assert field.counts(report.campaign).get("gone", 0) == 10 * percent


@pytest.fixture(scope="module")
def pasts(
    tmp_path_factory: pytest.TempPathFactory, running: PushService
) -> Mapping[int | None, Path]:
    """Projects by the percentage that was gone in their past: made once, to be copied."""
    folders: dict[int | None, Path] = {}
    for usual in (None, 4, 5):
        folders[usual] = tmp_path_factory.mktemp("past")
        made = sending.field(folders[usual], running)
        if usual is not None:
            past(made, usual)
        made.store.close()
    return folders


@pytest.fixture
def grown(
    tmp_path: Path, running: PushService, pasts: Mapping[int | None, Path], usual: int | None
) -> Iterator[Field]:
    """A field of which, in the past, the test's *usual* percentage was gone."""
    folder = Path(shutil.copytree(pasts[usual], tmp_path / "grown"))
    config = sending.led_to(configs.load(folder / "pushctl.toml", {}), running)
    (key,) = vapid.load(config.keys)
    made = Field(config, Store(config.database), key)
    restore_guard.accept(made.store, config)  # as `pushctl release --moved`: it is a copy
    yield made
    made.store.close()


def gone_among(field: Field, rows: Sequence[int]) -> int:
    sql = "SELECT count(*) FROM subscriptions WHERE state = 'gone' AND id BETWEEN ? AND ?"
    (count,) = field.store.connection.execute(sql, (rows[0], rows[-1])).fetchone()
    return int(count)


@pytest.mark.parametrize("usual", [None, 4, 5])
@pytest.mark.parametrize("percent", [0, 10, 19, 21, 40, 100])
def test_more_than_a_fifth_is_believed_only_where_many_used_to_be_gone(
    grown: Field, usual: int | None, percent: int
) -> None:
    field = grown
    rows = field.people(PEOPLE, tag="now")
    gone = leave(field, rows, percent)
    others = field.people(50, FCM, first=900_000, tag="now")
    report = field.send(soon(), everyone=False, tags=("now",), name="now")
    counts = field.counts(report.campaign)
    believed = percent <= 20 or (usual is not None and usual >= 5)
    assert sum(counts.values()) == PEOPLE + len(others)
    assert (report.refused is None) is believed
    if believed:
        assert gone_among(field, rows) == counts.get("gone", 0) == gone
        assert counts["accepted"] == PEOPLE - gone + len(others)
    else:
        assert gone_among(field, rows) == 0
        if percent >= 40:  # at 21 % only the last answers tell
            assert report.campaign.status is CampaignStatus.PAUSED
            assert counts["planned"] > 0
        # The other service has nothing to do with it.
        accepted = "SELECT count(*) FROM deliveries WHERE subscription_id >= ? AND status = ?"
        found = field.store.connection.execute(accepted, (others[0], "accepted"))
        assert found.fetchone() == (len(others),)


def test_another_services_past_proves_nothing(field: Field) -> None:
    past(field, 12, FCM)
    past(field, 0, MOZILLA)
    rows = field.people(PEOPLE, tag="now")
    leave(field, rows, 40)
    report = field.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is not None
    assert gone_among(field, rows) == 0


def test_a_hundred_are_too_few_to_judge(field: Field) -> None:
    rows = field.people(100)
    leave(field, rows, 100)
    report = field.send(soon())
    assert report.refused is None
    assert field.states() == {"gone": 100}


def test_a_person_decides_and_whoever_registers_again_is_back(
    tmp_path: Path, running: PushService
) -> None:
    field = sending.field(tmp_path)
    sending.lead_to(tmp_path, running)
    rows = field.people(1000, now=soon())
    gone = leave(field, rows, 50)
    run = pushctl(
        "send", "--everyone", "--template", "sale", "--name", "x", "--yes", cwd=tmp_path
    )
    assert run.code == 77, run.err
    assert "campaigns resume 'x' --accept-mass-gone" in run.err
    assert field.states() == {"active": 1000}
    run = pushctl("campaigns", "resume", "x", cwd=tmp_path)
    assert run.code == 77, run.err
    assert field.states() == {"active": 1000}
    run = pushctl("campaigns", "resume", "x", "--accept-mass-gone", cwd=tmp_path)
    assert run.code == 0, run.err
    assert field.states() == {"active": 1000 - gone, "gone": gone}
    campaign = field.store.campaigns.get("x")
    assert field.counts(campaign) == {"accepted": 1000 - gone, "gone": gone}

    register_again(field)
    assert field.states() == {"active": 1000}
    running.play([])
    again = ("send", "--everyone", "--template", "sale", "--name", "y", "--again", "--yes")
    report = pushctl(*again, cwd=tmp_path)
    running.play([GONE])
    assert report.code == 0, report.err
    assert field.counts(field.store.campaigns.get("y")) == {"accepted": 1000}
    field.store.close()


def register_again(field: Field) -> None:
    """Bring everybody who is gone in again, from a file as the shop would."""
    sql = "SELECT endpoint, p256dh, auth FROM subscriptions WHERE state = 'gone'"
    lines = [
        json.dumps(
            {
                "endpoint": endpoint,
                "keys": {"p256dh": encode(point), "auth": encode(secret)},
                "site": "shop",
            }
        )
        for endpoint, point, secret in field.store.connection.execute(sql)
    ]
    file = field.config.folder / "again.jsonl"
    file.write_text("\n".join(lines), "utf-8")
    report = imports.import_file(field.store, field.config, file, soon())
    assert report.refused == 0, report.rejected


def test_who_was_spared_once_is_spared_by_the_next_campaign_too(field: Field) -> None:
    """A fault of yesterday is no proof that many are gone as a rule."""
    rows = field.people(400, tag="now")
    leave(field, rows, 100)
    for name in ("one", "two", "three"):
        report = field.send(soon(), everyone=False, tags=("now",), name=name)
        assert report.refused is not None, name
        assert "are gone" in report.refused
        assert field.states() == {"active": 400}


def test_the_handfuls_of_a_spread_campaign_are_judged_together(field: Field) -> None:
    rows = field.people(600, tag="now")
    leave(field, rows, 100)
    now = soon()
    report = field.send(now, everyone=False, tags=("now",), name="now", over="10h")
    refused = None
    for hour in range(1, 11):
        for each in deliver.run_due(field.store, field.config, now + hour * HOUR):
            refused = refused or each.refused
    assert refused is not None
    assert field.states() == {"active": 600}

    options = deliver.Options(patience=0.0, accept_mass_gone=True)
    deliver.run(field.store, field.config, report.campaign, now + 11 * HOUR, options)
    for late in deliver.run_due(field.store, field.config, now + 12 * HOUR):
        assert late.refused is None, "a person's word holds for what comes after"
    assert field.counts(report.campaign) == {"gone": 600}
    assert field.states() == {"gone": 600}


def test_a_usual_share_in_handfuls_is_believed(field: Field) -> None:
    rows = field.people(1000, tag="now")
    gone = leave(field, rows, 15)
    now = soon()
    field.send(now, everyone=False, tags=("now",), name="now", over="10h")
    for hour in range(1, 11):
        for each in deliver.run_due(field.store, field.config, now + hour * HOUR):
            assert each.refused is None
    assert field.states() == {"active": 1000 - gone, "gone": gone}


# --- strangers who make subscriptions up -------------------------------------------


def by_themselves(field: Field, rows: Sequence[int]) -> None:
    """Have *rows* come by the receiver, as anybody may."""
    events = [Event(row, "subscribed", NOON, NOON, {}, f"{row}{ARRIVAL}") for row in rows]
    field.store.events.add(events)


def known(field: Field, count: int, tag: str = "now") -> list[int]:
    """Add people of Mozilla's who took a message before."""
    rows = field.people(count, first=100_000, tag=tag)
    by_themselves(field, rows)
    report = field.send(soon(), everyone=False, tags=(tag,), name="before")
    assert field.counts(report.campaign) == {"accepted": count}
    return rows


def made_up(field: Field, count: int, tag: str = "now") -> list[int]:
    """Add people who came by themselves to an address that never was."""
    rows = field.people(count, first=200_000, tag=tag)
    by_themselves(field, rows)
    leave(field, rows, 100)
    return rows


def test_strangers_who_make_subscriptions_up_stop_no_campaign(field: Field) -> None:
    real = known(field, 60)
    made_up(field, 400)
    report = field.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is None
    assert field.counts(report.campaign) == {"accepted": len(real), "gone": 400}
    assert field.states() == {"active": len(real), "gone": 400}
    assert any("400 are gone that came by themselves" in note for note in report.notes)


def test_strangers_in_handfuls_stop_no_trigger(field: Field) -> None:
    real = known(field, 200)
    made_up(field, 400)
    now = soon()
    report = field.send(now, everyone=False, tags=("now",), name="now", over="10h")
    for hour in range(1, 11):
        for each in deliver.run_due(field.store, field.config, now + hour * HOUR):
            assert each.refused is None
    assert field.counts(report.campaign) == {"accepted": len(real), "gone": 400}


def test_newcomers_alone_are_judged_like_everybody(field: Field) -> None:
    """A young shop's first campaign: nobody took a message before who could tell."""
    made_up(field, 400)
    others = field.people(300, first=300_000, tag="now")
    by_themselves(field, others)
    report = field.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is not None
    assert field.states() == {"active": 700}


def test_a_fault_that_meets_known_people_too_spares_newcomers_as_well(field: Field) -> None:
    leave(field, known(field, 400), 80)
    made_up(field, 400)
    report = field.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is not None
    assert field.states() == {"active": 800}


def test_strangers_do_not_make_a_large_share_usual(field: Field) -> None:
    """Or they could switch the guard off before a fault."""
    real = known(field, 400)
    made_up(field, 100)
    report = field.send(soon(), everyone=False, tags=("now",), name="first")
    assert report.refused is None
    leave(field, real, 40)
    report = field.send(soon(), everyone=False, tags=("now",), name="second")
    assert report.refused is not None
    assert gone_among(field, real) == 0


def test_one_message_taken_before_the_first_campaign_proves_nothing(field: Field) -> None:
    """Whoever makes a shop sends one to themselves first."""
    (me,) = field.people(1, first=100_000, tag="me")
    by_themselves(field, [me])
    field.send(soon(), everyone=False, tags=("me",), name="test")
    rows = made_up(field, 600)
    report = field.send(soon(), everyone=False, tags=("now",), name="launch")
    assert report.refused is not None
    assert gone_among(field, rows) == 0


# --- strangers who registered with another key, or not at all -------------------------


OTHER_KEY = b"the credentials do not correspond to those of the subscription"


def refusing(folder: Path, status: int, body: bytes) -> Iterator[Field]:
    """A field whose FCM answers so to whoever has "gone" in the path."""
    answer = {"do": "answer", "status": status, "path": "/gone-", "body": body.decode()}
    with PushService(checks=False, script=[answer]) as service:
        made = sending.field(folder, service)
        yield made
        made.store.close()


@pytest.fixture
def other_key(tmp_path: Path) -> Iterator[Field]:
    yield from refusing(tmp_path, 403, OTHER_KEY)


@pytest.fixture
def bad_token(tmp_path: Path) -> Iterator[Field]:
    yield from refusing(tmp_path, 403, b"bad aud")


@pytest.fixture
def no_address(tmp_path: Path) -> Iterator[Field]:
    yield from refusing(tmp_path, 403, b"invalid push subscription endpoint")


def strangers(field: Field, count: int, first: int = 50_000, tag: str = "now") -> list[int]:
    rows = field.people(count, FCM, first=first, tag=tag)
    by_themselves(field, rows)
    leave(field, rows, 100, FCM)
    return rows


def taken(field: Field, count: int) -> list[int]:
    """Add people of FCM's who took a message before."""
    rows = field.people(count, FCM, first=100_000, tag="now")
    report = field.send(soon(), everyone=False, tags=("now",), name="before")
    assert field.counts(report.campaign) == {"accepted": count}
    return rows


def test_strangers_with_another_key_stop_no_campaign(other_key: Field) -> None:
    strangers(other_key, 40, tag="first")  # nothing is accepted before all of them
    real = taken(other_key, 20)
    sql = "SELECT id FROM subscriptions WHERE endpoint LIKE '%gone%'"
    others = [row for (row,) in other_key.store.connection.execute(sql)]
    other_key.store.tags.add(others, "now", soon())
    report = other_key.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is None
    assert other_key.counts(report.campaign) == {"accepted": len(real), "rejected": 40}
    assert report.campaign.status is CampaignStatus.FINISHED
    assert other_key.states() == {"active": len(real), "quarantined": 40}


def test_strangers_with_another_key_alone_stop_no_trigger(other_key: Field) -> None:
    taken(other_key, 20)
    strangers(other_key, 40, tag="them")
    report = other_key.send(soon(), everyone=False, tags=("them",), name="them")
    assert report.refused is None
    assert other_key.counts(report.campaign) == {"rejected": 40}


def test_very_many_with_another_key_are_a_fault_while_nothing_is_accepted(
    other_key: Field,
) -> None:
    taken(other_key, 20)
    strangers(other_key, 400, tag="them")
    report = other_key.send(soon(), everyone=False, tags=("them",), name="them")
    assert report.refused is not None
    assert other_key.counts(report.campaign)["rejected"] <= stop_thresholds.FEW_GONE
    assert other_key.states()["active"] >= 20 + 300 - 1


def test_addresses_that_never_were_stop_no_campaign(no_address: Field) -> None:
    real = taken(no_address, 400)
    strangers(no_address, 200)
    report = no_address.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.campaign.status is CampaignStatus.FINISHED
    assert no_address.counts(report.campaign) == {"accepted": len(real), "rejected": 200}


def test_a_token_that_is_refused_is_our_fault_whoever_gets_it(bad_token: Field) -> None:
    taken(bad_token, 20)
    strangers(bad_token, 30, tag="them")
    report = bad_token.send(soon(), everyone=False, tags=("them",), name="them")
    assert report.refused is not None
    assert bad_token.counts(report.campaign) == {"planned": 30}
    assert bad_token.states() == {"active": 50}


def test_newcomers_who_are_refused_before_anything_was_taken_stop_the_campaign(
    other_key: Field,
) -> None:
    strangers(other_key, 100)
    report = other_key.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is not None
    assert other_key.states() == {"active": 100}


def test_known_people_who_are_refused_stop_the_campaign(other_key: Field) -> None:
    leave(other_key, taken(other_key, 100), 100, FCM)
    report = other_key.send(soon(), everyone=False, tags=("now",), name="now")
    assert report.refused is not None
    assert other_key.states() == {"active": 100}

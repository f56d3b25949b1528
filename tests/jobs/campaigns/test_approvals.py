"""Two pairs of eyes: what goes to many waits for another user of this machine."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import approval_files
from pushctl.config import ApprovalConfig
from pushctl.demo.pushservice import PushService
from pushctl.errors import ConfigError, UsageError
from pushctl.jobs.campaigns import (
    approvals,
    broadcast,
    calendar,
    explain,
    manage,
    recurring,
    retry,
)
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.delivery import deliver
from pushctl.jobs.messages import approval_requests as requests
from pushctl.jobs.project import release
from pushctl.model import Campaign, CampaignStatus, Cause
from pushctl.rules import approvals as rules
from pushctl.store import KNOWN_MIGRATIONS, idle
from tests.support import DAY, HOUR, MINUTE, NOON, sending, users
from tests.support.sending import Field

ABOVE = 10
NEEDS = (CampaignStatus.PAUSED, Cause.NEEDS_APPROVAL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushService]:
    with PushService(tmp_path_factory.mktemp("service"), checks=False) as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders are closed to other users.
    home = Path(tempfile.mkdtemp(prefix="pushctl-approvals-"))
    home.chmod(0o711)
    made = home / "approvals"
    made.mkdir()
    if users.IS_ROOT:
        os.chown(made, 0, users.pick(1)[0].pw_gid)
    made.chmod(0o2770)
    yield made
    shutil.rmtree(home)


@pytest.fixture
def field(tmp_path: Path, shared: PushService, folder: Path) -> Iterator[Field]:
    made = sending.field(tmp_path, shared)
    settings = ApprovalConfig(above=ABOVE, folder=folder)
    made.config = replace(made.config, approval=settings)
    yield made
    made.store.close()


def run(field: Field, campaign: Campaign, now: int = NOON) -> Campaign:
    options = deliver.Options(patience=0.0)
    deliver.run(field.store, field.config, campaign, now, options)
    return field.store.campaigns.get_by_id(campaign.id)


def state(campaign: Campaign) -> tuple[CampaignStatus, Cause | None]:
    return campaign.status, campaign.cause


def get_hash(field: Field, campaign: Campaign) -> str:
    found = field.store.approvals.find(campaign.id)
    assert found is not None and found.hash is not None
    return found.hash


def forge(field: Field, campaign: Campaign, folder: Path) -> Path:
    """Write the approval as another account would; as root by giving the file away."""
    name = get_hash(field, campaign)
    approval_files.approve(folder, name, campaign.name)
    if users.IS_ROOT:
        os.chown(folder / name, users.pick(1)[0].pw_uid, -1)
    return folder / name


def test_a_small_campaign_goes_out_and_a_large_one_waits(field: Field, folder: Path) -> None:
    field.people(ABOVE)
    assert field.send().campaign.status is CampaignStatus.FINISHED
    field.people(1, first=50)
    sending.template(field.config.folder, "other", title="Other", body="Words")
    large = run(field, field.freeze(NOON + DAY, template="other"), NOON + DAY)
    assert state(large) == NEEDS
    assert field.counts(large) == {"planned": ABOVE + 1}
    assert "pushctl approve" in (large.note or "")
    assert [one.campaign for one in requests.list_requests(folder)] == [large.name]
    said = {
        line.what: line.text for line in explain.explain(field.config, field.store, large, NOON)
    }
    assert "not approved yet" in said["approval"]


def test_nobody_approves_what_they_asked_for(field: Field, folder: Path) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    one = requests.find_request(folder, campaign.name)
    with pytest.raises(UsageError, match="somebody else"):
        requests.approve(folder, one)
    approval_files.approve(folder, one.hash, one.campaign)  # the sender looks for itself
    after = run(field, campaign)
    assert state(after) == NEEDS and "somebody else" in (after.note or "")
    assert field.counts(after) == {"planned": ABOVE + 1}


def test_another_user_approves_without_any_right_on_the_project(
    field: Field, folder: Path
) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    if not users.IS_ROOT:
        forge(field, campaign, folder)
        assert state(run(field, campaign)) == NEEDS
        return
    group, (other, stranger) = folder.stat().st_gid, users.pick(2)

    def approve() -> None:
        with pytest.raises(OSError):
            field.config.database.read_bytes()
        requests.approve(folder, requests.find_request(folder, campaign.name))
        with pytest.raises(OSError):  # nor may they write beside it
            (folder.parent / "other").touch()

    # Who is not in the group reads nothing, and writes nothing.
    assert users.run_as(stranger, stranger.pw_gid, approve) == 1
    assert list(approvals.take_up(field.store, field.config, NOON)) == []
    assert users.run_as(other, group, approve) == 0
    (said,) = approvals.take_up(field.store, field.config, NOON)
    assert other.pw_name in said
    after = run(field, campaign)
    assert after.status is CampaignStatus.FINISHED
    assert field.counts(after) == {"accepted": ABOVE + 1}


def test_ten_small_ones_do_not_go_round_it(field: Field) -> None:
    field.people(4)
    states = []
    for number in range(4):
        name = f"part {number}"
        states.append(state(run(field, field.freeze(name=name, topic="sale"))))
    free = (CampaignStatus.FINISHED, None)
    assert states == [free, free, NEEDS, NEEDS]
    # Another topic and another day have counts of their own.
    assert state(run(field, field.freeze(name="news", topic="news"))) == free
    later = NOON + DAY
    assert state(run(field, field.freeze(later, name="x", topic="sale"), later)) == free


def test_all_topics_can_be_counted_together(field: Field) -> None:
    assert field.config.approval is not None
    settings = replace(field.config.approval, per_topic=False)
    field.config = replace(field.config, approval=settings)
    field.people(6)
    assert run(field, field.freeze(topic="one")).status is CampaignStatus.FINISHED
    assert state(run(field, field.freeze(topic="two", name="two"))) == NEEDS


def test_what_is_planned_for_a_day_counts_on_that_day(field: Field) -> None:
    field.people(6)
    first = field.freeze(name="first", at="2026-04-30 18:00")
    second = field.freeze(name="second", at="2026-05-01 18:00")
    third = field.freeze(name="third", at="2026-04-30 20:00")
    assert first.status is second.status is CampaignStatus.SCHEDULED
    assert state(third) == NEEDS
    rows = recurring.list_scheduled(field.store, field.config)
    assert {row["name"] for row in rows} == {"first", "second", "third"}


def test_every_occurrence_of_a_series_waits(field: Field) -> None:
    field.people(ABOVE + 1)
    draft = Draft(everyone=True, template="sale", every="day 13:00", name="news")
    series = recurring.add_series(field.store, field.config, draft, NOON)
    assert series.wish["uids"] == sorted(approval_files.list_own_uids())
    due = series.next_at
    assert due is not None
    assert list(recurring.carry_out(field.store, field.config, due)) == []
    (campaign,) = field.store.campaigns.list_newest()
    assert state(campaign) == NEEDS
    found = field.store.approvals.find(campaign.id)
    assert found is not None and found.uids >= set(series.wish["uids"])


def test_what_was_frozen_past_the_door_waits_at_it(field: Field) -> None:
    field.people(ABOVE + 1)
    config = field.config
    field.config = replace(config, approval=None)
    campaign = field.freeze()
    assert campaign.status is CampaignStatus.RUNNING
    field.config = config
    assert state(run(field, campaign)) == NEEDS
    manage.resume(field.store, config, campaign.name, NOON, deliver.Options(patience=0.0))
    assert state(field.store.campaigns.get(campaign.name)) == NEEDS
    assert field.counts(campaign) == {"planned": ABOVE + 1}


def test_a_test_and_what_is_transactional_need_none(field: Field) -> None:
    field.people(ABOVE + 1)
    for exempt in ({"transactional": True}, {"test": True}):
        made = broadcast.plan(
            field.store, field.config, Draft(everyone=True, template="sale", again=True), NOON
        )
        made = replace(made, options={**made.options, **exempt}, named=False)
        campaign = broadcast.freeze(field.store, made, NOON)
        assert run(field, campaign).status is CampaignStatus.FINISHED


CHANGES = {
    "texts": "UPDATE campaigns SET sources = replace(sources, 'Everything', 'Nothing')",
    "one more": """INSERT INTO deliveries (campaign_id, subscription_id, changed_at)
                   SELECT 1, max(id), 0 FROM subscriptions""",
    "another person": """UPDATE deliveries SET subscription_id =
                         (SELECT max(id) FROM subscriptions) WHERE id = 1""",
    "speed": "UPDATE campaigns SET options = json_set(options, '$.at', 'now')",
    "topic": "UPDATE campaigns SET topic = 'other'",
    "the request": "UPDATE approvals SET request = replace(request, 'Everything', 'Nothing')",
    "its content": "UPDATE approvals SET content = replace(content, 'sale', 'sail')",
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_voids_an_approval(field: Field, folder: Path, change: str) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    field.people(1, first=50)
    forge(field, campaign, folder)
    before = get_hash(field, campaign)
    with field.store.write() as connection:
        assert connection.execute(CHANGES[change]).rowcount > 0
    after = run(field, campaign)
    assert state(after) == NEEDS
    assert "accepted" not in field.counts(after)
    assert get_hash(field, campaign) != before  # it is asked for anew


def test_an_erasure_voids_nothing(field: Field, folder: Path) -> None:
    rows = field.people(ABOVE + 2)
    campaign = field.freeze()
    forge(field, campaign, folder)
    field.store.erasure.erase(rows[:1], NOON)
    after = run(field, campaign)
    if users.IS_ROOT:
        assert field.counts(after) == {"skipped": 1, "accepted": ABOVE + 1}
    before = get_hash(field, campaign)
    assert run(field, after) is not None and get_hash(field, campaign) == before


def test_a_retry_with_other_words_is_asked_for_anew(field: Field, folder: Path) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    forge(field, campaign, folder)
    before = get_hash(field, campaign)
    sql = "UPDATE deliveries SET status = 'rejected', cause = 'no_message'"
    field.store.connection.execute(sql)
    sending.template(field.config.folder, "sale", title="Better", body="Words")
    made = retry.plan(field.store, field.config, campaign.name, NOON)
    after = run(field, retry.start(field.store, field.config, made, NOON))
    assert state(after) == NEEDS and get_hash(field, campaign) != before


def replace_by_link(file: Path) -> None:
    other = file.with_name("elsewhere")
    file.rename(other)
    file.symlink_to(other)


def link_twice(file: Path) -> None:
    os.link(file, file.with_name("second"))


def open_to_all(file: Path) -> None:
    file.chmod(0o666)


def say_other(file: Path) -> None:
    file.write_text(rules.make_approval("0" * 64, "other"), "utf-8")


def make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def make_nobodys(file: Path) -> None:
    os.chown(file, 4_000_000_001, -1)


def open_folder(file: Path) -> None:
    file.parent.chmod(0o2777)


def copy_as_ours(file: Path) -> None:
    text = file.read_bytes()
    file.unlink()
    file.write_bytes(text)


TRICKS = [replace_by_link, link_twice, open_to_all, say_other, make_pipe, open_folder,
          copy_as_ours, *([make_nobodys] if users.IS_ROOT else [])]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_what_is_no_plain_file_of_an_account_does_not_count(
    field: Field, folder: Path, trick: object
) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    file = forge(field, campaign, folder)
    assert callable(trick)
    trick(file)
    assert state(run(field, campaign)) == NEEDS
    assert field.counts(campaign) == {"planned": ABOVE + 1}
    folder.chmod(0o2770)
    if users.IS_ROOT:  # and what is as it should be does
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        (folder / "second").unlink(missing_ok=True)
        forge(field, campaign, folder)
        assert run(field, campaign).status is CampaignStatus.FINISHED


def test_a_link_in_the_place_of_the_folder_is_none(field: Field, folder: Path) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    forge(field, campaign, folder)
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(elsewhere)
    assert state(run(field, campaign)) == NEEDS
    with pytest.raises(ConfigError):
        requests.list_requests(folder)


def test_only_the_named_approvers_count(field: Field, folder: Path) -> None:
    if not users.IS_ROOT:
        assert approval_files.name_user(os.getuid())
        return
    field.people(ABOVE + 1)
    campaign = field.freeze()
    forge(field, campaign, folder)
    assert field.config.approval is not None
    settings = replace(field.config.approval, approvers=("ayse",))
    config = replace(field.config, approval=settings)
    assert deliver.run(field.store, config, campaign, NOON).campaign.status is NEEDS[0]
    mine = replace(settings, approvers=(users.pick(1)[0].pw_name,))
    config = replace(field.config, approval=mine)
    assert deliver.run(field.store, config, campaign, NOON).sent["accepted"] == ABOVE + 1


def test_a_forged_request_approves_nothing(field: Field, folder: Path) -> None:
    """Who asks may write into the folder, too: what is shown must be what is sent."""
    field.people(ABOVE + 1)
    campaign = field.freeze()
    name = get_hash(field, campaign)
    said = json.loads((folder / f"{name}.json").read_text("utf-8"))
    said["texts"]["en.toml"] = 'title = "Harmless"\nbody = "Words"\n'
    nice = rules.encode(said)
    (folder / f"{name}.json").write_text(nice, "utf-8")  # in the place of the true one
    (folder / f"{rules.hash_text(nice)}.json").write_text(nice, "utf-8")  # and beside it
    assert requests.list_requests(folder) == []
    said["content"]["texts"] = rules.hash_text(rules.encode(said["texts"]))
    nice = rules.encode(said)
    (folder / f"{rules.hash_text(nice)}.json").write_text(nice, "utf-8")
    (one,) = requests.list_requests(folder)  # it holds together, and is another campaign's
    approval_files.approve(folder, one.hash, campaign.name)
    if users.IS_ROOT:
        os.chown(folder / one.hash, users.pick(1)[0].pw_uid, -1)
    assert state(run(field, campaign)) == NEEDS


def test_the_request_names_nobody(field: Field, folder: Path) -> None:
    rows = field.people(ABOVE + 1)
    people = field.store.subscriptions.get_many(rows, NOON)
    where = " or ".join(f"id = '{one.public_id}'" for one in people)
    campaign = field.freeze(everyone=False, where=[where])
    text = (folder / f"{get_hash(field, campaign)}.json").read_text("utf-8")
    for one in people:
        assert one.public_id not in text and one.endpoint not in text


def test_too_late_is_not_sent(field: Field, folder: Path) -> None:
    """What has a time of its own goes out within an hour of it, or not at all."""
    field.people(ABOVE + 1)
    campaign = field.freeze(at="2026-04-30 18:00")
    due, _ = field.store.approvals.find_times(campaign.id, NOON)
    forge(field, campaign, folder)
    if not users.IS_ROOT:
        return
    assert list(approvals.take_up(field.store, field.config, due + HOUR + MINUTE)) != []
    after = field.store.campaigns.get_by_id(campaign.id)
    assert after.status is CampaignStatus.FINISHED
    assert field.counts(after) == {"expired": ABOVE + 1}


def test_approved_before_its_time_it_waits_for_that(field: Field, folder: Path) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze(at="2026-04-30 18:00")
    due, _ = field.store.approvals.find_times(campaign.id, NOON)
    forge(field, campaign, folder)
    if not users.IS_ROOT:
        return
    list(approvals.take_up(field.store, field.config, NOON + MINUTE))
    assert field.store.campaigns.get_by_id(campaign.id).status is CampaignStatus.SCHEDULED
    assert field.store.schedules.list_due(due) == [campaign.id]
    assert field.counts(run(field, campaign, due)) == {"accepted": ABOVE + 1}


def test_who_takes_an_approval_back_stops_what_is_not_out(field: Field, folder: Path) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze(at="2026-04-30 18:00")
    due, _ = field.store.approvals.find_times(campaign.id, NOON)
    forge(field, campaign, folder)
    list(approvals.take_up(field.store, field.config, NOON + MINUTE))
    assert approval_files.withdraw(folder, get_hash(field, campaign))
    assert state(run(field, campaign, due)) == NEEDS


def test_a_restore_voids_approvals(field: Field, folder: Path) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze(at="2026-04-30 18:00")
    forge(field, campaign, folder)
    list(approvals.take_up(field.store, field.config, NOON + MINUTE))
    assert approvals.void_all(field.store, field.config, NOON) == 1
    assert list(folder.iterdir()) == []
    due, _ = field.store.approvals.find_times(campaign.id, NOON)
    assert state(run(field, campaign, due)) == NEEDS


def test_after_a_restore_what_was_approved_is_not_sent_again_unasked(
    field: Field, folder: Path
) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    forge(field, campaign, folder)
    assert len(list(approvals.take_up(field.store, field.config, NOON + MINUTE))) == 1
    assert release.release(field.store, field.config, NOON + HOUR)["approvals"] == 1
    assert list(folder.iterdir()) == []
    assert field.counts(campaign) == {"in_doubt": ABOVE + 1}
    manage.send_again(field.store, field.config, campaign.name, NOON + HOUR)
    assert state(run(field, field.store.campaigns.get(campaign.name), NOON + HOUR)) == NEEDS


def test_a_request_that_could_not_be_written_is_written_later(
    field: Field, folder: Path
) -> None:
    field.people(ABOVE + 1)
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("no folder", "utf-8")
    campaign = field.freeze()
    assert state(campaign) == NEEDS
    folder.unlink()
    aside.rename(folder)
    assert list(approvals.take_up(field.store, field.config, NOON)) == []
    assert requests.find_request(folder, campaign.name).people == ABOVE + 1
    field.store.close()
    parts = field.config.database, field.config.inbox, field.config.file
    assert not idle.is_idle(*parts, KNOWN_MIGRATIONS, NOON)  # a file may have come


def test_an_own_answer_is_refused_where_it_could_not_count(folder: Path) -> None:
    said = {"campaign": "sale", "content": {}, "texts": {}}
    folder.chmod(0o2777)
    with pytest.raises((ConfigError, UsageError)):
        requests.approve(folder, requests.Request("0" * 64, said, "sale"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"people": "many"},
        {"uids": 7},
        {"asked_at": 10**30},
        {"languages": [["shop", "en"]]},
        {"sites": {"shop": {}}},
        {"test": {"arms": 1}},
        {"states": None},
        {"topic": 1},
        {"test": {"arms": [{"variant": ["a"]}], "test_share": 1, "tie": "best"}},
        {"sites": {"s": {"origin": "", "language": "en", "brand": {"icon": 1}, "utm": {}}}},
        {"content": {"rows": "all"}},
    ],
)
def test_a_request_that_cannot_be_shown_hides_no_other(
    field: Field, folder: Path, wrong: dict[str, object]
) -> None:
    field.people(ABOVE + 1)
    campaign = field.freeze()
    said = json.loads((folder / f"{get_hash(field, campaign)}.json").read_text("utf-8"))
    bad = {**wrong, "content": said["content"] | dict(wrong.get("content", {}))}  # type: ignore[call-overload]
    for text in (rules.encode(said | bad), "[" * 100_000):
        (folder / f"{rules.hash_text(text)}.json").write_text(text, "utf-8")
    assert [one.campaign for one in requests.list_requests(folder)] == [campaign.name]


def test_the_calendar_has_what_waits_for_as_long_as_it_is_of_use(field: Field) -> None:
    field.people(ABOVE + 1)
    field.freeze(ttl="2d")
    days = {}
    for day in (0, 1, 3):
        found = calendar.plan_weeks(field.store, field.config, NOON + day * DAY, 1)
        days[day] = [(one.people, one.note) for one in found if one.kind == "message"]
    assert days == {0: [(ABOVE + 1, "waits for approval")], 1: days[0], 3: []}

"""Campaigns as text: what a file becomes, what replaces it, and what is left alone."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import ApprovalConfig
from pushctl.errors import ConfigError, InputError, NotFoundError, UsageError
from pushctl.jobs.campaigns import (
    apply,
    calendar,
    files,
    manage,
    plan_files,
    plan_hashes,
    unapplied,
)
from pushctl.jobs.campaigns.apply import Done
from pushctl.jobs.campaigns.plan_files import Item, State
from pushctl.model import CampaignStatus, Cause, Millis
from pushctl.store import Store
from tests.support import DAY, HOUR, NOON, killed, sending
from tests.support.rows import deliveries
from tests.support.sending import Field

SALE = 'template = "sale"\neveryone = true\nat = "2026-05-10 18:00"\n'
DUE = "2026-05-10 18:00"


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(3)
    made.people(2, language="tr", first=10)
    write(made, "spring", SALE)
    return made


def write(field: Field, name: str, text: str) -> Path:
    file = files.find_folder(field.config) / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def judge(field: Field, *names: str, now: Millis = NOON) -> dict[str, Item]:
    return {
        item.name: item
        for item in plan_files.propose(field.store, field.config, names, now, by="ann")
    }


def states(field: Field, now: Millis = NOON) -> dict[str, str]:
    return {name: item.state.value for name, item in judge(field, now=now).items()}


def carry_out(field: Field, now: Millis = NOON) -> list[Done]:
    items = list(judge(field, now=now).values())
    plan = plan_hashes.compute_hash(field.config, items)
    return list(apply.carry_out(field.store, field.config, items, plan, now, by="ann"))


def test_a_new_file_is_scheduled_and_then_unchanged(field: Field) -> None:
    item = judge(field)["spring"]
    assert (item.state, item.people, item.before) == (State.NEW, 5, None)
    assert field.store.campaigns.list_newest() == []
    assert carry_out(field) == [Done("spring", "is scheduled; the sweep sends it")]
    campaign = field.store.campaigns.get("spring")
    assert campaign.status is CampaignStatus.SCHEDULED
    assert files.describe(field.store, campaign) == (
        "campaigns/spring.toml, applied 2026-04-28 08:00 UTC by ann"
    )
    assert states(field) == {"spring": "unchanged"}
    assert carry_out(field) == []


def test_a_changed_file_takes_the_place_of_what_waits(field: Field) -> None:
    carry_out(field)
    field.people(1, first=20)
    write(field, "spring", SALE.replace("18:00", "19:00"))
    item = judge(field)["spring"]
    assert (item.state, item.people_before, item.people) == (State.CHANGED, 5, 6)
    carry_out(field)
    old, new = (field.store.campaigns.get(it) for it in ("spring (replaced)", "spring"))
    assert (old.status, old.note) == (
        CampaignStatus.CANCELLED, "campaigns/spring.toml was changed",
    )  # fmt: skip
    assert deliveries(field.store, old.id) == {"skipped": 5}
    assert deliveries(field.store, new.id) == {"planned": 6}
    assert field.store.applied.map_campaigns() == {old.name: "spring", new.name: "spring"}


def test_what_waits_for_approval_is_said_and_gives_way_too(field: Field) -> None:
    folder = field.config.folder / "approvals"
    approval = ApprovalConfig(above=4, folder=folder)
    field.config = replace(field.config, approval=approval)
    (done,) = carry_out(field)
    assert "pushctl approve 'spring'" in done.text
    first = {file.name for file in folder.iterdir()}
    write(field, "spring", SALE.replace("18:00", "19:00"))
    assert states(field) == {"spring": "changed"}
    carry_out(field)
    new = field.store.campaigns.get("spring")
    assert (new.status, new.cause) == (CampaignStatus.PAUSED, Cause.NEEDS_APPROVAL)
    assert len({file.name for file in folder.iterdir()} - first) == 1


def test_a_text_that_was_changed_changes_it_and_a_comment_does_not(field: Field) -> None:
    carry_out(field)
    write(field, "spring", f"# reviewed\n{SALE}")
    assert states(field) == {"spring": "unchanged"}
    sending.template(field.config.folder, "sale", title="Sale!", body="Everything")
    item = judge(field)["spring"]
    assert (item.state, item.note.partition(";")[0]) == (State.CHANGED, "a text was changed")


def test_what_has_begun_is_never_changed(field: Field) -> None:
    carry_out(field)
    campaign = field.store.campaigns.get("spring")
    due = field.store.deliveries.count_waiting(campaign.id, NOON)[1] or 0
    changed = write(field, "spring", SALE.replace("18:00", "19:00"))
    items = list(judge(field).values())
    assert items[0].state is State.CHANGED
    # A sweep claims the first message between the plan and the answer.
    field.store.campaigns.change_status(campaign.id, CampaignStatus.RUNNING, due)
    field.store.deliveries.claim_due(campaign.id, 1, due)
    (done,) = apply.carry_out(field.store, field.config, items, "plan", NOON, by="ann")
    assert (done.failed, "has begun meanwhile" in done.text) == (True, True)
    assert deliveries(field.store, campaign.id) == {"planned": 4, "sending": 1}
    item = judge(field)["spring"]
    assert (item.state, "frozen" in item.note) == (State.RUNNING, True)
    changed.unlink()
    assert "stays" in judge(field)["spring"].note


def test_a_sweep_and_a_change_at_one_moment_reach_nobody_twice(field: Field) -> None:
    carry_out(field)
    write(field, "spring", SALE.replace("18:00", "19:00"))
    items = list(judge(field).values())
    old = field.store.campaigns.get("spring").id
    due = field.store.deliveries.count_waiting(old, NOON)[1] or 0
    path, (ready, go) = field.store.path, os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with Store(path) as store:
                os.read(ready, 1)
                store.campaigns.change_status(old, CampaignStatus.RUNNING, due)
                while store.deliveries.claim_due(old, 1, due)[1]:
                    pass
        finally:
            os._exit(0)
    os.write(go, b"x")
    (done,) = apply.carry_out(field.store, field.config, items, "plan", NOON, by="ann")
    os.waitpid(pid, 0)
    states = [deliveries(field.store, it.id) for it in field.store.campaigns.list_newest()]
    assert states == ([{"sending": 5}] if done.failed else [{"planned": 5}, {"skipped": 5}])


def test_a_campaign_that_a_person_paused_or_cancelled_is_theirs(field: Field) -> None:
    carry_out(field)
    manage.pause(field.store, "spring", NOON)
    write(field, "spring", SALE.replace("18:00", "19:00"))
    assert states(field) == {"spring": "paused"}
    manage.cancel(field.store, field.config, "spring", NOON)
    assert states(field) == {"spring": "cancelled"}
    assert carry_out(field) == []


def test_a_removed_file_cancels_nothing_and_a_renamed_one_is_known(field: Field) -> None:
    carry_out(field)
    file = files.find_folder(field.config) / "spring.toml"
    file.unlink()
    removed = judge(field)["spring"]
    assert (removed.state, "pushctl campaigns cancel 'spring'" in removed.note) == (
        State.REMOVED, True,
    )  # fmt: skip
    assert carry_out(field) == []
    write(field, "may", SALE)
    assert states(field) == {"may": "renamed"}
    carry_out(field)
    assert states(field) == {"may": "unchanged"}
    assert [it.name for it in field.store.campaigns.list_newest()] == ["spring"]
    write(field, "may", SALE.replace("18:00", "19:00"))
    carry_out(field)
    assert field.store.campaigns.get("may").status is CampaignStatus.SCHEDULED
    assert field.store.campaigns.get("spring (replaced)").status is CampaignStatus.CANCELLED


def test_a_series_comes_and_gives_way(field: Field) -> None:
    write(field, "weekly", 'template = "sale"\ntags = ["Sale"]\nevery = "monday 09:00"\n')
    assert carry_out(field)[1].text == "is scheduled every monday 09:00"
    assert states(field)["weekly"] == "unchanged"
    write(field, "weekly", 'template = "sale"\ntags = ["Sale"]\nevery = "tuesday 09:00"\n')
    assert carry_out(field) == [Done("weekly", "is scheduled every tuesday 09:00")]
    (series,) = field.store.schedules.recurring.list_all()
    assert series.said == "tuesday 09:00"
    write(field, "weekly", SALE.replace("everyone = true", "tags = ['Sale']\nagain = true"))
    assert len(carry_out(field)) == 1
    assert field.store.schedules.recurring.list_all() == []
    assert field.store.campaigns.get("weekly").status is CampaignStatus.SCHEDULED


def test_what_is_over_or_meant_for_nobody_is_only_told(field: Field) -> None:
    write(field, "winter", SALE.replace("2026-05-10", "2026-01-10"))
    write(field, "nobody", SALE.replace("everyone = true", "tags = ['None']"))
    assert states(field) == {"spring": "new", "winter": "passed", "nobody": "nobody"}
    assert [done.name for done in carry_out(field)] == ["spring"]
    assert states(field, NOON + 30 * DAY)["spring"] == "unchanged"  # its sweep is late


def test_the_same_message_goes_to_nobody_twice(field: Field) -> None:
    write(field, "second", SALE)
    with pytest.raises(ConfigError, match="the same texts go to some of the same people"):
        judge(field)
    (files.find_folder(field.config) / "second.toml").unlink()
    carry_out(field)
    write(field, "second", SALE)
    item = judge(field)["second"]
    assert (item.state, "5 are to get it" in item.note) == (State.NOBODY, True)
    assert item.note.endswith("; again = true sends to them, too")


def test_mistakes_are_told_all_at_once_with_their_lines(field: Field) -> None:
    write(field, "one", f"{SALE}tamplate = 'x'\n")
    write(field, "two", f"{SALE}variants = 'a,b'\n")
    with pytest.raises(ConfigError, match=r"one\.toml:4: tamplate") as told:
        judge(field)
    assert "nothing was done" in str(told.value)
    (files.find_folder(field.config) / "one.toml").unlink()
    write(field, "three", SALE.replace('"sale"', '"salle"'))
    write(field, "four", f"{SALE}promo = 'none'\n")
    write(field, "five", f"{SALE}over = '2h'\n")
    with pytest.raises(ConfigError) as told:
        judge(field)
    for said in ("two.toml:4: variants", "three.toml:1: template", "four.toml:4: promo",
                 "five.toml:4: over"):  # fmt: skip
        assert said in str(told.value)
    with pytest.raises(NotFoundError, match="Did you mean spring"):
        judge(field, "sprin")
    assert set(judge(field, "campaigns/spring.toml")) == {"spring"}


def test_a_name_that_a_command_took_is_refused(field: Field) -> None:
    field.freeze(NOON, name="spring", at="2026-05-01 09:00")
    with pytest.raises(ConfigError, match="is a campaign called 'spring' already"):
        judge(field)


def test_a_plan_is_refused_when_something_changed(field: Field) -> None:
    field.people(195, first=100)
    plan = plan_hashes.compute_hash(field.config, list(judge(field).values()))

    def refuse(now: Millis = NOON) -> str:
        items = list(judge(field, now=now).values())
        with pytest.raises(UsageError) as told:
            plan_hashes.refuse_other(field.config, items, plan)
        return str(told.value)

    with pytest.raises(InputError, match="is no plan"):
        plan_hashes.refuse_other(field.config, [], plan + "9" * 5_000)
    field.people(2, first=400)  # 1 % of 200
    items = list(judge(field).values())
    assert plan_hashes.refuse_other(field.config, items, plan) == plan
    field.people(1, first=500)
    assert "200 -> 203" in refuse()
    write(field, "spring", SALE.replace("18:00", "19:00"))
    assert "files or texts changed" in refuse()
    write(field, "spring", SALE)
    sending.template(field.config.folder, "sale", title="Sale", body="Some things must go")
    assert "files or texts changed" in refuse()
    sending.template(field.config.folder, "sale", title="Sale", body="Everything must go")
    assert "nothing to apply any more" in refuse(NOON + 30 * DAY)
    write(field, "spring", f"{SALE}local = true\n")
    plan = plan_hashes.compute_hash(field.config, list(judge(field).values()))
    assert "time of a campaign" in refuse(NOON + 12 * DAY + 2 * HOUR)
    with pytest.raises(UsageError, match="is no plan"):
        plan_hashes.refuse_other(field.config, items, "0")


def test_killed_anywhere_each_file_is_applied_or_not_and_the_plan_goes_on(
    field: Field,
) -> None:
    write(field, "weekly", 'template = "sale"\ntags = ["Sale"]\nevery = "monday 09:00"\n')
    carry_out(field)
    write(field, "spring", SALE.replace("18:00", "19:00"))
    sending.template(field.config.folder, "leaves", title="Leaves", body="They fall")
    write(field, "autumn", SALE.replace('"sale"', '"leaves"'))
    items = list(judge(field).values())
    plan = plan_hashes.compute_hash(field.config, items)
    config, path = field.config, field.store.path
    field.store.close()
    whole = path.read_bytes()

    def work() -> None:
        with Store(path) as store:
            items = plan_files.propose(store, config, (), NOON, by="ann")
            plan_hashes.refuse_other(config, items, plan)
            for _ in apply.carry_out(store, config, items, plan, NOON, by="ann"):
                pass

    traced = killed.files_of(apply)
    points = killed.find_points(work, traced, [config.folder])
    seen = set()
    for at in points.first:
        for file in path.parent.glob(f"{path.name}-*"):
            file.unlink()
        path.write_bytes(whole)
        if not killed.run(work, at, traced):
            continue
        with Store(path) as store:
            rows = {row.file: row.did for row in store.applied.list_current()}
            campaigns = {it.name: it.status.value for it in store.campaigns.list_newest()}
            assert ("autumn" in rows) == ("autumn" in campaigns)
            assert (rows["spring"] == "changed") == ("spring (replaced)" in campaigns)
            seen.add(tuple(sorted(rows.items())))
        work()  # the same plan goes on
        with Store(path) as store:
            scheduled = [
                it.name for it in store.campaigns.list_newest() if it.status == "scheduled"
            ]
            assert sorted(scheduled) == ["autumn", "spring"]
    assert len(seen) >= 2


def test_the_calendar_hears_of_what_is_not_applied(field: Field) -> None:
    write(field, "weekly", 'template = "sale"\ntags = ["Sale"]\nevery = "monday 09:00"\n')
    write(field, "wrong", "everyone = 1\n")
    coming = list(unapplied.list_coming(field.store, field.config, NOON, NOON + 14 * DAY))
    assert [(it.name, it.is_change) for it in coming] == [
        ("spring", False), ("weekly", False), ("weekly", False),
    ]  # fmt: skip
    assert coming[1].draft.tags == ("Sale",)
    shown = calendar.plan_weeks(field.store, field.config, NOON, 2)
    messages = {(it.what, it.people) for it in shown if it.kind == "message"}
    assert messages == {("spring (draft)", 5), ("weekly (draft)", 5)}
    (files.find_folder(field.config) / "wrong.toml").unlink()
    carry_out(field)
    assert not list(unapplied.list_coming(field.store, field.config, NOON, NOON + 14 * DAY))

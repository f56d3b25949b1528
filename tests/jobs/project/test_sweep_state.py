"""Why nothing goes out: when the last sweep ended, who starts them, and what waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.jobs.project import cron, services, sweep_state, unit_files
from pushctl.jobs.project.sweep_state import LATE, SweepState
from pushctl.rules.units import HOUR, MINUTE
from pushctl.store import clocks
from tests.support import NOON, sending
from tests.support.program import PROGRAM, on_terminal, pushctl
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    monkeypatch.setattr(services, "list_folders", lambda: [tmp_path / "units"])
    monkeypatch.setattr(cron, "read_crontab_if_any", str)
    made = sending.field(tmp_path / "shop")
    yield made
    made.store.close()


def load(field: Field, now: int = NOON) -> SweepState:
    return sweep_state.load(field.config, field.store, now)


def record_sweep(field: Field, at: int) -> None:
    file = Path(f"{field.config.database}.sweep")
    file.touch()
    clocks.restore(file, at)


def test_nothing_has_run_and_nothing_waits(field: Field) -> None:
    state = load(field)
    assert state == SweepState(None, "", 0, 0)
    assert "no sweep has run yet" in sweep_state.describe(state, NOON)
    assert "pushctl cron install" in sweep_state.find_remedy(state, NOON)


def test_a_watch_is_named_while_it_gives_signs_of_life(field: Field) -> None:
    record_sweep(field, NOON - MINUTE)
    path = clocks.name_watch(field.config.database)
    with lock.hold(path, "pushctl sweep --watch"):
        clocks.restore(path, NOON - MINUTE)
        said = sweep_state.describe(load(field), NOON)
        assert said == "the last sweep ended 1m ago; sweep --watch does them"
        # One that is stuck counts for nothing: cron's sweeps send again.
        assert not load(field, NOON + 5 * MINUTE).watched
    assert not load(field).watched


def test_a_minute_ago_is_fine_whoever_started_it(field: Field) -> None:
    record_sweep(field, NOON - MINUTE)
    state = load(field)
    assert sweep_state.find_remedy(state, NOON) == ""
    said = sweep_state.describe(state, NOON)
    assert said == "the last sweep ended 1m ago, started by hand or from elsewhere"


def test_what_is_due_and_does_not_go_out_is_overdue(field: Field) -> None:
    field.people(3)
    at = NOON + 3 * HOUR
    later = field.freeze(at="2026-04-28 11:00")
    assert load(field, at + LATE - 1).overdue == 0, "a sweep may take its time"
    state = load(field, at + LATE)
    assert state.overdue == 3
    assert "3 messages overdue" in sweep_state.describe(state, at + LATE)
    field.store.campaigns.change_status(later.id, later.status.PAUSED, at)
    assert load(field, at + LATE).overdue == 0, "a paused campaign waits for a person"


def test_files_in_the_inbox_count_until_they_are_read(field: Field) -> None:
    segment = field.config.inbox / "1790000000000-abcd.seg"
    segment.write_bytes(b"twelve bytes")
    assert load(field).inbox_files == 1
    with field.store.write():
        field.store.inbox_cursors.save({segment.name: 12})
    assert load(field).inbox_files == 0, "the newest file stays when it is read"


def test_who_starts_the_sweeps_is_found(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = field.config.folder
    line = cron.render_crontab(folder, ["/usr/bin/pushctl"])
    monkeypatch.setattr(cron, "read_crontab_if_any", lambda: line)
    assert sweep_state.find_starter(folder) == "cron"
    off = "".join(f"# {each}\n" for each in line.splitlines())
    monkeypatch.setattr(cron, "read_crontab_if_any", lambda: off)
    assert sweep_state.find_starter(folder) == "", "that line is switched off"
    place = unit_files.Place(folder, ["/usr/bin/pushctl"], "shop")
    services.write(services.plan(place, [unit_files.Part.SWEEP], services.list_folders()[0]))
    assert sweep_state.find_starter(folder) == "systemd"
    record_sweep(field, NOON - HOUR)
    assert "systemd should start one" in sweep_state.find_remedy(load(field), NOON)


def test_check_is_red_when_messages_are_overdue(field: Field) -> None:
    field.people(2)
    assert pushctl("check", cwd=field.config.folder).code == 0, "only a note before"
    field.freeze(at="2026-04-28 11:00")
    due = sending.soon() - HOUR
    field.store.connection.execute(
        "UPDATE deliveries SET next_attempt_at = ?, expires_at = ?", (due, due + 9 * HOUR)
    )
    run = pushctl("check", cwd=field.config.folder)
    assert run.code == 3 and "2 messages overdue" in run.out


def test_a_campaign_that_waits_says_how_the_sweeps_stand(field: Field) -> None:
    field.people(2)
    words = ("send", "--everyone", "--template", "sale", "--at", "tomorrow 09:00")
    assert pushctl(*words, "--name", "soon", "--yes", cwd=field.config.folder).code == 0
    run = on_terminal([*PROGRAM, "campaigns", "show", "soon"], cwd=field.config.folder)
    assert "no sweep has run yet" in run.out and "Next is due" in run.out
    pushctl("campaigns", "pause", "soon", cwd=field.config.folder)
    run = on_terminal([*PROGRAM, "campaigns", "show", "soon"], cwd=field.config.folder)
    assert "no sweep has run yet" not in run.out

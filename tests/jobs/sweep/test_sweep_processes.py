"""Sweeps as cron starts them: processes of their own, a push service that really checks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import deliver
from pushctl.model import CampaignStatus
from pushctl.store import Store, clocks
from pushctl.store.events import Event
from tests.support import MINUTE, project, sending
from tests.support.program import pushctl
from tests.support.rows import deliveries
from tests.support.running import PIPE, Running
from tests.support.sending import Field
from tests.support.shop import BASKET


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    """A project whose messages go to *service*, with a basket trigger."""
    folder = tmp_path / "project"
    made = sending.field(folder, service)
    for name in ("one", "two"):
        sending.template(folder, name, title=name, body="{{ cart.names|join }} waits")
    hosts = "\n".join(f'"{name}" = "{at}"' for name, at in service.loopback_hosts.items())
    loopback = f'[push.loopback]\nca = "{service.ca}"\n[push.loopback.hosts]\n{hosts}\n'
    project.add(folder, f"{BASKET}\n{loopback}")
    yield made
    made.store.close()


def fill(store: Store, people: list[int], at: int) -> None:
    items = [{"id": "lamp", "name": "Lamp", "price": 20}]
    store.events.add(
        Event(person, "cart_updated", at, at, {"items": items}, f"{person}:{at}")
        for person in people
    )


def plain_environment() -> dict[str, str]:
    """What cron hands over: none of the settings that ask for the whole program."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PUSHCTL_")}


def start(folder: Path, *options: str) -> Running:
    words = ["--project", str(folder), "sweep", *options]
    return Running(words, plain_environment(), stdout=PIPE, stderr=PIPE, text=True)


def swept(folder: Path, *options: str) -> tuple[int, str, str]:
    process = start(folder, *options)
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def test_a_reminder_goes_out_and_then_there_is_silence(field: Field) -> None:
    people = field.people(3)
    fill(field.store, people, sending.soon() - 4 * MINUTE)
    folder = field.config.folder
    code, out, _ = swept(folder)
    assert code == 0
    assert out.startswith("sweep: ")
    assert "3 accepted" in out
    assert swept(folder)[:2] == (0, "")
    campaign = field.store.campaigns.get("basket/1")
    assert deliveries(field.store, campaign.id) == {"accepted": 3}


def test_what_sweeps_did_is_told_after_a_bad_night(field: Field) -> None:
    folder = field.config.folder
    fill(field.store, field.people(3), sending.soon() - 4 * MINUTE)
    assert swept(folder)[0] == 0
    field.store.runs.start("sweep", sending.soon())  # by this process, which lives
    rows = json.loads(pushctl("runs", "list", "--json", cwd=folder).out)
    running, done = rows
    assert (running["exit_code"], running["took"], running["what"]) == (None, None, "")
    assert running["state"] == "running"
    assert done["exit_code"] == 0 and done["took"] > 0
    assert "3 accepted" in done["what"]


def test_a_sweep_leaves_at_once_while_another_is_at_work(field: Field) -> None:
    folder = field.config.folder
    with lock.hold(clocks.name_lock(field.config.database), "the test"):
        code, out, error = swept(folder)
        assert (code, out, error) == (75, "", "")
        assert swept(folder, "--max-seconds", "5")[0] == 75
    assert swept(folder)[0] == 0


def test_fifty_sweeps_at_once(field: Field) -> None:
    people = field.people(60)
    assert swept(field.config.folder)[0] == 0
    fill(field.store, people, sending.soon() - 4 * MINUTE)
    processes = [start(field.config.folder) for _ in range(50)]
    ended = [(process, *process.communicate(timeout=240)) for process in processes]
    codes = sorted(process.returncode for process, _, _ in ended)
    # Who comes when the work is done finds nothing to do.
    assert set(codes) <= {0, 75}, [(p.returncode, e) for p, _, e in ended if e]
    assert len([out for _, out, _ in ended if "accepted" in out]) == 1
    rows = field.store.connection.execute("SELECT status, attempts FROM deliveries")
    assert rows.fetchall() == [("accepted", 1)] * 60


def test_a_killed_sweep_sends_nobody_twice_and_loses_nobody(
    field: Field, service: PushService
) -> None:
    folder, people = field.config.folder, field.people(200)
    assert swept(folder)[0] == 0
    fill(field.store, people, sending.soon() - 4 * MINUTE)
    for pause in (0.3, 0.6, 0.8, 1.0):
        process = start(folder)
        time.sleep(pause)  # somewhere in its work, wherever that is
        process.send_signal(signal.SIGKILL)
        process.communicate()
    deadline = time.monotonic() + 60
    while swept(folder)[1] and time.monotonic() < deadline:
        pass
    campaign = field.store.campaigns.get("basket/1")
    counts = deliveries(field.store, campaign.id)
    assert sum(counts.values()) == 200
    assert set(counts) <= {"accepted", "in_doubt"}
    enrolments = field.store.connection.execute("SELECT count(*) FROM enrolments").fetchone()
    assert enrolments == (200,)
    bodies = [one.endpoint for one in service.receipts()]
    assert len(bodies) == len(set(bodies))
    assert len(bodies) >= counts["accepted"]


def test_a_clock_that_leapt_is_asked_about(field: Field) -> None:
    folder = field.config.folder
    assert swept(folder)[0] == 0
    path = clocks.name_lock(field.config.database)
    ahead = time.time() + 40 * 86_400
    os.utime(path, (ahead, ahead))
    code, _, error = swept(folder)
    assert code == 3
    assert "--accept-clock" in error
    assert swept(folder, "--accept-clock")[0] == 0
    assert swept(folder)[0] == 0


def test_a_rehearsal_tells_and_sends_nothing(field: Field) -> None:
    people = field.people(2)
    fill(field.store, people, sending.soon())
    code, out, _ = swept(field.config.folder, "--dry-run", "--now", "2099-01-01T10:00:00+00:00")
    assert code == 0
    code, out, _ = swept(field.config.folder, "--dry-run")
    assert "basket" not in out
    assert field.store.campaigns.list_newest() == []


def test_a_rehearsal_leaves_the_real_schedule_alone(field: Field) -> None:
    folder, lock_file = field.config.folder, clocks.name_lock(field.config.database)
    assert swept(folder)[0] == 0
    fill(field.store, field.people(3), sending.soon())
    before, stamped = list(field.store.connection.iterdump()), lock_file.stat().st_mtime_ns
    soon = datetime.now(UTC) + timedelta(minutes=4)
    for options in (
        ("--now", soon.isoformat()),
        ("--now", "2099-01-01T10:00:00+00:00", "--accept-clock"),
        ("--now", "2001-01-01T10:00:00+00:00"),
        ("--dry-run",),
    ):
        code, out, _ = swept(folder, *options)
        assert code == 0
        assert out.count("basket, step 1") == (3 if options[-1] == soon.isoformat() else 0)
        assert list(field.store.connection.iterdump()) == before
        assert lock_file.stat().st_mtime_ns == stamped
    # Nor does it talk the guard of the clock into believing a clock that leapt.
    ahead = time.time() + 40 * 86_400
    os.utime(lock_file, (ahead, ahead))
    assert swept(folder, "--now", soon.isoformat())[0] == 0
    code, _, error = swept(folder)
    assert (code, "--accept-clock" in error) == (3, True)


def test_a_clock_that_is_set_is_told_of(field: Field) -> None:
    told = pushctl("sweep", cwd=field.config.folder, PUSHCTL_NOW="2026-04-28T10:00:00+02:00")
    assert "PUSHCTL_NOW" in told.err
    assert pushctl("sweep", "--dry-run", cwd=field.config.folder).err.count("PUSHCTL") == 0


def test_the_idle_path_loads_nothing_but_the_standard_library(field: Field) -> None:
    folder = field.config.folder
    assert swept(folder)[0] == 0
    code = (
        "import sys; from pushctl.quick import answer;"
        f"assert answer(['--project', {str(folder)!r}, 'sweep']) == 0;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=plain_environment(),
    ).stdout.split()
    foreign = {"typer", "rich", "sqlite_utils", "cryptography", "pycurl", "jinja2", "lark",
               "orjson", "dateutil", "pywebpush", "requests", "feedparser"}  # fmt: skip
    assert foreign.isdisjoint(loaded)


def test_a_long_broadcast_makes_room_for_the_next_minutes_reminders(field: Field) -> None:
    field.people(40)
    campaign = field.freeze(sending.soon(), rate="10/s")
    options = deliver.Options(patience=0.0, seconds=1.0)
    report = deliver.run(field.store, field.config, campaign, sending.soon(), options)
    counts = field.counts(campaign)
    assert 0 < counts["accepted"] < 40
    assert counts == {"accepted": counts["accepted"], "planned": report.waiting}
    assert field.store.campaigns.get_status(campaign.id) is CampaignStatus.RUNNING

    assert swept(field.config.folder)[0] == 0
    assert field.counts(campaign) == {"accepted": 40}

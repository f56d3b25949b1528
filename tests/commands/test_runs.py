"""The run history: what ran, how it ended, what it stumbled over, and what is kept of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.demo.pushservice import PushService
from pushctl.jobs.project import cron, sweep_state
from pushctl.rules import limits
from pushctl.store import Store, clocks, runs
from tests.support import DAY, NOON, ROOT, sending
from tests.support.program import Run, pushctl
from tests.support.sending import Field


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    home = tmp_path_factory.mktemp("runs")
    with PushService(home / "service", checks=False) as service:
        made = sending.field(home / "project", service)
        sending.lead_to(home / "project", service)
        made.people(3)
        yield made
        made.store.close()


@pytest.fixture(autouse=True)
def no_cron(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cron, "read_crontab_if_any", str)


def run(field: Field, *words: str) -> Run:
    return pushctl(*words, cwd=field.config.folder)


def list_runs(field: Field, *words: str) -> list[dict[str, object]]:
    found = run(field, "runs", "list", "--json", *words)
    assert found.code == 0, found.err
    return list(json.loads(found.out))


def test_a_send_an_import_and_a_refusal_are_in_it(field: Field) -> None:
    words = ("send", "--everyone", "--template", "sale", "--yes", "--name")
    assert run(field, *words, "first").code == 0
    assert run(field, "import").code == 0
    assert run(field, *words, "first", "--again").code == 2, "the name is taken"
    refused, imported, sent = list_runs(field)[:3]
    assert (sent["command"], sent["state"], sent["what"]) == ("send", "done", "3 accepted")
    assert sent["took"] is not None
    assert (imported["command"], imported["state"]) == ("import", "done")
    assert (refused["state"], refused["exit_code"]) == ("failed", 2)
    assert "first" in str(refused["fault"])
    shown = json.loads(run(field, "runs", "show", str(refused["id"]), "--json").out)
    assert shown["faults"] == [refused["fault"]]


def test_a_file_that_the_system_refuses_is_said_in_words(field: Field) -> None:
    assert run(field, "report", "--output", "/nowhere/page.html").code != 0
    assert list_runs(field)[0]["fault"] == "/nowhere/page.html: No such file or directory"


def test_what_changes_nothing_is_not_in_it(field: Field) -> None:
    before = len(list_runs(field, "--limit", "500"))
    assert run(field, "send", "--everyone", "--template", "sale", "--dry-run").code == 0
    assert run(field, "campaigns", "list").code == 0
    assert run(field, "runs", "list").code == 0
    assert len(list_runs(field, "--limit", "500")) == before


def test_lists_are_by_command_and_outcome(field: Field) -> None:
    number = field.store.runs.start("sweep", NOON)
    field.store.runs.finish(number, NOON + 9, 5, {"accepted": 2, "by": "x"}, faults=["a", "b"])
    assert [one["id"] for one in list_runs(field, "--command", "sweep", "--failed")] == [number]
    assert list_runs(field, "--command", "sweep", "--since", "1m") == []
    unknown = run(field, "runs", "list", "--command", "swep")
    assert unknown.code == 4 and "sweep" in unknown.err
    assert run(field, "runs", "show", "99999").code == 4
    text = run(field, "runs", "show", str(number)).out
    assert "troubled" in text and "2 accepted" in text


def test_a_failed_sweep_has_not_ended_and_check_says_why(field: Field) -> None:
    last = sending.soon() - 90_000
    path = clocks.name_lock(field.config.database)
    path.touch()
    clocks.restore(path, last)
    file = field.config.folder / "pushctl.db.generation"
    kept = file.read_text()
    file.write_text("999999")  # the database is behind: it was restored
    try:
        swept = run(field, "sweep")
        assert swept.code == 3, swept.out
        assert clocks.read_last_sweep(path) == last, "it did not end"
        newest = list_runs(field, "--limit", "1")[0]
        assert (newest["command"], newest["state"]) == ("sweep", "failed")
        checked = run(field, "check")
        assert "the newest one failed" in checked.out
        assert f"pushctl runs show {newest['id']}" in checked.out
    finally:
        file.write_text(kept)
    assert run(field, "sweep").code == 0
    state = sweep_state.load(field.config, field.store, sending.soon())
    assert (state.failed, state.last is not None and state.last > last) == (None, True)


def test_a_lock_keeps_its_files_time_and_a_new_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "x.sweep"
    with lock.hold(path, "first"):
        assert clocks.read_last_sweep(path) is None
    clocks.restore(path, NOON)
    with lock.hold(path, "second"):
        assert clocks.read_last_sweep(path) == NOON


def test_who_was_killed_died_and_who_lives_runs(store: Store, tmp_path: Path) -> None:
    script = "from pushctl.store import runs; print(runs.name_process())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    gone = done.stdout.strip()
    assert runs.may_run(runs.name_process())
    assert not runs.may_run(gone)
    boot, space, number, start = runs.name_process().split(" ")
    assert int(number) == os.getpid()
    later = f"{boot} {space} {number} {int(start) + 1}"
    assert not runs.may_run(later), "another process has its number by now"
    assert not runs.may_run(f"another {space} {number} {start}")
    assert runs.may_run(f"{boot} pid:[1] 1 {start}"), "of another container: not known"


def test_the_history_is_short_and_its_totals_never_fall(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_SWEEP_ROWS", 5)
    monkeypatch.setattr(runs, "MAX_RUN_ROWS", 3)
    for number in range(20):
        for command in ("sweep", "send", "people", "mcp stats"):
            one = store.runs.start(command, NOON + number)
            store.runs.finish(one, NOON + number, 0, {"accepted": 2, "by": "ann"})
    before = store.runs.load_totals()
    store.runs.drop_surplus()
    sql = "SELECT command, count(*) FROM runs GROUP BY command"
    kept = dict(store.connection.execute(sql).fetchall())
    assert kept == {"sweep": 5, "send": 3, "people": 20, "mcp stats": 20}
    assert store.runs.load_totals() == before
    totals = {(one.command, one.kind, one.name): one.total for one in before}
    assert totals[("send", "count", "accepted")] == 40
    assert totals[("sweep", "ended", "0")] == totals[("sweep", "started", "")] == 20
    assert {one.command for one in before} == {"sweep", "send"}
    store.pruning.prune("runs", NOON + DAY)
    kept = dict(store.connection.execute(sql).fetchall())
    assert kept == {"people": 20}, "looks at people stay"


def test_faults_are_few_short_and_without_addresses(field: Field) -> None:
    number = field.store.runs.start("sweep", NOON)
    many = [f"{place} {'x' * 900}" for place in range(limits.MAX_RUN_FAULTS + 3)]
    field.store.runs.finish(number, NOON, 5, {}, faults=many)
    found = field.store.runs.find(number)
    assert found is not None
    assert found.faults[-1] == "and 3 more" and len(found.faults[0]) == 500
    words = ("subscribers", "import", "/nowhere/Ab1" + "Cd2" * 9 + ".csv")
    assert run(field, *words).code != 0
    assert "Cd2Cd2" not in str(list_runs(field, "--limit", "1"))


# As the walls of a sweep's unit (ProtectProc=invisible): who looks sees its own processes only.
_HIDDEN = """
import ctypes, os, sys
from pushctl.store.runs import may_run
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # the group root sees all
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as after a start by that account
assert not os.path.exists(f"/proc/{os.getppid()}/stat")
print([may_run(each) for each in sys.argv[1:]])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide processes")
def test_a_run_of_an_account_that_is_hidden_has_not_died() -> None:
    mine = runs.name_process()
    boot, space, _, start = mine.split(" ")
    with subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()
    gone = f"{boot} {space} {ended.pid} {start}"
    words = 'mount -t proc -o hidepid=2 proc /proc && "$@"'
    command = ["unshare", "--mount", "sh", "-c", words, "sh", sys.executable, "-c", _HIDDEN]
    done = subprocess.run([*command, mine, gone], capture_output=True, text=True, cwd=ROOT)
    if "mount" in done.stderr:
        pytest.skip(f"no processes can be hidden here: {done.stderr}")
    assert done.stdout == "[True, False]\n", done.stderr

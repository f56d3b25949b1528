"""`pushctl apply`: what it shows, asks and refuses, and that one runs at a time."""

import json
import os
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.jobs.campaigns import apply, files
from tests.support import project, sending
from tests.support.program import PROGRAM, Run, environment, on_terminal, pushctl
from tests.support.running import PIPE, Running
from tests.support.sending import Field, soon

SALE = 'template = "sale"\neveryone = true\nat = "2126-05-10 18:00"\n'


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(40, now=soon())
    write(made, "spring", SALE)
    return made


def write(field: Field, name: str, text: str) -> Path:
    file = files.find_folder(field.config) / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def run(field: Field, *words: str) -> Run:
    return pushctl("apply", *words, cwd=field.config.folder)


def find_plan(text: str) -> str:
    return text.rpartition("--plan ")[2].split()[0].strip("`")


def test_a_dry_run_shows_people_and_message_and_changes_nothing(field: Field) -> None:
    shown = run(field, "--dry-run")
    assert shown.code == 0, shown.err
    for said in ("campaigns/spring.toml  new", "spring: 40 people", "goes out", "sale/en.toml",
                 "Everything must go", "pushctl apply --plan "):  # fmt: skip
        assert said in shown.out
    assert field.store.campaigns.list_newest() == []
    rows = json.loads(run(field, "--dry-run", "--json").out)
    assert rows == [{"file": "spring", "state": "new", "before": None, "after": 40, "note": ""}]


def test_a_pipe_a_device_and_a_hostile_name_are_problems(field: Field) -> None:
    folder = files.find_folder(field.config)
    os.mkfifo(folder / "pipe.toml")
    (folder / "zero.toml").symlink_to("/dev/zero")
    (folder / "long.toml").write_bytes(b"#" * 100_000)
    (folder / "x\n\x1b[31mfine\u202e.toml").write_text(SALE, "utf-8")
    said = run(field, "--dry-run")
    assert said.code == 3
    for text in (
        "pipe.toml: can't be read: it is no plain file",
        "zero.toml: can't be read",
        "long.toml: can't be read: it has more than",
        "x\ufffd\ufffd[31mfine\ufffd",
    ):
        assert text in said.err
    assert "campaigns/spring.toml" not in said.err
    assert pushctl("plan", cwd=field.config.folder).code == 0
    assert "\ufffd[31m" in run(field, "another", "--dry-run").err


def test_the_plan_that_was_shown_is_carried_out_once(field: Field) -> None:
    plan = find_plan(run(field, "--dry-run").out)
    assert plan == find_plan(run(field, "--dry-run", "--markdown").out.splitlines()[2])
    write(field, "spring", SALE.replace("18:00", "18:01"))
    other = run(field, "--plan", plan)
    assert (other.code, "files or texts changed" in other.err) == (2, True)
    write(field, "spring", SALE)
    project.add(field.config.folder, "[quiet]\nhours = '21:00-08:00'")
    assert "settings changed" in run(field, "--plan", plan).err
    plan = find_plan(run(field, "--dry-run").out)
    done = run(field, "--plan", plan)
    assert (done.code, "spring: is scheduled" in done.err) == (0, True)
    again = run(field, "--plan", plan)
    assert (again.code, "nothing to apply" in again.err) == (0, True)
    shown = pushctl("campaigns", "show", "spring", cwd=field.config.folder).out
    assert "campaigns/spring.toml, applied" in shown
    listed = pushctl("campaigns", "list", "--json", cwd=field.config.folder).out
    assert json.loads(listed)[0]["file"] == "spring"
    told = pushctl("explain", "spring", cwd=field.config.folder).out
    assert "asked\tcampaigns/spring.toml, applied" in told


def test_without_a_terminal_somebody_has_to_say_yes(field: Field) -> None:
    asked = run(field)
    assert (asked.code, "add --yes" in asked.err) == (2, True)
    assert field.store.campaigns.list_newest() == []
    assert run(field, "--yes", "spring").code == 0
    assert len(field.store.campaigns.list_newest()) == 1


def test_a_renamed_file_asks(field: Field) -> None:
    assert run(field, "--yes").code == 0
    file = files.find_folder(field.config) / "spring.toml"
    file.rename(file.with_name("may.toml"))
    command = [*PROGRAM, "apply"]
    left = on_terminal(command, answers=["n"], cwd=field.config.folder)
    assert (left.code, "It is left alone" in left.out) == (0, True)
    taken = on_terminal(command, answers=["y", "y"], cwd=field.config.folder)
    assert (taken.code, "stands for what was" in taken.out) == (0, True)
    assert len(field.store.campaigns.list_newest()) == 1


def test_a_review_has_sample_data_and_no_person(field: Field) -> None:
    text = 'title = "Hi"\nbody = "# <b>*{{ attributes.first_name | default(\'friend\') }}*"\n'
    (field.config.templates / "sale/en.toml").write_text(text, "utf-8")
    with field.store.write() as connection:
        connection.execute("""UPDATE subscriptions SET attributes = '{"first_name":"Zoe"}'""")
    assert "Zoe" in run(field, "--dry-run").out
    review = run(field, "--dry-run", "--markdown").out
    assert "Zoe" not in review
    assert r"> \# &lt;b&gt;\*Anna\*" in review
    assert "| all | - | 40 |" in review
    assert "What could be better:" in review


def test_mistakes_end_with_their_lines_and_check_finds_them(field: Field) -> None:
    write(field, "spring", f"{SALE}tamplate = 'x'\n")
    wrong = run(field, "--yes")
    assert (wrong.code, "spring.toml:4: tamplate" in wrong.err) == (3, True)
    checked = pushctl("check", "--json", cwd=field.config.folder).out
    found = [row for row in json.loads(checked) if row["area"] == "campaigns"]
    assert [row["place"] for row in found] == ["campaigns/spring.toml:4: tamplate"]
    missing = run(field, "autumn", "--dry-run")
    assert (missing.code, "there is no campaigns/autumn.toml" in missing.err) == (4, True)
    (files.find_folder(field.config) / "spring.toml").unlink()
    assert "There is no file in" in run(field, "--yes").err


def test_one_applies_at_a_time(field: Field) -> None:
    with lock.hold(apply.find_lock(field.store), "another"):
        assert run(field, "--yes").code == 75
        assert run(field, "--dry-run").code == 0
    both = [
        Running(["apply", "--yes"], environment(), cwd=field.config.folder, stderr=PIPE)
        for _ in range(2)
    ]
    codes = [one.communicate(60) and one.returncode for one in both]
    assert set(codes) <= {0, 75}
    assert 0 in codes
    assert [it.name for it in field.store.campaigns.list_newest()] == ["spring"]

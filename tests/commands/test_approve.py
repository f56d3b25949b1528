"""`pushctl approve`: shown, refused to who asked, withdrawn; it needs the folder alone."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import approval_files
from tests.support import project, sending
from tests.support.program import pushctl
from tests.support.sending import Field, soon


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    project.add(made.config.folder, "[approval]\nabove = 2")
    home = made.config.templates / "sale"
    (home / "ar.toml").write_text('title = "تخفيضات"\nbody = "اليوم"\n', "utf-8")
    (home / "tr.toml").write_text("title = 'x'\nbody = 'y{% if values %}z{% endif %}'\n")
    made.people(3, now=soon())
    yield made
    made.store.close()


def run(field: Field, *words: str, code: int = 0) -> str:
    shown = pushctl(*words, cwd=field.config.folder)
    assert shown.code == code, shown.out + shown.err
    return shown.out + shown.err


def test_it_is_shown_and_an_own_word_does_not_count(field: Field, tmp_path: Path) -> None:
    folder = field.config.folder / "approvals"
    said = run(field, "send", "--everyone", "--template=sale", "--name=x", "--yes")
    assert "pushctl approve 'x'" in said and "planned\twaits for approval\t3" in said
    (row,) = json.loads(run(field, "approve", "--json"))
    assert (row["campaign"], row["people"], row["approval"]) == ("x", 3, "no")
    # Without pushctl.toml, database and keys.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ("approve", row["hash"][:8], f"--folder={folder}")
    shown = pushctl(*words, "--dry-run", "--html=page.html", cwd=elsewhere)
    assert shown.code == 0, shown.err
    for text in ("Everything must go", "تخفيضات", "{% if values %}", "3 people, above 2"):
        assert text in shown.out
    assert "تخفيضات" in (elsewhere / "page.html").read_text("utf-8")
    refused = pushctl(*words, "--yes", cwd=elsewhere)
    assert refused.code == 2 and "somebody else has to" in refused.err
    assert not (folder / row["hash"]).exists()
    assert run(field, "approve", "y", code=4)


def test_what_waits_is_said_everywhere(field: Field) -> None:
    run(field, "send", "--everyone", "--template=sale", "--name=x", "--at=tomorrow 9:00", "-y")
    folder = field.config.folder / "approvals"
    (row,) = json.loads(run(field, "approve", "--json"))
    approval_files.approve(folder, row["hash"], "x")  # by hand, past the command
    run(field, "sweep")
    shown = run(field, "campaigns", "show", "x")
    assert "paused" in shown and "somebody else has to approve it" in shown
    assert "not approved yet" in run(field, "explain", "x")
    assert "3 planned (waits for approval)" in run(field, "explain", "x")
    planned = json.loads(run(field, "plan", "--json"))
    assert [one["note"] for one in planned if one["what"] == "x"] == ["waits for approval"]
    person = json.loads(run(field, "subscribers", "list", "--json"))[0]["public_id"]
    assert "; waits for approval" in run(field, "explain", person)
    assert "x\tonce" in run(field, "schedules", "list")
    assert "x waits for approval" in pushctl("check", cwd=field.config.folder).out
    assert "is not approved any more" in run(field, "approve", "x", "--withdraw")
    assert os.listdir(folder) == [f"{row['hash']}.json"]


def test_nothing_is_frozen_where_nobody_can_be_asked(field: Field) -> None:
    project.add(field.config.folder, 'folder = "there/approvals"')
    words = ("send", "--everyone", "--template=sale", "--name=x", "--yes")
    for at in ((), ("--at=tomorrow 9:00",)):
        said = run(field, *words, *at, code=3)
        assert "will wait for approval: 3 people, above 2" in said
        assert "install -d -m 2770" in said
    assert "no campaign is called" in run(field, "campaigns", "show", "x", code=4)
    (field.config.folder / "there").mkdir()
    assert "waits for approval" in run(field, *words)
    assert len(os.listdir(field.config.folder / "there/approvals")) == 1
    assert "waits for approval" in run(field, "plan")  # what is due waits from today on

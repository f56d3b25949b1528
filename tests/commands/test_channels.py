"""Steps on other channels by the command line: one sweep, and what people see of it."""

import json
from pathlib import Path

import pytest

from tests.commands.test_webhooks import arrive
from tests.support import project
from tests.support.program import pushctl
from tests.support.webhooks import URL

TRIGGER = """
[triggers.hello]
on = "subscribed"
steps = [{ after = "0s", exec = ["./sms.sh"] }]
"""
PROGRAM = "#!/bin/sh\ncat >> called\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = project.make(tmp_path / "shop")
    project.add(made, TRIGGER)
    (made / "sms.sh").write_text(PROGRAM)
    (made / "sms.sh").chmod(0o755)
    assert pushctl("sweep", cwd=made).code == 0
    return made


def test_a_sweep_calls_and_everything_else_only_says_so(folder: Path) -> None:
    arrive(folder)
    dry = pushctl("sweep", "--dry-run", cwd=folder)
    assert "hello, step 1: exec sms.sh" in dry.out
    tried = pushctl("triggers", "test", "hello", "--for", "1", "--json", cwd=folder)
    assert any(one["template"] == "exec sms.sh" for one in json.loads(tried.out)), tried
    assert not (folder / "called").exists()
    done = pushctl("sweep", cwd=folder)
    assert (done.code, "1 taken by other channels" in done.out) == (0, True), done
    assert json.loads((folder / "called").read_text())["data"]["trigger"] == "hello"
    assert pushctl("sweep", cwd=folder).out == ""
    assert "hello/1:exec: accepted" in pushctl("explain", "1", cwd=folder).out
    assert "exec sms.sh" in pushctl("triggers", "show", "hello", cwd=folder).out
    assert "No campaign yet" in pushctl("stats", cwd=folder).err
    (row,) = json.loads(pushctl("triggers", "list", "--json", cwd=folder).out)
    assert (row["messages"], row["calls"]) == (0, 1)


def test_check_names_programs_that_are_missing_or_anybodys(folder: Path) -> None:
    assert pushctl("check", cwd=folder).out.count("sms.sh") == 0
    (folder / "sms.sh").chmod(0o777)
    assert "can be changed by others" in pushctl("check", cwd=folder).out
    (folder / "sms.sh").unlink()
    assert "can't be found" in pushctl("check", cwd=folder).out


def test_an_unknown_webhook_is_named_with_its_line(folder: Path) -> None:
    hook = f'[[webhooks]]\nname = "crm"\nurl = "{URL}"\n'
    step = TRIGGER.replace("hello", "other").replace('exec = ["./sms.sh"]', 'webhook = "crn"')
    project.add(folder, hook + step)
    found = pushctl("sweep", cwd=folder)
    assert (found.code, "Did you mean crm?" in found.err) == (3, True), found

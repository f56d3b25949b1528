"""What keeps a person from sending twice by mistake: sweeps go on with what is frozen."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.errors import ConfigError
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.results import recovery
from pushctl.store import Store
from tests.support import project, sending
from tests.support.program import PROGRAM, on_terminal, pushctl
from tests.support.sending import Field, soon

SEND = ("send", "--everyone", "--template", "sale", "--yes")


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    made.people(5, now=soon())
    yield made
    made.store.close()


def test_nothing_is_frozen_where_the_keys_are_missing(field: Field) -> None:
    for key in field.config.keys.glob("vapid-*.pem"):
        key.unlink()
    run = pushctl(*SEND, cwd=field.config.folder)
    assert (run.code, "there is no VAPID key" in run.err) == (3, True)
    assert field.store.campaigns.list_newest() == []


def test_nothing_is_frozen_where_nothing_can_be_written_down(field: Field) -> None:
    if field.config.journal.exists():
        field.config.journal.rmdir()
    field.config.journal.write_text("in the way")
    run = pushctl(*SEND, cwd=field.config.folder)
    assert (run.code, "is no folder" in run.err) == (3, True), run.err
    assert field.store.campaigns.list_newest() == []


def test_a_disk_that_is_nearly_full_is_said_before(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MIN_FREE_TO_SEND_BYTES", 1 << 60)
    with pytest.raises(ConfigError, match="make room"):
        deliver.check_ready(field.store, field.config)


def test_after_an_error_it_is_said_that_the_campaign_stands(field: Field) -> None:
    folder = field.config.folder
    with lock.hold(deliver.lock_path(field.store, 1), "a sweep"):
        run = pushctl(*SEND, "--name", "x", cwd=folder)
    assert run.code == 75, run.err
    assert "x is saved, 5 wait: the next sweep continues it" in run.err
    assert "pushctl campaigns cancel 'x'" in run.err


def test_who_sends_the_same_once_more_is_told_of_the_first(field: Field) -> None:
    folder = field.config.folder
    field.freeze(soon(), name="first")
    run = pushctl(*SEND[:-1], "--dry-run", cwd=folder)
    assert (run.code, "first has the same template" in run.err) == (0, True), run.err
    other = pushctl("send", "--tag", "Sale", "--dry-run", cwd=folder)
    assert "has the same template" not in other.err
    assert pushctl("campaigns", "cancel", "first", "--yes", cwd=folder).code == 0
    assert "has the same" not in pushctl(*SEND[:-1], "--dry-run", cwd=folder).err


def test_the_same_once_more_reaches_only_who_has_not_got_it(field: Field) -> None:
    folder = field.config.folder
    field.freeze(soon(), name="first", limit=2)
    dry = pushctl("send", "--everyone", "--template", "sale", "--dry-run", cwd=folder)
    assert "3 people" in dry.out
    assert "left out: 2 are to get it (campaign 'first'); --again" in dry.out
    command = [*PROGRAM, "send", "--everyone", "--template", "sale"]
    asked = on_terminal(command, answers=["n"], cwd=folder)
    assert "Send this to 3 people, without 2 who have it already?" in asked.out
    command = [*command, "--again"]
    asked = on_terminal(command, answers=["n"], cwd=folder)
    assert "Send this to 5 people?" in asked.out


def test_the_table_says_who_was_left_out(field: Field) -> None:
    folder = field.config.folder
    field.freeze(soon(), name="first", limit=2)
    at = ("send", "--everyone", "--template", "sale", "--at", "2099-01-01 09:00", "--yes")
    assert pushctl(*at, "--name", "rest", cwd=folder).code == 0
    shown = pushctl("campaigns", "show", "rest", "--json", cwd=folder)
    assert json.loads(shown.out) == [
        {"status": "planned", "reason": "waits its turn", "count": 3},
        {"status": "left_out", "reason": "is to get the same message", "count": 2},
    ]
    nobody = pushctl(*SEND, "--json", cwd=folder)
    assert (nobody.code, "Nothing was sent: 5 are to get it" in nobody.err) == (0, True)
    assert json.loads(nobody.out) == [
        {"status": "left_out", "reason": "is to get the same message", "count": 5}
    ]
    assert len(field.store.campaigns.list_newest()) == 2


def test_a_database_of_somebody_else_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "pushctl.db").mkdir()
    with pytest.raises(ConfigError, match="unable to open database file"):
        Store(tmp_path / "pushctl.db")


def test_nothing_is_frozen_where_the_secret_is_missing(field: Field) -> None:
    (field.config.keys / "secret").unlink()
    for more in ((), ("--at", "tomorrow 09:00")):
        run = pushctl(*SEND, *more, cwd=field.config.folder)
        assert (run.code, "keys/secret can't be read" in run.err) == (3, True), run
    assert field.store.campaigns.list_newest() == []


def test_nothing_is_frozen_where_messages_are_led_to_no_loopback_address(field: Field) -> None:
    project.add(field.config.folder, '[push.loopback.hosts]\n"a.example" = "example.com:443"')
    run = pushctl(*SEND, cwd=field.config.folder)
    assert (run.code, field.store.campaigns.list_newest()) == (3, []), run

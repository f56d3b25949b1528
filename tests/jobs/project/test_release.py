"""A database that was restored or copied sends nothing until somebody says so (G5)."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.errors import ConfigError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.store import Store
from pushctl.store.events import Event
from tests.support import MINUTE, project, sending
from tests.support.program import pushctl
from tests.support.rows import everybody
from tests.support.sending import Field
from tests.support.shop import BASKET


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    folder = tmp_path / "project"
    made = sending.field(folder, service)
    for name in ("one", "two"):
        sending.template(folder, name, title=name, body="-")
    sending.lead_to(folder, service)
    project.add(folder, BASKET)
    yield made
    made.store.close()


def backup(field: Field) -> Path:
    copy = field.config.folder / "backup.db"
    copy.unlink(missing_ok=True)
    with sqlite3.connect(copy) as target:
        field.store.connection.backup(target)
    target.close()
    return copy


def restore(field: Field, copy: Path) -> None:
    database = field.config.database
    field.store.close()
    for each in (f"{database}-wal", f"{database}-shm"):
        Path(each).unlink(missing_ok=True)
    shutil.copyfile(copy, database)
    field.store = Store(database)


def sweep(field: Field) -> tuple[int, str]:
    run = pushctl("sweep", cwd=field.config.folder)
    return run.code, run.err


def leave(field: Field, person: int) -> None:
    at = sending.soon() - 4 * MINUTE
    told = {"items": [{"id": "lamp", "name": "Lamp", "price": 20}]}
    field.store.events.add([Event(person, "cart_updated", at, at, told, f"{person}")])


def test_a_project_sends_and_goes_on_sending(field: Field) -> None:
    for number in range(2):
        (person,) = field.people(1, first=number)
        leave(field, person)
        assert sweep(field)[0] == 0
    assert restore_guard.find_trouble(field.store, field.config) is None


def test_an_old_backup_reminds_nobody_a_second_time(field: Field, service: PushService) -> None:
    (ann,) = field.people(1, tag=None)
    leave(field, ann)
    before = backup(field)
    assert sweep(field)[0] == 0
    assert len(service.receipts()) == 1
    restore(field, before)

    code, told = sweep(field)
    assert (code, "pushctl release" in told) == (3, True)
    send = pushctl("send", "--everyone", "--template", "sale", "--yes", cwd=field.config.folder)
    assert (send.code, field.store.campaigns.list_newest()) == (3, [])
    assert len(service.receipts()) == 1

    run = pushctl("release", "--yes", cwd=field.config.folder)
    assert (run.code, "older than what was sent" in run.err) == (0, True)
    assert sweep(field)[0] == 0
    assert len(service.receipts()) == 1


def test_codes_that_a_backup_does_not_know_as_given_out_are_set_aside(
    field: Field, service: PushService
) -> None:
    sending.template(field.config.folder, "code", title="{{ promo }}", body="-")
    field.people(5)
    pool = field.store.promo_codes.create("b15", 1, sending.soon())
    field.store.promo_codes.add(pool.id, [f"code-{number}" for number in range(4_500)])
    before = backup(field)
    field.freeze(sending.soon(), template="code", promo="b15")
    assert sweep(field)[0] == 0
    assert field.store.promo_codes.count_free(pool.id) == 4_495
    restore(field, before)
    run = pushctl("release", "--yes", cwd=field.config.folder)
    assert (run.code, "2,000 promo codes" in run.err) == (0, True), run.err
    # One batch was lost, of 2,000 codes at most: the first ones.
    counts = field.store.promo_codes.count_states(pool.id)
    assert (counts["set_aside"], counts["free"]) == (2_000, 2_500)
    # Where nobody knows how much was lost, all of them.
    restore(field, before)
    restore_guard.make_path(field.config).unlink()
    field.store.meta.set("generation", "7")
    assert pushctl("release", "--yes", cwd=field.config.folder).code == 0
    assert field.store.promo_codes.count_free(pool.id) == 0


def test_a_campaign_that_ran_when_the_backup_was_made_is_in_doubt_not_sent_again(
    field: Field, service: PushService
) -> None:
    field.people(30)
    campaign = field.freeze(sending.soon())
    before = backup(field)
    assert sweep(field)[0] == 0
    assert len(service.receipts()) == 30
    restore(field, before)

    assert pushctl("release", "--yes", cwd=field.config.folder).code == 0
    assert sweep(field)[0] == 0
    assert len(service.receipts()) == 30
    assert field.counts(campaign) == {"in_doubt": 30}


def test_enrolments_of_a_backup_end_with_their_reason_and_new_ones_begin(
    field: Field, service: PushService
) -> None:
    (ann,) = field.people(1, tag=None)
    leave(field, ann)
    assert sweep(field)[0] == 0  # the second message is to come
    before = backup(field)
    (bob,) = field.people(1, first=1, tag=None)
    leave(field, bob)
    assert sweep(field)[0] == 0
    restore(field, before)

    assert pushctl("release", "--yes", cwd=field.config.folder).code == 0
    (enrolment,) = field.store.enrolments.list_all(ann)
    assert enrolment.state == "cancelled"
    assert [one.kind for one in field.store.histories.list_decisions(ann)][-1] == "cancel"
    assert field.store.subscriptions.get(str(ann), 0).tags == ()
    (eve,) = field.people(1, first=2, tag=None)
    leave(field, eve)
    assert sweep(field)[0] == 0
    assert len(service.receipts()) == 3


def test_a_copy_of_the_project_sends_nothing(field: Field, service: PushService) -> None:
    (ann,) = field.people(1, tag=None)
    leave(field, ann)
    assert sweep(field)[0] == 0
    copy = field.config.folder.with_name("copy")
    shutil.copytree(field.config.folder, copy)

    run = pushctl("sweep", "--accept-clock", cwd=copy)
    assert run.code in (0, 3)
    run = pushctl(
        "send", "--everyone", "--template", "sale", "--yes", "--name", "twice", cwd=copy
    )
    assert (run.code, "was copied" in run.err) == (3, True)
    (copy / "pushctl.db.generation").unlink()
    run = pushctl("campaigns", "resume", "basket/1", cwd=copy)
    assert (run.code, "is missing" in run.err) == (3, True)
    assert len(service.receipts()) == 1


def test_who_moved_the_project_says_so_and_all_goes_on(
    field: Field, service: PushService
) -> None:
    field.people(3)
    campaign = field.freeze(sending.soon())
    restore_guard.accept(field.store, field.config)
    copy = restore_guard.make_path(field.config).read_bytes()
    restore_guard.make_path(field.config).rename(
        restore_guard.make_path(field.config).with_name("old")
    )
    restore_guard.make_path(field.config).write_bytes(copy)
    assert sweep(field)[0] == 3

    assert pushctl("release", "--moved", "--yes", cwd=field.config.folder).code == 0
    assert sweep(field)[0] == 0
    assert field.counts(campaign) == {"accepted": 3}


def test_another_machine_is_noticed(
    field: Field, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    restore_guard.accept(field.store, field.config)
    (tmp_path / "machine-id").write_text("another")
    monkeypatch.setattr(restore_guard, "_MACHINE", tmp_path / "machine-id")
    with pytest.raises(ConfigError, match="another machine"):
        restore_guard.check(field.store, field.config)


def test_a_dry_run_and_reading_are_always_allowed(field: Field) -> None:
    restore_guard.accept(field.store, field.config)
    restore_guard.make_path(field.config).unlink()
    folder = field.config.folder
    assert pushctl("sweep", "--dry-run", cwd=folder).code == 0
    assert pushctl("campaigns", "list", cwd=folder).code == 0


def test_check_says_that_nothing_is_sent(field: Field) -> None:
    restore_guard.accept(field.store, field.config)
    restore_guard.make_path(field.config).unlink()
    run = pushctl("check", cwd=field.config.folder)
    assert run.code == 3
    assert "pushctl release" in run.out + run.err


def test_there_is_nothing_to_release_in_a_project_that_may_send(field: Field) -> None:
    run = pushctl("release", "--yes", cwd=field.config.folder)
    assert (run.code, "Nothing to release" in run.err) == (0, True)


def test_a_database_that_is_gone_is_not_begun_anew_by_itself(tmp_path: Path) -> None:
    folder = project.make(tmp_path)
    (folder / "pushctl.db.generation").write_text("it has sent something")
    (folder / "pushctl.db").unlink()
    for words in (("tags", "list"), ("init",), ("send", "--everyone", "--message", "Hello")):
        run = pushctl(*words, cwd=folder)
        assert run.code == 3 and "Restore it from a backup" in run.err, words
        assert not (folder / "pushctl.db").exists()
    (folder / "pushctl.db.generation").unlink()
    assert pushctl("init", cwd=folder).code == 0


def test_release_erases_anew_where_nothing_was_sent_since(tmp_path: Path) -> None:
    field = sending.field(tmp_path)
    field.people(2)
    backup = sqlite3.connect(":memory:")
    field.store.connection.backup(backup)
    ann, _ = everybody(field.store)
    assert pushctl("subscribers", "forget", ann.public_id, "--yes", cwd=tmp_path).code == 0
    backup.backup(field.store.connection)
    run = pushctl("release", "--yes", cwd=tmp_path)
    assert run.code == 0 and "1 person erased anew" in run.err
    assert len(everybody(field.store)) == 1
    field.store.close()

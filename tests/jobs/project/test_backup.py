"""Backups: everything at one moment; what is restored is whole, and sends nothing."""

import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import apikeys, durable, inbox, lock
from pushctl import config as configs
from pushctl.config import Config
from pushctl.errors import BusyError, ConfigError, DamagedError, InputError
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest.drain import drain
from pushctl.jobs.project import backup, backup_files, release, restore
from pushctl.jobs.subscribers import forget
from pushctl.store import Store
from tests.support import MINUTE, backups, killed, posting, project, sending
from tests.support.program import pushctl
from tests.support.rows import everybody
from tests.support.sending import Field
from tests.support.shop import BASKET

CART = {"items": [{"id": "lamp", "name": "Lamp", "price": 20}]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has something of everything; its tests work on copies."""
    folder = tmp_path_factory.mktemp("made") / "shop"
    field = sending.field(folder)
    field.people(3)
    field.freeze(sending.soon(), name="planned")
    apikeys.create(field.config.keys, "erp", ["events"], "shop", sending.soon())
    (folder / "campaigns").mkdir()
    (folder / "campaigns" / "spring.toml").write_text('template = "sale"\n')
    for each in (folder / "templates").iterdir():
        if each.name not in ("sale", "welcome"):
            shutil.rmtree(each)
    visit(field.config, 90)
    field.store.close()
    return folder


@pytest.fixture
def field(made: Path, tmp_path: Path) -> Iterator[Field]:
    folder = tmp_path / "shop"
    shutil.copytree(made, folder)
    with reopen(folder) as found:
        yield found


def reopen(folder: Path) -> "_Open":
    return _Open(folder)


class _Open:
    def __init__(self, folder: Path) -> None:
        config = configs.load(folder / "pushctl.toml", {})
        self.field = Field(config, Store(config.database), "")

    def __enter__(self) -> Field:
        return self.field

    def __exit__(self, *_: object) -> None:
        self.field.store.close()


def visit(config: Config, number: int) -> None:
    """A browser subscribes: a line of the inbox that nobody has imported."""
    from pushctl.push import vapid

    browser = posting.Browser(number, vapid.load_public(config.keys))
    writer = inbox.Writer(config.inbox)
    writer.append([browser.subscribe(at=sending.soon() - 60_000)])
    writer.close()


def import_all(field: Field) -> int:
    secret = field.config.secret()
    return drain(field.store, field.config, secret, sending.soon()).applied.total()


def dump(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    lines = [line for line in connection.iterdump() if '"meta"' not in line]
    connection.close()
    return lines


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if "pushctl.db" not in path.name and not path.name.endswith(".lock")
    }


def test_what_is_restored_is_what_was_there(field: Field, tmp_path: Path) -> None:
    file = backups.write(field.store, field.config, tmp_path / "backup")
    done = backups.bring_back(file, tmp_path / "new")
    shop, new = field.config.folder, tmp_path / "new"
    assert contents(new) == contents(shop)
    assert dump(new / "pushctl.db") == dump(shop / "pushctl.db")
    assert done.files == len(contents(new)) + 1
    for name in ("keys", "inbox", "journal"):
        assert (new / name).stat().st_mode & 0o777 == 0o700
    for path in (file, new / "pushctl.db", new / "keys" / "secret"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup", "new", "shop"]
    text = file.read_bytes()
    assert b"SQLite format" not in text and (shop / "keys" / "secret").read_bytes() not in text


def test_nothing_is_sent_before_release_even_where_nothing_had_been_sent(
    field: Field, tmp_path: Path
) -> None:
    file = backups.write(field.store, field.config, tmp_path / "backup")
    backups.bring_back(file, tmp_path / "new")
    with reopen(tmp_path / "new") as new:
        now, campaign = sending.soon(), new.store.campaigns.get("planned")
        with pytest.raises(ConfigError, match="restored from the backup of"):
            deliver.run(new.store, new.config, campaign, now)
        counts = release.release(new.store, new.config, now)
        assert counts["messages"] == 3
        assert restore_guard.find_trouble(new.store, new.config) is None
        assert new.counts(campaign) == {"in_doubt": 3}
    # The folder that it was made of goes on, of course.
    assert restore_guard.find_trouble(field.store, field.config) is None


def test_nothing_else_leaves_a_restored_project_either(field: Field, tmp_path: Path) -> None:
    """No step's program, no webhook, no alert, no urgent message, no series: see release."""
    folder, told = field.config.folder, tmp_path / "told"
    tool = folder / "tool.sh"
    tool.write_text(f"#!/bin/sh\necho $1 >> {told}\n")
    tool.chmod(0o700)
    project.add(
        folder,
        """
[triggers.call]
on = "subscribed"
steps = [{ after = "1s", exec = ["./tool.sh", "step"] }]
[[alerts]]
name = "queue"
kind = "queue"
above = 1
exec = ["./tool.sh", "alert"]
[[webhooks]]
name = "crm"
url = "https://crm.example/pushctl"
""",
    )
    assert pushctl("sweep", cwd=folder).code in (0, 5)
    told.unlink(missing_ok=True)
    visit(field.config, 93)
    assert pushctl("import", cwd=folder).code == 0
    with reopen(folder) as fresh:
        backups.write(fresh.store, fresh.config, tmp_path / "backup")
    backups.bring_back(tmp_path / "backup", tmp_path / "new")
    assert (tmp_path / "new" / "tool.sh").stat().st_mode & 0o777 == 0o700
    for words in (
        ("sweep",), ("sweep", "--accept-clock"), ("webhooks", "test", "crm"),
        ("campaigns", "resume", "planned"),
        ("send", "--everyone", "--template", "sale", "--yes", "--name", "more"),
    ):  # fmt: skip
        run = pushctl(*words, cwd=tmp_path / "new")
        assert (run.code, "pushctl release" in run.err) == (3, True), (words, run.err)
    assert not told.exists()
    with reopen(tmp_path / "new") as new:
        assert new.counts(new.store.campaigns.get("planned")) == {"planned": 3}
    assert pushctl("release", "--yes", cwd=tmp_path / "new").code == 0
    pushctl("sweep", cwd=tmp_path / "new")
    # What no sweep had read may have been answered since: it starts nothing.
    assert not told.exists() or "step" not in told.read_text()


def test_a_line_that_is_drained_meanwhile_is_applied_once(field: Field, tmp_path: Path) -> None:
    order: list[str] = []

    def after(name: str) -> None:
        order.append(name)
        if name.endswith(".seg"):  # it goes into the database before that is read
            assert import_all(field) == 1
            visit(field.config, 91)

    (tmp_path / "backup").write_bytes(backups.pack_plain(field.store, field.config, after))
    assert [it.rpartition(".")[2] for it in order[:3]] == ["json", "seg", "db"]
    backups.bring_back(tmp_path / "backup", tmp_path / "new")
    with reopen(tmp_path / "new") as new:
        assert len(everybody(new.store)) == 4
        assert import_all(new) == 0  # the segment is there again, and known
        assert len(everybody(new.store)) == 4
        assert not list(new.config.inbox.glob("*.seg"))


def test_what_the_inbox_had_at_the_backup_reminds_nobody_a_second_time(
    field: Field, tmp_path: Path
) -> None:
    """A sweep after the backup has drained it, and answered it by a message."""
    folder = field.config.folder
    project.add(folder, BASKET)
    for name in ("one", "two"):
        sending.template(folder, name, title=name, body="-")
    assert pushctl("sweep", cwd=folder).code == 0
    (one,) = [it for it in everybody(field.store) if it.endpoint.endswith("test-90")]
    now = sending.soon()
    told = {"name": "cart_updated", "at": now - 4 * MINUTE, "id": "cart", "properties": CART}
    browser = posting.Browser(90, "")
    writer = inbox.Writer(field.config.inbox)
    writer.append([browser.post("/v1/events", at=now, events=[told])])
    writer.close()
    backups.write(field.store, field.config, tmp_path / "backup")
    assert count_reminders(folder, one.public_id) == 1
    backups.bring_back(tmp_path / "backup", tmp_path / "new")
    released = pushctl("release", "--yes", cwd=tmp_path / "new")
    assert released.code == 0, released.err
    assert count_reminders(tmp_path / "new", one.public_id) == 0


def count_reminders(folder: Path, public_id: str) -> int:
    """Sweep; return how many messages of the basket somebody has, whatever became of them."""
    pushctl("sweep", cwd=folder)
    sql = """
        SELECT count(*) FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
          JOIN subscriptions AS s ON s.id = d.subscription_id
         WHERE c.name = 'basket/1' AND s.public_id = ?
    """
    with reopen(folder) as found:
        (count,) = found.store.connection.execute(sql, (public_id,)).fetchone()
    return int(count)


def test_a_line_that_is_being_written_is_left_to_the_next_backup(
    field: Field, tmp_path: Path
) -> None:
    (segment,) = field.config.inbox.glob("*.seg")
    whole = segment.read_bytes()
    with segment.open("ab") as file:
        file.write(whole[: len(whole) // 2])
    backups.write(field.store, field.config, tmp_path / "backup")
    backups.bring_back(tmp_path / "backup", tmp_path / "new")
    assert (tmp_path / "new" / "inbox" / segment.name).read_bytes() == whole


def test_what_lies_elsewhere_comes_into_the_folder(field: Field, tmp_path: Path) -> None:
    """Else a restored project would work on the database of the one that still runs."""
    field.store.close()
    folder, away = field.config.folder, tmp_path / "away"
    away.mkdir()
    for name in ("pushctl.db", "keys", "inbox"):
        shutil.move(folder / name, away / name)
    file = folder / "pushctl.toml"
    lines = f'database = "{away}/pushctl.db"\nkeys = "../away/keys"\n'
    file.write_text(lines + file.read_text())
    elsewhere = configs.load(file, {"PUSHCTL_INBOX": str(away / "inbox")})
    with Store(elsewhere.database) as store:
        backups.write(store, elsewhere, tmp_path / "backup")
    backups.bring_back(tmp_path / "backup", tmp_path / "new")
    with reopen(tmp_path / "new") as new:
        paths = (new.config.database, new.config.keys, new.config.inbox)
        assert {path.parent for path in paths} == {tmp_path / "new"}
        assert len(everybody(new.store)) == 3 and import_all(new) == 1
    assert "all settings of your project" in (tmp_path / "new/pushctl.toml").read_text()


def test_who_was_erased_since_stays_erased(field: Field, tmp_path: Path) -> None:
    import_all(field)
    backups.write(field.store, field.config, tmp_path / "backup")
    ann, *_ = everybody(field.store)
    now = sending.soon()
    secret = field.config.secret()
    forget.forget(field.store, field.config, secret, ann.public_id, now, dry_run=False)
    (key,) = apikeys.load(field.config.keys).values()
    apikeys.revoke(field.config.keys, key.id, now)
    visit(field.config, 92)
    former = field.config.folder
    done = backups.bring_back(tmp_path / "backup", tmp_path / "new", former)
    assert "who was erased since" in done.taken
    with reopen(tmp_path / "new") as new:
        assert import_all(new) == 1  # the visitor since
        names = {one.public_id for one in everybody(new.store)}
        assert ann.public_id not in names and len(names) == 4
        (found,) = apikeys.load(new.config.keys).values()
        assert found.revoked == now
    # Without the former folder nobody can know.
    backups.bring_back(tmp_path / "backup", tmp_path / "newer")
    with reopen(tmp_path / "newer") as newer:
        assert ann.public_id in {one.public_id for one in everybody(newer.store)}


def test_the_former_folder_says_how_much_was_sent_since(field: Field, tmp_path: Path) -> None:
    """So that release sets aside few promo codes, not all."""
    restore_guard.accept(field.store, field.config)
    backups.write(field.store, field.config, tmp_path / "backup")
    for _ in range(3):
        with field.store.write():
            number = restore_guard.count_up(field.store, field.config)
        restore_guard.write_generation(field.config, number)
    former = field.config.folder
    backups.bring_back(tmp_path / "backup", tmp_path / "new", former)
    with reopen(tmp_path / "new") as new:
        assert restore_guard.count_lost(new.store, new.config) == 3
        release.release(new.store, new.config, sending.soon())
    shutil.copytree(former, tmp_path / "copied")  # it may not be the place that sent
    backups.bring_back(tmp_path / "backup", tmp_path / "newer", tmp_path / "copied")
    with reopen(tmp_path / "newer") as newer:
        assert restore_guard.count_lost(newer.store, newer.config) is None


def test_a_former_project_that_is_at_work_is_refused(field: Field, tmp_path: Path) -> None:
    backups.write(field.store, field.config, tmp_path / "backup")
    former = field.config.folder
    with (
        lock.hold(former / "pushctl.db.sweep"),
        pytest.raises(BusyError, match="a sweep is at work"),
    ):
        backups.bring_back(tmp_path / "backup", tmp_path / "new", former)
    assert not (tmp_path / "new").exists()
    (former / "pushctl.toml").write_text("damaged [")
    assert backups.bring_back(tmp_path / "backup", tmp_path / "new", former).files > 5


def test_a_folder_that_is_not_empty_is_refused_and_an_empty_one_is_taken(
    field: Field, tmp_path: Path
) -> None:
    file = backups.write(field.store, field.config, tmp_path / "backup")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").write_text("dear to me")
    for place in (tmp_path / "new", tmp_path / "new" / "mine"):
        with pytest.raises(InputError):
            backups.bring_back(file, place)
    assert (tmp_path / "new" / "mine").read_text() == "dear to me"
    (tmp_path / "new" / "mine").unlink()
    assert backups.bring_back(file, tmp_path / "new").files > 5


def test_a_changed_backup_leaves_nothing_behind(field: Field, tmp_path: Path) -> None:
    data = backups.write(field.store, field.config, tmp_path / "backup").read_bytes()
    bad = [data[:cut] for cut in (0, 30, 200, len(data) // 2, len(data) - 1)]
    bad += [
        data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :]
        for at in (40, 250, len(data) // 2, len(data) - 1)
    ]
    for number, text in enumerate([*bad, data + b"more"]):
        (tmp_path / "bad").write_bytes(text)
        with pytest.raises(InputError, match="bad"):
            backups.bring_back(tmp_path / "bad", tmp_path / f"new{number}")
        with pytest.raises(InputError):
            restore.check(tmp_path / "bad", backups.OPENER, backups.tell_nobody)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup", "bad", "shop"]
    assert restore.check(tmp_path / "backup", backups.OPENER, backups.tell_nobody).files > 5


def repack(field: Field, folder: Path, change: dict[str, bytes | None]) -> Path:
    """Return a plain backup in which files are others; None: one that is missing."""
    files = {}
    data = backups.pack_plain(field.store, field.config)
    (folder / "plain").write_bytes(data)
    with tarfile.open(folder / "plain") as tar:
        for each in tar:
            stream = tar.extractfile(each)
            assert stream is not None
            files[each.name] = stream.read()
    last = files.pop(backup.MANIFEST)
    files = {name: text for name, text in {**files, **change}.items() if text is not None}
    files.setdefault(backup.MANIFEST, last)
    entries = ((backup.Entry(name, len(it), 0o644), [it]) for name, it in files.items())
    (folder / "changed").write_bytes(b"".join(backup.pack(entries)))
    return folder / "changed"


def manifest(field: Field, folder: Path, change: dict[str, bytes]) -> dict[str, bytes | None]:
    """Return *change* with a manifest that agrees with it, as a forger would write one."""
    import hashlib

    with tarfile.open(repack(field, folder, {})) as tar:
        stream = tar.extractfile(backup.MANIFEST)
        assert stream is not None
        files = json.load(stream)["files"]
    for name, text in change.items():
        files[name] = {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}
    return {**change, backup.MANIFEST: json.dumps({"files": files}).encode()}


def test_the_manifest_finds_what_was_changed_added_or_left_out(
    field: Field, tmp_path: Path
) -> None:
    changes: list[tuple[dict[str, bytes | None], str]] = [
        ({"keys/secret": b"x" * 32}, "keys/secret in it was changed"),
        ({"keys/more": b"x"}, "keys/more is missing in it, or was added"),
        ({"keys/secret": None}, "keys/secret is missing"),
        ({backup.MANIFEST: b"no JSON"}, "manifest can't be read"),
        ({backup.ABOUT: None}, "no backup of pushctl's"),
        ({backup.ABOUT: b'{"format": 9, "made_at": 1, "pushctl": "9.0"}'}, "Install that"),
    ]
    for change, words in changes:
        file = repack(field, tmp_path, change)
        with pytest.raises(InputError, match=words):
            backups.bring_back(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_forged_backup_leads_nowhere_else(field: Field, tmp_path: Path) -> None:
    settings = (field.config.folder / "pushctl.toml").read_text()
    for line in (f'database = "{tmp_path}/live.db"', 'keys = "../live"', 'inbox = "~"'):
        change = manifest(field, tmp_path, {"pushctl.toml": f"{line}\n{settings}".encode()})
        with pytest.raises(ConfigError, match="leads out of its folder"):
            backups.bring_back(repack(field, tmp_path, change), tmp_path / "new")
    for database, words in ((b"no database", "damaged"), (b"", "damaged")):
        change = manifest(field, tmp_path, {"pushctl.db": database})
        with pytest.raises(ConfigError, match=words):
            backups.bring_back(repack(field, tmp_path, change), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_newer_database_and_a_huge_file_are_refused(
    field: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('pushctl', 'm999')"
    field.store.connection.execute(sql)
    backups.write(field.store, field.config, tmp_path / "backup")
    with pytest.raises(ConfigError, match="newer pushctl made this backup"):
        backups.bring_back(tmp_path / "backup", tmp_path / "new")
    room = os.statvfs(tmp_path)
    free = 70_000_000 // room.f_frsize
    few = os.statvfs_result((*room[:3], free, free, *room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    (field.config.folder / "templates" / "big").write_bytes(bytes(9_000_000))
    backups.write(field.store, field.config, tmp_path / "bigger")
    with pytest.raises(ConfigError, match="MB are missing"):
        backups.bring_back(tmp_path / "bigger", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_damaged_database_is_not_backed_up(field: Field, tmp_path: Path) -> None:
    field.store.checkpoint()
    with Store(field.config.database) as store, field.config.database.open("r+b") as file:
        file.seek(4096 * 50)
        file.write(b"\xff" * 4096 * 30)
        file.flush()
        with pytest.raises(DamagedError):
            backups.write(store, field.config, tmp_path / "backup")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["shop"]
    assert not list(field.config.folder.glob("*.copy"))


def test_killed_at_any_point_it_leaves_no_backup_or_a_whole_one(
    field: Field, tmp_path: Path
) -> None:
    field.store.close()
    target = tmp_path / "backups"
    target.mkdir()

    def work() -> None:
        config = configs.load(field.config.file, {})
        with Store(config.database) as store:
            backups.write(store, config, target / f"{backup.make_stem(config)}1")

    files = killed.files_of(backup, backup_files, durable)
    points = killed.find_points(work, files, [tmp_path])
    (whole,) = target.iterdir()
    kills = 0
    for at in points.first:
        for each in target.iterdir():
            each.unlink()
        kills += killed.run(work, at, files)
        for each in target.iterdir():
            if each.name.endswith(".new"):
                continue  # the next one removes it
            assert each == whole
            restore.check(each, backups.OPENER, backups.tell_nobody)
        whole.unlink(missing_ok=True)
        if at % 5 == 1:
            work()
            assert list(target.iterdir()) == [whole]
        assert not list(field.config.folder.glob("*.copy"))
    assert kills == len(points.first)
    assert points.lines > 20


def test_a_restore_that_is_killed_leaves_no_project_and_the_next_clears_up(
    field: Field, tmp_path: Path
) -> None:
    file = backups.write(field.store, field.config, tmp_path / "backup")

    def work() -> None:
        backups.bring_back(file, tmp_path / "new")

    files = killed.files_of(restore)
    points = killed.find_points(work, files, [tmp_path])
    for at in points.first:
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        killed.run(work, at, files)
        if (tmp_path / "new").exists():
            with reopen(tmp_path / "new") as new:
                assert restore_guard.find_trouble(new.store, new.config)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    work()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup", "new", "shop"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    words = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_both_and_nothing_is_left(
    field: Field, tmp_path: Path, small_disk: Path
) -> None:
    file = backups.write(field.store, field.config, tmp_path / "backup")
    filler = small_disk / "filler"
    for size in range(1 << 20, (1 << 20) - file.stat().st_size, -9_000):
        filler.write_bytes(bytes(size))
        with pytest.raises(ConfigError, match="the disk is full"):
            backups.write(field.store, field.config, small_disk / "backup")
        assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    backups.write(field.store, field.config, small_disk / "backup")
    (small_disk / "backup").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushctl.jobs.project.unpacking.MIN_FREE_TO_RESTORE_BYTES", 0)
        for size in (900_000, 500_000, 300_000):
            filler.write_bytes(bytes(size))
            with pytest.raises(ConfigError, match=r"full|missing|can't be used"):
                backups.bring_back(file, small_disk / "new")
            assert list(small_disk.iterdir()) == [filler]
        filler.unlink()
        # A disk of its own: nothing can be renamed onto it.
        assert backups.bring_back(file, small_disk).files > 5
    with reopen(small_disk) as new:
        assert len(everybody(new.store)) == 3


def test_old_backups_of_the_same_project_go(field: Field, tmp_path: Path) -> None:
    stem = backup.make_stem(field.config)
    names = [f"{stem}202611{day:02}T030000Z.tar.gz.age" for day in range(1, 6)]
    others = ["pushctl-other-20261101T030000Z.tar.gz.age", f"{stem}mine.tar.gz.age"]
    target = tmp_path / "backups"
    target.mkdir()
    for name in names + others:
        (target / name).touch()
    assert backup.clear_old(target, field.config, 0) == []
    backup.clear_old(target, field.config, 2)
    assert sorted(it.name for it in target.iterdir()) == sorted(names[-2:] + others)

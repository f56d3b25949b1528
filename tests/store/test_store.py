"""pushctl.store: opening, migrating, writing from several processes."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from pushctl import cli
from pushctl import store as store_module
from pushctl.errors import BusyError, ConfigError, DatabaseBusyError, InputError
from pushctl.model import Cause
from pushctl.rules.messages.content import hash_content
from pushctl.store import KNOWN_MIGRATIONS, Store
from pushctl.store import connection as connection_module
from pushctl.store.schema import migrations
from tests.support import project

Capture = pytest.CaptureFixture[str]

ADD = "INSERT INTO meta (key, value) VALUES (?, 'x')"


def keys(store: Store) -> list[str]:
    return [key for (key,) in store.connection.execute("SELECT key FROM meta ORDER BY key")]


def test_a_missing_database_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist.*pushctl init"):
        Store(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_every_migration_is_known_by_name(tmp_path: Path) -> None:
    # KNOWN_MIGRATIONS spares a run from loading sqlite-utils; it must not fall behind.
    assert tuple(m.name for m in migrations.pending(Database(memory=True))) == KNOWN_MIGRATIONS


def test_opening_again_migrates_nothing_and_keeps_what_is_there(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", create=True) as store, store.write() as connection:
        connection.execute(ADD, ["a"])
    with Store(tmp_path / "a.db") as store:
        assert keys(store) == ["a"]
    assert not list(tmp_path.glob("a.db.before-*"))


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Store(path, create=True) as store:
        newer = Migrations("pushctl")

        @newer()
        def m999_future(db: Database) -> None:
            db.execute("CREATE TABLE future (id INTEGER)")

        newer.apply(Database(store.connection))
    with pytest.raises(ConfigError, match=r"newer pushctl.*m999_future"):
        Store(path)


def test_an_older_database_is_backed_up_before_it_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with Store(path, create=True) as store, store.write() as connection:
        connection.execute(ADD, ["old"])

    @migrations(name="m999_test")
    def m999_test(db: Database) -> None:
        db.execute("CREATE TABLE added (id INTEGER) STRICT")

    monkeypatch.setattr(store_module, "KNOWN_MIGRATIONS", (*KNOWN_MIGRATIONS, "m999_test"))
    try:
        with Store(path) as store:
            assert store.connection.execute("SELECT count(*) FROM added").fetchone() == (0,)
            assert keys(store) == ["old"]
    finally:
        migrations._migrations = [m for m in migrations._migrations if m.name != "m999_test"]
    (copy,) = tmp_path.glob("a.db.before-*")
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as backup:
        assert backup.execute("SELECT key FROM meta").fetchall() == [("old",)]
        assert not backup.execute("SELECT 1 FROM sqlite_master WHERE name = 'added'").fetchall()


REASONS = [
    ("503 service fault, 6 times", "service_fault"),
    ("308 redirect", "redirect"),
    ("410 unsubscribed", "gone"),
    ("403 other key", "subscription_refused"),
    ("401 key refused, until its time was over", "sender_refused"),
    ("400 bad TTL", "bad_request"),
    ("403 invalid endpoint", "unexpected"),
    ("429 too many requests", "throttled"),
    ("not sent: timeout", "no_connection"),
    ("timeout", "timeout"),
    ("connection lost", "connection_lost"),
    ("connection lost with others", "connection_lost_with_others"),
    ("the sender was stopped", "sender_stopped"),
    ("the database was restored: it may have gone out after the backup", "database_restored"),
    ("asks us to slow down (429 too many requests)", "service_waits"),
    ("meanwhile unsubscribed", "not_active"),
    ("sent again by hand", "by_hand"),
    ("'name' is not known", "other"),
    (None, None),
]


def test_rows_of_before_there_were_causes_get_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(path)
    migrations.apply(database, stop_before="m006_causes")
    database["campaigns"].insert(
        {"name": "c", "status": "paused", "template": "t", "audience": "x", "sources": "{}",
         "created_at": 1, "note": "paused by hand"}
    )  # fmt: skip
    database["deliveries"].insert_all(
        {"campaign_id": 1, "enrolment_id": number, "changed_at": 1, "reason": reason}
        for number, (reason, _) in enumerate(REASONS)
    )
    database.close()
    with Store(path) as store:
        rows = store.connection.execute("SELECT reason, cause FROM deliveries ORDER BY id")
        assert rows.fetchall() == REASONS
        assert store.campaigns.get("c").cause is Cause.BY_HAND


def test_broadcasts_of_before_are_found_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(path)
    migrations.apply(database, stop_before="m008_content")
    sources = {"en.toml": "title = 'İndirim'"}
    old = {"status": "finished", "template": "t", "audience": "x", "created_at": 1,
           "sources": json.dumps(sources, ensure_ascii=False)}  # fmt: skip
    database["campaigns"].insert_all(
        [{"name": "sale", **old}, {"name": "basket/1", **old, "trigger": "basket", "step": 1}],
        alter=False,
    )
    database.close()
    with Store(path) as store:
        found = store.connection.execute("SELECT name, content_hash FROM campaigns ORDER BY id")
        assert found.fetchall() == [("sale", hash_content(sources, {})), ("basket/1", None)]


def test_messages_of_before_have_the_text_of_their_campaign(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(path)
    migrations.apply(database, stop_before="m017_earlier_texts")
    content = hash_content({}, {})
    campaign = {"id": 1, "name": "sale", "template": "t", "audience": "x", "created_at": 1,
                "status": "finished", "sources": "{}", "content_hash": content}  # fmt: skip
    database["campaigns"].insert(campaign)
    database["sites"].insert({"id": 1, "name": "shop", "origin": "https://shop.example"})
    person = {"id": 7, "public_id": "ann", "site_id": 1, "state_at": 1, "endpoint": "x",
              "endpoint_hash": bytes(16), "p256dh": bytes(65), "auth": bytes(16), "key_id": "k",
              "subscribed_at": 1, "last_seen_at": 1}  # fmt: skip
    database["subscriptions"].insert(person)
    database["deliveries"].insert(
        {"campaign_id": 1, "subscription_id": 7, "status": "accepted", "changed_at": 5}
    )
    database.close()
    with Store(path) as store:
        assert list(store.campaigns.list_holders(content, 5, 6)) == [(7, False, "sale")]
        store.campaigns.replace_sources(1, {"en.toml": "title = 'Sale'"}, 9)
        assert list(store.campaigns.list_holders(content, 5, 6)) == [(7, False, "sale")]


def test_tags_that_are_one_now_are_merged_and_nobody_loses_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(path)
    migrations.apply(database, stop_before="m014_folding")
    database["sites"].insert({"id": 1, "name": "shop", "origin": "https://shop.example"})
    for number in range(4):
        values = {"id": number, "public_id": f"person {number}", "site_id": 1, "state_at": 1}
        values |= {"endpoint_hash": bytes([number]) * 16, "endpoint": "x", "auth": bytes(16)}
        values |= {"p256dh": bytes(65), "key_id": "k", "subscribed_at": 1, "last_seen_at": 1}
        database["subscriptions"].insert(values)
    # As builds before this one folded them.
    names = {1: ("İndirim", "i\u0307ndirim"), 2: ("indirim", "indirim"), 3: ("kadın", "kadın"),
             4: ("KADIN", "kadin"), 5: ("Ｘ", "ｘ"), 6: ("VIP", "vip")}  # fmt: skip
    database["tags"].insert_all(
        {"id": row, "name": name, "folded": folded} for row, (name, folded) in names.items()
    )
    held = [(1, 0, 5, None), (2, 0, 7, 9), (1, 1, 5, 8), (2, 1, 4, 9), (2, 2, 6, 9),
            (4, 3, 5, None), (6, 3, 5, 6)]  # fmt: skip
    columns = ("tag_id", "subscription_id", "set_at", "expires_at")
    database["subscription_tags"].insert_all(
        dict(zip(columns, row, strict=True)) for row in held
    )
    database.close()
    with Store(path) as store:
        read = store.connection.execute
        assert read("SELECT id, name, folded FROM tags ORDER BY id").fetchall() == [
            (1, "İndirim", "indirim"), (3, "kadın", "kadin"), (5, "Ｘ", "x"), (6, "VIP", "vip"),
        ]  # fmt: skip
        sql = "SELECT * FROM subscription_tags ORDER BY tag_id, subscription_id"
        assert read(sql).fetchall() == [
            (1, 0, 7, None), (1, 1, 5, 9), (1, 2, 6, 9), (3, 3, 5, None), (6, 3, 5, 6),
        ]  # fmt: skip
        assert store.tags.find("İNDİRİM") == 1 and store.tags.find("Kadın") == 3


def test_counts_of_invitations_stay_when_a_stage_is_added(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(path)
    migrations.apply(database, stop_before="m015_failed_invitations")
    database["sites"].insert({"id": 1, "name": "shop", "origin": "https://shop.example"})
    row = {"site_id": 1, "day": 0, "variant": "card", "language": "en", "browser": "Firefox"}
    database["prompt_counts"].insert_all(
        [row | {"stage": stage, "count": 7, "sender": "ab"} for stage in ("seen", "denied")]
    )
    database.close()
    with Store(path) as store:
        store.prompts.count(1, 5, "card", "en", "Firefox", "failed", "ab")
        store.prompts.count(1, 5, "card", "en", "Firefox", "seen", "ab")
        (found,) = store.prompts.load_funnel("variant")
        assert (found["seen"], found["denied"], found["failed"]) == (8, 7, 1)
        senders = store.connection.execute("SELECT DISTINCT sender FROM prompt_counts")
        assert senders.fetchall() == [("ab",)]


def test_a_migration_that_fails_leaves_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    Store(path, create=True).close()

    @migrations(name="m999_bad")
    def m999_bad(db: Database) -> None:
        db.execute("CREATE TABLE half (id INTEGER) STRICT")
        db.execute("CREATE TABLE half (id INTEGER) STRICT")

    monkeypatch.setattr(store_module, "KNOWN_MIGRATIONS", (*KNOWN_MIGRATIONS, "m999_bad"))
    try:
        with pytest.raises(sqlite3.OperationalError):
            Store(path)
    finally:
        migrations._migrations = [m for m in migrations._migrations if m.name != "m999_bad"]
        monkeypatch.undo()
    with Store(path) as store:
        sql = "SELECT 1 FROM sqlite_master WHERE name = 'half'"
        assert store.connection.execute(sql).fetchall() == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("hello, this is not a database, not at all" * 100)
    with pytest.raises(ConfigError, match=r"a\.db is damaged.*backup"):
        Store(tmp_path / "a.db")


def test_database_and_lock_are_for_their_owner_only(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", create=True) as store, store.write() as connection:
        connection.execute(ADD, ["a"])
        for path in tmp_path.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path


def test_durability_is_full_and_deleted_bytes_are_overwritten(store: Store) -> None:
    def pragma(name: str) -> object:
        return store.connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", 2)
    assert (pragma("foreign_keys"), pragma("secure_delete")) == (1, 1)
    assert pragma("trusted_schema") == 0


def test_an_error_rolls_everything_back(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute(ADD, ["a"])
        1 / 0  # noqa: B018
    assert keys(store) == []
    with store.write() as connection:
        connection.execute(ADD, ["b"])
    assert keys(store) == ["b"]


def test_nested_writes_are_one_transaction(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as outer:
        outer.execute(ADD, ["outer"])
        with store.write() as inner:
            inner.execute(ADD, ["inner"])
        1 / 0  # noqa: B018
    assert keys(store) == []


def test_a_savepoint_undoes_itself_alone(store: Store) -> None:
    with store.write() as connection:
        connection.execute(ADD, ["kept"])
        with pytest.raises(ZeroDivisionError), store.savepoint():
            connection.execute(ADD, ["undone"])
            1 / 0  # noqa: B018
        with store.savepoint():
            connection.execute(ADD, ["kept too"])
    assert keys(store) == ["kept", "kept too"]


def test_what_a_constraint_refuses_inside_a_savepoint_is_bad_input(store: Store) -> None:
    with store.write() as connection:
        connection.execute(ADD, ["a"])
        with pytest.raises(InputError, match="UNIQUE"), store.savepoint():
            connection.execute(ADD, ["a"])
        with pytest.raises(InputError, match="too large"), store.savepoint():
            connection.execute("UPDATE meta SET value = ?", (2**70,))
    assert keys(store) == ["a"]


HOLD = """
import sys
from pathlib import Path
from pushctl.store import Store
with Store(Path(sys.argv[1])) as store, store.write() as connection:
    connection.execute("INSERT INTO meta VALUES ('held', 'x')")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def writer(path: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    return process


def test_a_writer_that_waits_too_long_is_told_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    process = writer(store.path)
    try:
        with pytest.raises(BusyError, match="another run has been writing"), store.write():
            pass
        assert keys(store) == []  # reading goes on meanwhile, and sees what is committed
    finally:
        process.communicate(b"\n")
    with store.write():
        assert keys(store) == ["held"]


def test_a_killed_writer_leaves_nothing_and_holds_nothing(store: Store) -> None:
    process = writer(store.path)
    process.kill()
    process.communicate()
    with store.write() as connection:
        connection.execute(ADD, ["next"])
    assert keys(store) == ["next"]


def test_a_foreign_program_that_holds_the_database_makes_us_busy_not_broken(
    store: Store,
) -> None:
    store.connection.execute("PRAGMA busy_timeout = 20")
    foreign = sqlite3.connect(store.path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(BusyError, match="another program holds"), store.write():
            pass
    finally:
        foreign.close()
    with store.write() as connection:
        connection.execute(ADD, ["a"])


def test_a_full_disk_is_told_and_survived(store: Store) -> None:
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(ConfigError, match=r"full.*disk's space"), store.write() as connection:
        for number in range(100):
            connection.execute("INSERT INTO meta VALUES (?, ?)", (number, "x" * 2000))
    store.connection.execute("PRAGMA max_page_count = 1000000")
    with store.write() as connection:
        connection.execute(ADD, ["a"])
    assert keys(store) == ["a"]


def test_a_mistake_in_sql_stays_a_bug(store: Store) -> None:
    wrong = pytest.raises(sqlite3.OperationalError, match="no such table")
    with wrong, store.write() as connection:
        connection.execute("INSERT INTO typo VALUES (1)")


def test_checkpoint_empties_the_log(store: Store) -> None:
    with store.write() as connection:
        connection.execute(ADD, ["a"])
    store.checkpoint()
    assert os.path.getsize(f"{store.path}-wal") == 0


def test_opening_a_database_loads_no_sqlite_utils(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from pushctl.store import Store\n"
        "Store(Path(sys.argv[1])).close(); print('sqlite_utils' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], capture_output=True, text=True
    )
    assert done.stdout == "False\n"


def find_patience(store: Store) -> int:
    """Return the milliseconds that the store's statements wait for other programs."""
    return int(store.connection.execute("PRAGMA busy_timeout").fetchone()[0])


def test_who_has_waited_for_a_foreign_program_waits_no_second_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    foreign = sqlite3.connect(store.path, isolation_level=None)
    foreign.execute("BEGIN EXCLUSIVE")
    waits = []
    for _ in range(3):
        with pytest.raises(DatabaseBusyError, match="another program holds"), store.write():
            pass
        waits.append(find_patience(store))
    assert waits == [0, 0, 0]
    foreign.close()
    for _ in range(2):
        with store.write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('a', 'x')")
    assert find_patience(store) == 50, "it was free: the next one may wait again"


def test_waiting_for_our_own_writers_counts_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    process = writer(store.path)
    asked = []
    try:
        for _ in range(2):
            with pytest.raises(DatabaseBusyError, match="another run has been"), store.write():
                pass
            asked.append(store._blocked)
    finally:
        process.communicate(b"\n")
    assert asked == [True, True]


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_sweep_that_finds_the_database_held_says_so(
    tmp_path: Path, exclusive: bool, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    project.make(tmp_path / "p")
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(connection_module, "BUSY_SECONDS", 0.05)
    foreign = sqlite3.connect(tmp_path / "p/pushctl.db", isolation_level=None)
    if exclusive:  # not even readers come in
        foreign.execute("PRAGMA locking_mode = EXCLUSIVE")
        foreign.execute("CREATE TABLE theirs (x)")
        foreign.execute("DROP TABLE theirs")
    foreign.execute("BEGIN EXCLUSIVE")
    assert cli.run(["--project", str(tmp_path / "p"), "sweep"]) == 75
    assert "another program holds" in capsys.readouterr().err
    foreign.close()

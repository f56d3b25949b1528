"""`pushctl db`: damage is found, what is old goes as [retention] says, room comes back."""

import json
import os
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl import lock
from pushctl.jobs.sweep import retention as job
from pushctl.rules import retention
from pushctl.store import Store
from pushctl.store.events import Event
from tests.support import DAY, project, sending
from tests.support.program import Run, pushctl
from tests.support.shop import BASKET

OLD = 500 * DAY
_ROWS = [
    """
    INSERT INTO decisions (trigger, subscription_id, kind, at, reason)
    VALUES ('basket', :person, 'wait', :at, '')
    """,
    "INSERT INTO interests (product, subscription_id, at) VALUES ('lamp' || :at, :person, :at)",
    "INSERT INTO feed_items (trigger, item, at) VALUES ('news', 'a' || :at, :at)",
    """
    INSERT INTO prompt_counts (site_id, day, variant, language, browser, stage, count)
    VALUES (1, :at, 'a', 'en', 'Firefox', 'seen', 3)
    """,
    "INSERT INTO runs (command, started_at) VALUES ('sweep', :at)",
    "INSERT INTO api_calls (at, key, route, what, calls) VALUES (:at, 'k', 'r', 'w', 1)",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with rows of every kind, each old and new."""
    folder = tmp_path_factory.mktemp("db") / "shop"
    field = sending.field(folder)
    project.add(folder, BASKET)
    people, now = field.people(2), sending.soon()
    for age in (OLD, DAY):
        fill(field.store, people[0], now - age)
    field.store.close()
    return folder


def fill(store: Store, person: int, at: int) -> None:
    store.events.add(
        Event(person, "page_view", at, at, {"text": "x" * 900}, f"{at}-{number}")
        for number in range(400)
    )
    with store.write() as connection:
        for sql in _ROWS:
            connection.execute(sql, {"person": person, "at": at})


def run(shop: Path, *words: str) -> Run:
    return pushctl("db", *words, cwd=shop)


def test_what_is_old_goes_and_orders_are_no_kind_of_it(shop: Path) -> None:
    dry = run(shop, "prune", "--dry-run", "--json")
    counts = {row["name"]: row["rows"] for row in json.loads(dry.out)}
    expected = dict.fromkeys(
        ("decisions", "carts", "feeds", "invitations", "runs", "api"), 1
    ) | {"events": 400}
    assert {name: rows for name, rows in counts.items() if rows} == expected
    assert not {"orders", "subscriptions", "deliveries"} & counts.keys()
    assert run(shop, "prune", "--dry-run", "--json").out == dry.out
    done = run(shop, "prune", "--yes")
    assert (done.code, "406 rows deleted" in done.err) == (0, True), done.err
    left = json.loads(run(shop, "prune", "--dry-run", "--json").out)
    assert sum(row["rows"] for row in left) == 0
    with Store(shop / "pushctl.db") as store:
        assert len(store.connection.execute("SELECT 1 FROM events").fetchall()) == 400
    before = (shop / "pushctl.db").stat().st_size
    room = run(shop, "vacuum")
    assert (room.code, "MB now" in room.err) == (0, True), room.err
    assert (shop / "pushctl.db").stat().st_size < before - 300_000
    assert run(shop, "check").code == 0


def test_each_kind_has_its_own_time(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    project.add(folder, '[sweep]\nkeep_days = 500\n[retention]\nevents = "120d"\napi = "40d"')
    config = configs.load(folder / "pushctl.toml", {})
    with Store(config.database) as store:
        days = {it.name: it.days for it in job.count(store, config, [], sending.soon())}
    assert (days["events"], days["api"], days["decisions"], days["webhooks"]) == (
        120, 40, 500, 30,
    )  # fmt: skip
    project.add(folder, 'runs = "1d"\nfeeds = "soon"')
    check = pushctl("check", cwd=folder)
    assert (check.code, "Write '1w' or more" in check.out) == (3, True), check.out
    assert "retention.feeds" in check.out


def test_every_kind_can_be_set_and_is_deleted() -> None:
    from dataclasses import fields

    from pushctl.config.upkeep import RetentionConfig
    from pushctl.store import pruning

    names = [kind.name for kind in retention.KINDS]
    assert [it.name for it in fields(RetentionConfig)] == names
    assert sorted(names) == sorted(["events", *pruning._STATEMENTS])


def test_vacuum_waits_for_nobody_and_hinders_nobody(shop: Path) -> None:
    with lock.hold(shop / "pushctl.db.campaign-1.lock"):
        assert run(shop, "vacuum").code == 75
    with lock.hold(shop / "pushctl.db.watch"):
        assert run(shop, "vacuum").code == 75
    os.environ.pop("SQLITE_TMPDIR", None)


def test_damage_in_an_index_is_found(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    with Store(folder / "pushctl.db") as store:
        sql = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_sites_1'"
        (page,) = store.connection.execute(sql).fetchone()
        store.sites.sync({"shop": "https://shop.example"})
        (size,) = store.connection.execute("PRAGMA page_size").fetchone()
        store.checkpoint()
    data = bytearray((folder / "pushctl.db").read_bytes())
    at = data.index(b"shop", (page - 1) * size, page * size)
    data[at : at + 4] = b"shoq"  # the page is sound; the index lacks its row
    (folder / "pushctl.db").write_bytes(data)
    found = pushctl("db", "check", cwd=folder)
    assert (found.code, "damaged" in found.err, "docs/backup.md" in found.err) == (
        3, True, True,
    ), found.err  # fmt: skip

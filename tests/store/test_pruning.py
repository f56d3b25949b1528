"""What is let go after a while, what stays, and that nobody has to wait for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.store import Store, pruning
from pushctl.store.events import Event
from tests.support import DAY, MINUTE, NOON
from tests.support.shop import Shop

LATER = NOON + 500 * DAY


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    return Shop(tmp_path, store)


def rows(shop: Shop, table: str) -> int:
    (count,) = shop.store.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def test_old_events_decisions_and_enrolments_go_and_new_ones_begin_all_the_same(
    shop: Shop,
) -> None:
    ann = shop.person()
    for day in range(10):
        shop.fill(ann, NOON + day * DAY)
        shop.sweep(NOON + day * DAY)
        shop.sweep(NOON + day * DAY + 3 * MINUTE)
    for day in (20, 22):  # the last enrolment has watched long enough
        shop.sweep(NOON + day * DAY)
    assert shop.store.pruning.run(NOON + 5 * DAY) > 0
    assert 0 < rows(shop, "events") < 10
    assert 0 < rows(shop, "enrolments") < 10
    shop.store.pruning.run(LATER)
    for table in ("events", "enrolments", "decisions", "interests"):
        assert rows(shop, table) == 0
    # What was read is not read again.
    shop.sweep(LATER)
    assert shop.store.enrolments.list_all(ann) == []
    # Nor is anything skipped: its number is behind those that are gone.
    shop.fill(ann, LATER)
    shop.sweep(LATER)
    assert len(shop.store.enrolments.list_all(ann)) == 1


def test_who_still_enrolments_is_kept(shop: Shop) -> None:
    shop.declare("""
[triggers.year]
on = "subscribed"
steps = [{ after = "600d", template = "one" }]
""")
    ann = shop.person()
    shop.event(ann, "subscribed", NOON)
    shop.sweep(NOON)
    shop.store.pruning.run(LATER)
    assert [enrolment.active for enrolment in shop.store.enrolments.list_all(ann)] == [True]


def test_much_is_deleted_in_many_small_transactions(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = shop.person()
    shop.store.events.add(
        Event(ann, "page_view", NOON, NOON, {}, str(number)) for number in range(1001)
    )
    monkeypatch.setattr(pruning, "_CHUNK", 100)
    commits: list[str] = []
    shop.store.connection.set_trace_callback(
        lambda text: commits.append(text) if text == "COMMIT" else None
    )
    assert shop.store.pruning.run(LATER) == 1001
    assert len(commits) >= 10
    assert rows(shop, "events") == 0


def test_names_of_tags_that_nobody_has_go_and_a_shops_own_stay(shop: Shop) -> None:
    ann, tags = shop.person(), shop.store.tags
    with shop.store.write():
        for number in range(1_500):
            tags.ensure(f"tag {number}")
        tags.add([ann], "tag 1400", NOON)
    before = rows(shop, "tags")
    shop.store.pruning.run(NOON)
    left = {name for (name,) in shop.store.connection.execute("SELECT name FROM tags")}
    assert len(left) < before
    assert {"tag 0", "tag 500", "tag 1400"} <= left
    assert not {"tag 1300", "tag 1499"} & left


def test_keys_of_old_baskets_go(shop: Shop) -> None:
    ann = shop.person()
    for number, at in (("1" * 22, NOON), ("2" * 22, NOON + 9 * DAY)):
        shop.store.matches.learn_cart_key(1, number, ann, at)
    shop.store.pruning.run(NOON + 5 * DAY)
    (kept,) = shop.store.connection.execute("SELECT key FROM cart_keys").fetchall()
    assert kept == ("2" * 22,)

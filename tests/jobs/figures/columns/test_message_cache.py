"""Kept columns: right after any change, whoever made it, and never needed."""

import random
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pushctl.jobs.figures.columns import message_cache
from pushctl.jobs.figures.columns.campaign_counts import load_counts
from pushctl.jobs.figures.columns.messages import COLUMNS, load_messages
from pushctl.jobs.figures.columns.status_counts import COUNTS, NAMES
from pushctl.model import InteractionKind
from pushctl.store import Store
from pushctl.store.interactions import Interaction
from pushctl.store.kept_columns import KeptColumn
from tests.support import MINUTE, NOON
from tests.support.sending import Field

KEPT = len(message_cache.COLUMNS) + 1  # and the counts


@pytest.fixture
def sent(sender: Field) -> Field:
    return sent_twice(sender)


def sent_twice(sender: Field) -> Field:
    """Send two campaigns of six messages, all but one accepted, one clicked twice."""
    sender.people(6)
    for name in ("one", "two"):
        made = sender.freeze(name=name)
        rows, _ = sender.store.deliveries.claim_fresh(made.id, 0, 100, NOON)
        sender.store.deliveries.accept([row.id for row in rows[:5]], 201, "en", NOON)
    click(sender.store, 1, "a")
    click(sender.store, 1, "b", "buy")
    return sender


def click(store: Store, row: int, key: str, action: str | None = None) -> None:
    one = Interaction(row, InteractionKind("clicked"), action, NOON, f"{row}:{key}")
    store.interactions.add(one)


def dump(store: Store, *, sound: bool = True) -> dict[str, list[object]]:
    """Return every column with its words, as lists; the rows of the database are *sound*."""
    found = load_messages(store)
    lists: dict[str, list[object]] = {name: getattr(found, name).tolist() for name in COLUMNS}
    for name in ("language", "variant", "reason", "chance"):
        words = getattr(found, f"{name}s")
        lists[name] = [words[code] for code in getattr(found, name)]
    # What SQL counts over the rows has to be the same.
    counts = load_counts(store)
    for row in store.reports.load_funnel(NAMES) if sound else ():
        number = store.campaigns.get(str(row["name"])).id
        assert {name: row[name] for name in NAMES} == counts[number]
    lists["counts"] = list(counts.values())
    return lists


def count_kept(store: Store, campaign: int = 1) -> int:
    sql = "SELECT count(*) FROM kept_columns WHERE campaign_id = ?"
    return int(store.connection.execute(sql, [campaign]).fetchone()[0])


def test_what_was_kept_is_read_and_gives_the_same(
    sent: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(sent.store)
    assert count_kept(sent.store) == KEPT
    monkeypatch.setattr(message_cache, "_build", None)
    assert dump(sent.store) == before


def test_deleting_what_is_kept_changes_no_figure(sent: Field) -> None:
    before = dump(sent.store)
    sent.store.kept_columns.drop([1])
    assert (count_kept(sent.store, 1), count_kept(sent.store, 2)) == (0, KEPT)
    assert dump(sent.store) == before
    sent.store.kept_columns.drop()
    assert dump(sent.store) == before


# A statement for each column and table that figures read; each changes campaign 1 alone.
_CHANGES = {
    "status": "UPDATE deliveries SET status = 'gone' WHERE id = 1",
    "reason": "UPDATE deliveries SET reason = 'x' WHERE id = 1",
    "variant": "UPDATE deliveries SET variant = 'b' WHERE id = 1",
    "language": "UPDATE deliveries SET language = 'ar' WHERE id = 1",
    "sent_at": "UPDATE deliveries SET sent_at = 5 WHERE id = 1",
    "shown_at": "UPDATE deliveries SET shown_at = NULL WHERE id = 1",
    "hour_probability": "UPDATE deliveries SET hour_probability = 0.1 WHERE id = 1",
    "clicked_at": "UPDATE deliveries SET clicked_at = NULL, shown_at = NULL WHERE id = 1",
    "subscription_id": "UPDATE deliveries SET subscription_id = NULL WHERE id = 1",
    "id": "UPDATE deliveries SET id = 900 WHERE id = 6",
    "campaign_id": "UPDATE deliveries SET campaign_id = 2, enrolment_id = 1 WHERE id = 6",
    "inserted": "INSERT INTO deliveries (campaign_id, changed_at) VALUES (1, 0)",
    "deleted": "DELETE FROM deliveries WHERE id = 6",
    "report": "INSERT INTO interactions (delivery_id, kind, at, dedupe_key)"
    " VALUES (2, 'shown', 1, 'x')",
    "click": "INSERT INTO interactions (delivery_id, kind, at, dedupe_key)"
    " VALUES (1, 'clicked', 999999999999999, 'x')",
    "report deleted": "DELETE FROM interactions WHERE dedupe_key = '1:b'",
    "thanked": "INSERT INTO thanked (delivery_id, at) VALUES (3, 1)",
    "foreign": "INSERT INTO foreign_deliveries (delivery_id) VALUES (3)",
}


@pytest.mark.parametrize("what", _CHANGES)
def test_whoever_changes_a_message_has_its_figures_counted_anew(sent: Field, what: str) -> None:
    """Also a program that is not ours: it does so by a connection of its own."""
    before = dump(sent.store)
    with closing(sqlite3.connect(sent.store.path)) as other, other:
        other.execute("PRAGMA foreign_keys = ON")
        other.execute(_CHANGES[what])
    sound = what not in ("shown_at", "clicked_at")
    after = dump(sent.store, sound=sound)
    assert after != before
    sent.store.kept_columns.drop()
    assert dump(sent.store, sound=sound) == after


def test_every_column_that_figures_read_is_among_these_changes() -> None:
    """One that ``read`` gets and no trigger knows would stay as it was for ever."""
    source = Path(message_cache.__file__).parents[3] / "store" / "message_rows.py"
    text = source.read_text()
    read = text[text.index("def read(") : text.index("def read_receivers(")]
    import re

    assert set(re.findall(r"\bd\.(\w+)", read)) <= _CHANGES.keys()


def test_an_erasure_leaves_all_but_whose_a_message_was(sent: Field) -> None:
    dump(sent.store)
    person = load_messages(sent.store, [1], ["subscription"]).subscription[0]
    sent.store.erasure.erase([int(person)], NOON)
    names = sent.store.connection.execute(
        "SELECT name FROM kept_columns WHERE campaign_id = 1"
    ).fetchall()
    assert {name for (name,) in names} == {*message_cache.COLUMNS, "counts"} - {"subscription"}
    after = dump(sent.store)
    assert after["subscription"].count(0) == 2
    assert count_kept(sent.store) == KEPT
    sent.store.kept_columns.drop()
    assert dump(sent.store) == after


def test_a_campaign_is_built_in_few_bytes_a_message(sender: Field) -> None:
    """It took 115 bytes each: over a gigabyte for ten million."""
    peaks = []
    for count, name in ((500, "small"), (5_000, "large")):
        sender.people(count, first=count, tag=name)
        made = sender.freeze(name=name, everyone=False, tags=[name])
        rows, _ = sender.store.deliveries.claim_fresh(made.id, 0, count, NOON)
        sender.store.deliveries.accept([row.id for row in rows], 201, "en", NOON)
        tracemalloc.start()
        assert load_counts(sender.store)[made.id]["accepted"] == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    each = (peaks[1] - peaks[0]) / 4_500
    assert each < 75, f"{each:.0f} bytes"


@pytest.mark.parametrize("change", ["status", "subscription_id"])
def test_what_changes_while_it_is_built_is_not_kept(sent: Field, change: str) -> None:
    parts = dict(message_cache.load(sent.store, [1], message_cache.COLUMNS))
    sent.store.kept_columns.drop()
    mark = sent.store.kept_columns.mark([1, 2])
    sent.store.connection.execute(_CHANGES[change])
    columns = [message_cache._encode(1, name, one) for name, one in parts[1].items()]
    sent.store.kept_columns.keep(mark, columns)
    assert count_kept(sent.store) == 0


def test_of_two_who_build_at_once_the_later_keeps(sent: Field) -> None:
    parts = dict(message_cache.load(sent.store, [1], message_cache.COLUMNS))
    columns = [message_cache._encode(1, name, one) for name, one in parts[1].items()]
    sent.store.kept_columns.drop()
    first = sent.store.kept_columns.mark([1])
    second = sent.store.kept_columns.mark([1])
    sent.store.kept_columns.keep(first, columns)
    assert count_kept(sent.store) == 0
    sent.store.kept_columns.keep(second, columns)
    assert count_kept(sent.store) == len(message_cache.COLUMNS)


def test_a_mark_of_a_dead_process_keeps_nobody_from_building(sent: Field) -> None:
    sent.store.kept_columns.mark([1, 2])
    dump(sent.store)
    assert count_kept(sent.store) == KEPT


def test_while_somebody_writes_nothing_is_kept_and_nobody_waits(
    sent: Field, caplog: pytest.LogCaptureFixture
) -> None:
    before = dump(sent.store)
    sent.store.kept_columns.drop()
    with Store(sent.store.path) as other, other.write():
        assert dump(sent.store) == before
    assert count_kept(sent.store) == 0
    # And whoever writes after that has patience again.
    sent.store.meta.set("x", "y")
    assert dump(sent.store) == before
    assert count_kept(sent.store) == KEPT


def test_where_nothing_can_be_written_figures_are_counted(sent: Field) -> None:
    before = dump(sent.store)
    sent.store.kept_columns.drop()
    sent.store.connection.execute("PRAGMA query_only = ON")
    assert dump(sent.store) == before


def test_columns_whose_campaign_was_changed_without_foreign_keys_are_none(
    sent: Field,
) -> None:
    before = dump(sent.store)
    with closing(sqlite3.connect(sent.store.path)) as other, other:
        other.execute("UPDATE deliveries SET status = 'gone' WHERE id <= 3")
    assert count_kept(sent.store) == KEPT  # orphans
    after = load_messages(sent.store, columns=["status"])
    assert after.status.tolist() != before["status"]
    sent.store.kept_columns.drop()
    assert load_messages(sent.store).status.tolist() == after.status.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_through_the_store_leave_kept_and_counted_alike(
    sent: Field, seed: int
) -> None:
    store, draw = sent.store, random.Random(seed)
    campaigns = [one.id for one in (store.campaigns.get("one"), store.campaigns.get("two"))]
    steps = {
        "click": lambda: click(store, draw.randint(1, 12), str(draw.random())),
        "thank": lambda: store.interactions.add_thanks(draw.randint(1, 12), NOON),
        "again": lambda: store.doubts.send_again(draw.choice(campaigns), NOON),
        "foreign": lambda: store.deliveries.note_foreign([draw.randint(1, 12)]),
        "cancel": lambda: store.deliveries.cancel(draw.choice(campaigns), NOON),
        "forget": lambda: store.erasure.erase([draw.randint(1, 6)], NOON),
        "due": lambda: store.deliveries.claim_due(draw.choice(campaigns), 5, NOON + MINUTE),
        "nothing": lambda: None,
    }
    for _ in range(12):
        steps[draw.choice(list(steps))]()
        kept = dump(store)
        store.kept_columns.drop()
        assert dump(store) == kept


@pytest.mark.parametrize(
    "values",
    [[], [7], [3, 3, 3], [0, 255], [0, 256], [-1, 1_900_000], [5, 2**40], [2**33, 2**33 + 1]],
)
def test_a_column_comes_back_as_it_was(values: list[int]) -> None:
    column = message_cache.Column(np.array(values, np.int64), None)
    found = message_cache._decode(message_cache._encode(1, "x", column))
    assert found.values.tolist() == values


def test_counts_are_read_without_the_data_beside_them(sent: Field) -> None:
    numbers = [1, 2]
    mark = sent.store.kept_columns.mark(numbers)
    large = [
        KeptColumn(each, name, "1", bytes(2 << 20)) for each in numbers for name in COLUMNS
    ]
    sent.store.kept_columns.keep(mark, large)
    sent.store.kept_columns.keep(mark, [KeptColumn(each, COUNTS, "2", b"") for each in numbers])
    sent.store.checkpoint()
    with Store(sent.store.path) as store:
        before = read_bytes()
        found = list(store.kept_columns.read(numbers, [COUNTS]))
        assert [one.campaign for one in found] == numbers
        assert read_bytes() - before < 1 << 20


def read_bytes() -> int:
    """How much this process has read from files so far."""
    text = Path("/proc/self/io").read_text()
    return int(text.partition("rchar: ")[2].split()[0])

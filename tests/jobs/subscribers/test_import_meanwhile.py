"""What other processes change during a long import, and what a file may make it write."""

import gzip
import json
from pathlib import Path

import pytest

from pushctl.jobs.subscribers import imports
from pushctl.rules import limits
from pushctl.rules.tokens import encode, endpoint_hash
from pushctl.store import Store
from tests.support import NOON, auth, endpoint, p256dh, sending
from tests.support.rows import everybody


def line(number: int, *tags: str) -> str:
    keys = {"p256dh": encode(p256dh(number)), "auth": encode(auth(number))}
    return json.dumps({"endpoint": endpoint(number), "keys": keys, "tags": tags}) + "\n"


class Between:
    """A progress bar that has *happen* called after each batch."""

    def __init__(self, happen: object) -> None:
        self._happen = happen

    def __enter__(self) -> "Between":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def total(self, count: int) -> None:
        pass

    def advance(self, count: int = 1) -> None:
        self._happen()  # type: ignore[operator]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH", 3)


def test_a_tag_that_is_deleted_meanwhile_is_made_again(
    sender: sending.Field, tmp_path: Path, small_batches: None
) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text("".join(line(number, "Sale") for number in range(9)))

    def delete() -> None:
        with Store(sender.config.database) as other, other.write() as connection:
            connection.execute("DELETE FROM subscription_tags")
            connection.execute("DELETE FROM tags")

    report = imports.import_file(sender.store, sender.config, file, NOON, bar=Between(delete))
    assert report.added == 9
    assert report.refused == 0


def test_who_is_erased_meanwhile_does_not_come_back(
    sender: sending.Field, tmp_path: Path, small_batches: None
) -> None:
    file, secret = tmp_path / "people.jsonl", sender.config.secret()
    file.write_text("".join(line(number) for number in range(6)))

    def erase() -> None:
        with Store(sender.config.database) as other:
            other.tombstones.add(secret, endpoint_hash(endpoint(4)), NOON)

    report = imports.import_file(
        sender.store, sender.config, file, NOON, secret=secret, bar=Between(erase)
    )
    assert report.rejected == {"the person was forgotten": 1}
    assert len(everybody(sender.store)) == 5


def test_who_was_erased_since_they_were_looked_up_gets_no_tag(sender: sending.Field) -> None:
    first, second = sender.people(2, tag=None)
    with sender.store.write() as connection:
        connection.execute("DELETE FROM subscriptions WHERE id = ?", (first,))
    assert sender.store.tags.add([first, second], "New", NOON) == 1
    assert sender.store.tags.add([first, second], "New", NOON) == 0


def test_a_gzip_bomb_makes_no_file_of_refused_lines_without_end(
    sender: sending.Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REJECTS_BYTES", 100_000)
    file = tmp_path / "people.jsonl.gz"
    bad = json.dumps({"endpoint": "x" * 5_000}) + "\n"
    file.write_bytes(gzip.compress((line(1) + bad * 1_000).encode()))
    report = imports.import_file(sender.store, sender.config, file, NOON)
    assert (report.added, report.refused) == (1, 1_000)
    assert report.rejects is not None
    assert report.rejects.stat().st_size <= 100_000
    kept = len(report.rejects.read_bytes().splitlines())
    assert kept + report.rejects_left_out == 1_000
    assert kept > 10

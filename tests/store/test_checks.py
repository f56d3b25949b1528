"""m055: columns take the same words as before, and no list of them is built for each row."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pushctl.model import DeliveryStatus
from pushctl.store import KNOWN_MIGRATIONS, Store
from pushctl.store.schema.m055_checks import LIST
from tests.support import database, schemas

BEFORE = KNOWN_MIGRATIONS.index("m055_checks")


def read_lists(path: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """Return each table's lists of permitted words, with their columns."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        return {
            name: [(it[1], re.findall("'([^']*)'", it[2])) for it in LIST.finditer(text)]
            for name, text in rows
            if text is not None and LIST.search(text)
        }


def test_every_column_takes_the_words_that_it_took(tmp_path: Path) -> None:
    old = schemas.make(tmp_path / "old.db", BEFORE)
    lists = read_lists(old)
    assert len(lists) >= 10 and "deliveries" in lists
    Store(old).close()
    with closing(sqlite3.connect(old)) as upgraded:
        sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        for table, columns in lists.items():
            (text,) = upgraded.execute(sql, [table]).fetchone()
            for column, words in columns:
                chain = " OR ".join(f"{column} = '{word}'" for word in words)
                assert f"({chain})" in text


def test_a_message_has_one_of_eight_states(tmp_path: Path) -> None:
    old = schemas.make(tmp_path / "old.db", BEFORE)
    change = "UPDATE deliveries SET status = ?"
    with closing(sqlite3.connect(old, isolation_level=None)) as earlier:
        Store(old).close()
        # A connection from before the upgrade checks as a new one does.
        for connection in (earlier, sqlite3.connect(old, isolation_level=None)):
            for status in DeliveryStatus:
                connection.execute(change, [status])
            with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
                connection.execute(change, ["other"])
            connection.close()


def test_no_table_has_a_list_of_words_in_a_check(tmp_path: Path) -> None:
    """A new migration writes ``a = 'x' OR a = 'y'``."""
    database.create(tmp_path / "new.db").close()
    assert read_lists(tmp_path / "new.db") == {}


def test_no_table_is_made_for_each_row_whose_status_changes(tmp_path: Path) -> None:
    with database.create(tmp_path / "new.db") as store:
        sql = "EXPLAIN UPDATE deliveries SET status = 'accepted' WHERE id = 1"
        steps = [row[1] for row in store.connection.execute(sql)]
        assert "Insert" in steps and "OpenEphemeral" not in steps

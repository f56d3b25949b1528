"""Exports: the same rows in every form, whole or not at all, in bounded memory."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from pushctl.errors import ConfigError, UsageError
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.raw_rows import exports
from pushctl.jobs.figures.raw_rows.exports import Form
from pushctl.rules.csv_lines import Dialect
from pushctl.rules.figures.views.catalogue import EXPORTED, VIEWS, Type
from pushctl.store import Store, pages
from tests.support import DAY, NOON, database
from tests.support.people import Human, settle
from tests.support.program import pushctl

HOSTILE = "=cmd|'/c calc'!A0 \x1b[31mred\u202e, \"quoted\"\nsecond; line"


class Quiet:
    def advance(self, count: int = 1) -> None:
        pass

    def total(self, count: int) -> None:
        pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = database.create(tmp_path_factory.mktemp("export") / "pushctl.db")
    people = [
        Human(
            {"alias": f"customer-{number}", "city": "Izmir", "source": HOSTILE},
            site="shop" if number % 3 else "blog",
            subscribed_at=NOON + number * DAY + 7,
            events=(("purchase", NOON + number),),
            outcomes=(("sale", "accepted", 201, NOON + number * DAY),),
            reactions=(("clicked", "sale", NOON),) if number % 2 else (),
        )
        for number in range(25)
    ]
    settle(made, people)
    with made.write() as connection:
        connection.execute(
            "INSERT INTO orders (site_id, source, number, state, minor, exponent, currency, "
            "at, received_at) VALUES (1, 'page', '=1007', 'paid', 4999, 2, 'EUR', 1, 2), "
            "(1, 'page', '1008', 'paid', NULL, NULL, NULL, 1, 2)"
        )
        connection.execute("DELETE FROM events WHERE id BETWEEN 5 AND 20")
    return made


def export(
    store: Store, name: str, path: Path, form: Form, *, people: bool = False,
    asked: Filter | None = None, dialect: Dialect | None = None,
) -> int:  # fmt: skip
    return exports.export(
        store, name, path, form, Quiet(), asked=asked or Filter(), people=people,
        dialect=dialect or Dialect(),
    )  # fmt: skip


def read_raw(store: Store, name: str) -> list[dict[str, object]]:
    """The rows as SQL has them, by one plain statement."""
    connection, _ = pages.open_views(store.path, people=False)
    found = connection.execute(f'SELECT * FROM "{name}" ORDER BY id')
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    connection.close()
    return rows


@pytest.mark.parametrize("size", [1, 4, 5_000])
def test_progress_ends_at_its_total(store: Store, size: int) -> None:
    read = list(pages.read_pages(store.path, "events", size=size))
    assert sum(page.done for page in read) == read[-1].total


@pytest.mark.parametrize("name", EXPORTED)
def test_every_form_has_the_same_rows(
    store: Store, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 4)
    raw = read_raw(store, name)
    types = {field.name: field.type for field in VIEWS[name].fields}

    def plain(name: str, value: object) -> object:
        if value is None:
            return None
        if types[name] is Type.BOOLEAN:
            return bool(value)
        if types[name] is Type.TIME:
            assert isinstance(value, int)
            return datetime.fromtimestamp(value / 1000, UTC)
        return value

    expected = [{key: plain(key, value) for key, value in row.items()} for row in raw]
    for form in (Form.CSV, Form.JSONL, Form.PARQUET):
        assert export(store, name, tmp_path / form, form) == len(raw)
    assert parquet.read_table(tmp_path / "parquet").to_pylist() == expected

    def told(row: dict[str, object]) -> dict[str, object]:
        return {
            key: value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
            if isinstance(value, datetime)
            else value
            for key, value in row.items()
        }

    lines = (tmp_path / "jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [told(row) for row in expected]
    with (tmp_path / "csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(row["id"]) for row in raw]
    assert [list(row) for row in rows] == [list(row) for row in raw]


def test_parquet_has_the_documented_types(store: Store, tmp_path: Path) -> None:
    export(store, "deliveries", tmp_path / "x", Form.PARQUET)
    schema = parquet.read_schema(tmp_path / "x")
    assert str(schema.field("changed_at").type) == "timestamp[ms, tz=UTC]"
    assert str(schema.field("id").type) == "int64"
    assert str(schema.field("clicked").type) == "bool"
    assert str(schema.field("campaign").type) == "string"
    assert str(schema.field("variant_probability").type) == "double"


def test_a_page_is_one_short_read(store: Store, tmp_path: Path) -> None:
    """Between two pages nothing holds the log: whoever writes can empty it."""
    reading = pages.read_pages(store.path, "people", size=3)
    next(reading)
    with store.write() as connection:
        connection.execute("UPDATE deliveries SET attempts = attempts + 1")
    busy, _, _ = store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert sum(len(page.rows) for page in reading) == 22


def test_rows_are_those_of_a_site_and_a_time(store: Store, tmp_path: Path) -> None:
    asked = Filter(site="shop", since=NOON + 5 * DAY, until=NOON + 20 * DAY)
    count = export(store, "people", tmp_path / "x", Form.JSONL, asked=asked)
    rows = [json.loads(line) for line in (tmp_path / "x").read_text().splitlines()]
    assert [row["id"] for row in rows] == [n + 1 for n in range(5, 20) if n % 3]
    assert count == len(rows) == 10
    with pytest.raises(UsageError, match="no site"):
        export(store, "campaigns", tmp_path / "y", Form.CSV, asked=Filter(site="shop"))
    assert not (tmp_path / "y").exists()


def test_text_of_strangers_is_harmless(store: Store, tmp_path: Path) -> None:
    for form in (Form.CSV, Form.EXCEL, Form.JSONL):
        export(store, "people", tmp_path / form, form)
        text = (tmp_path / form).read_text("utf-8")
        assert "\x1b" not in text and "\u202e" not in text
    with (tmp_path / "csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["source"].startswith("'=cmd")
    export(store, "orders", tmp_path / "orders", Form.CSV)
    assert "'=1007" in (tmp_path / "orders").read_text()
    first = json.loads((tmp_path / "jsonl").read_text().splitlines()[0])
    assert first["source"] == HOSTILE  # escaped, not lost


def test_a_spreadsheet_gets_its_own_separator_and_dates(store: Store, tmp_path: Path) -> None:
    german = Dialect(";", ",", spreadsheet=True)
    export(store, "orders", tmp_path / "x", Form.EXCEL, dialect=german)
    raw = (tmp_path / "x").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfid;site;")
    row = next(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), delimiter=";"))
    assert row["amount"] == "49,99" and row["minor"] == "4999"
    assert row["at"] == "1970-01-01 00:00:00"
    assert b"\r\n" in raw


def test_names_of_people_are_there_on_request(store: Store, tmp_path: Path) -> None:
    export(store, "people", tmp_path / "a", Form.CSV)
    export(store, "people", tmp_path / "b", Form.CSV, people=True)
    assert "customer-7" not in (tmp_path / "a").read_text()
    assert "customer-7" in (tmp_path / "b").read_text()


def test_without_pyarrow_one_line_names_the_remedy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'pushctl\[parquet\]'"):
        export(store, "people", tmp_path / "x", Form.PARQUET)
    assert list(tmp_path.iterdir()) == []


def test_duckdb_reads_what_was_written(store: Store, tmp_path: Path) -> None:
    for form in (Form.CSV, Form.JSONL, Form.PARQUET):
        export(store, "deliveries", tmp_path / f"d.{form}", form)
        read = {"csv": "read_csv_auto", "jsonl": "read_json_auto", "parquet": "read_parquet"}
        sql = f"SELECT count(*), sum(clicked::INT), min(changed_at) FROM {read[form]}(?)"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.execute(sql, [str(tmp_path / f"d.{form}")]).fetchone()
        assert found is not None and found[:2] == (25, 12)
        assert str(found[2]).startswith("2026-04-28 08:00:00")


def test_the_command_writes_a_file_and_says_how_many(store: Store, tmp_path: Path) -> None:
    from tests.support import project

    folder = project.make(tmp_path / "shop")
    with Store(folder / "pushctl.db") as own:
        settle(own, [Human({"alias": "ann"}), Human()])
    found = pushctl("export", "people", "--csv", "p.csv", "--people", cwd=folder)
    assert (found.code, found.out) == (0, "")
    assert found.err == "p.csv: 2 rows\n"
    assert (folder / "p.csv").stat().st_mode & 0o777 == 0o600
    looks = pushctl("sql", "SELECT command, rows FROM looks", "--json", cwd=folder)
    assert json.loads(looks.out) == [{"command": "export", "rows": 2}]
    both = pushctl("export", "people", "--csv", "a", "--jsonl", "b", cwd=folder)
    assert both.code == 2 and "name one file" in both.err
    unknown = pushctl("export", "keys", "--csv", "a", cwd=folder)
    assert unknown.code == 2 and "There are: deliveries, interactions" in unknown.err
    assert pushctl("export", "people", "--csv", "no/where.csv", cwd=folder).code == 2
    excel = pushctl("export", "people", "--excel", "e.csv", cwd=folder, LC_ALL="de_DE.UTF-8")
    assert excel.code == 0
    assert (folder / "e.csv").read_bytes().startswith(b"\xef\xbb\xbfid;public_id")


def test_ctrl_c_leaves_nothing_half(store: Store, tmp_path: Path) -> None:
    """The old file stays, and no other one is there."""
    code = f"""
import os, signal, sys
from pathlib import Path
from pushctl.jobs.figures.raw_rows import exports
from pushctl.jobs.figures.filters import Filter
from pushctl.store import Store, pages

class Bar:
    def total(self, count): pass
    def advance(self, count):
        os.kill(os.getpid(), signal.SIGINT)

with Store(Path({str(store.path)!r})) as store:
    path, form = Path({str(tmp_path / "x")!r}), exports.Form(sys.argv[1])
    exports.export(store, "people", path, form, Bar(), asked=Filter())
"""
    for form in (Form.CSV, Form.PARQUET):
        (tmp_path / "x").write_text("old")
        done = subprocess.run(
            [sys.executable, "-c", code, form], capture_output=True, text=True
        )
        assert "KeyboardInterrupt" in done.stderr
        assert [file.name for file in tmp_path.iterdir()] == ["x"]
        assert (tmp_path / "x").read_text() == "old"


def test_a_time_that_no_calendar_has_stops_no_export(tmp_path: Path) -> None:
    with database.create(tmp_path / "pushctl.db") as store:
        person = Human(events=(("seen", NOON), ("seen", NOON + 1)))
        settle(store, [person])
        with store.write() as connection:
            connection.execute("UPDATE events SET at = ? WHERE id = 1", (10**17,))
            connection.execute("UPDATE events SET at = -1 WHERE id = 2")
        for form in (Form.CSV, Form.EXCEL, Form.JSONL):
            file = tmp_path / form.value
            count = exports.export(
                store, "events", file, form, Quiet(), asked=Filter(), dialect=Dialect()
            )
            assert count == 2
        rows = [json.loads(line) for line in (tmp_path / "jsonl").read_text().splitlines()]
        assert [row["at"] for row in rows] == [None, None]

"""pushctl.records: CSV and JSON as spreadsheets, databases and scripts write them."""

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pushctl import records
from pushctl.errors import InputError


def read(folder: Path, content: bytes) -> tuple[tuple[str, ...] | None, list[Any]]:
    """Return the header, and each record with its number; a fault is its text."""
    path = folder / "people"
    path.write_bytes(content)
    with records.open_seekable(path) as file:
        found = records.read(file, "people")
        return found.columns, [
            (one.number, str(one.found) if isinstance(one.found, InputError) else one.found)
            for one in found.rows
        ]


PEOPLE = [{"id": 1, "text": '}"{\\', "tags": [{"a": 1}]}, {"id": 2}, {"id": 3, "x": {"y": {}}}]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(map(json.dumps, PEOPLE)),
        json.dumps(PEOPLE),
        json.dumps(PEOPLE, separators=(",", ":")),
        json.dumps(PEOPLE, indent=2),
        "[\n" + ",\n".join(map(json.dumps, PEOPLE)) + "\n]\n",
        "\n".join(json.dumps(one, indent=4) for one in PEOPLE),
        "\ufeff\n\n" + json.dumps(PEOPLE, indent=1).replace("\n", "\r\n"),
    ],
)
def test_json_in_any_layout(tmp_path: Path, content: str, monkeypatch: Any) -> None:
    for size in (1 << 18, 7):  # in one piece, and cut in the middle of everything
        monkeypatch.setattr(records, "_BUFFER", size)
        columns, rows = read(tmp_path, content.encode())
        assert (columns, [one for _, one in rows]) == (None, PEOPLE)


def test_json_lines_that_end_in_cr(tmp_path: Path) -> None:
    text = "\r".join(map(json.dumps, PEOPLE))
    assert read(tmp_path, text.encode())[1] == list(enumerate(PEOPLE, 1))


def test_an_object_is_known_by_its_first_line(tmp_path: Path) -> None:
    text = '[\n  {\n    "a": 1\n  },\n  {\n    "a": "x"\n  }\n]\n'
    assert read(tmp_path, text.encode())[1] == [(2, {"a": 1}), (5, {"a": "x"})]


def test_what_stands_between_objects_is_a_record_of_its_own(tmp_path: Path) -> None:
    _, rows = read(tmp_path, b'[{"a": 1}, 5, "x}", {"a": oops}, {"a": 2}]')
    assert [one if isinstance(one, dict) else one[:7] for _, one in rows] == [
        {"a": 1}, "no JSON", "no JSON", {"a": 2},
    ]  # fmt: skip


def test_a_cut_off_line_is_one_record(tmp_path: Path) -> None:
    _, rows = read(tmp_path, b'{"a": 1}\n{"a": {"b\n{"a": 2}\n')
    assert [number for number, _ in rows] == [1, 2, 3]
    assert rows[2][1] == {"a": 2}


def test_an_array_that_breaks_off_says_so(tmp_path: Path) -> None:
    _, rows = read(tmp_path, b'[{"a": 1}, {"a": 2')
    assert rows[0][1] == {"a": 1} and "no JSON" in rows[1][1]


@pytest.mark.parametrize("start", [b'{"users": [\n', b'[{"a": "', b'{"a": "' + b"x" * 2**20])
def test_a_record_is_bounded(tmp_path: Path, start: bytes) -> None:
    with pytest.raises(InputError, match=r"longer than 1 MB.*jq -c"):
        read(tmp_path, start + b'{"id": 1},\n' * 300_000)


def test_what_scripts_write_and_the_standard_forbids(tmp_path: Path) -> None:
    _, rows = read(tmp_path, b'{"a": NaN, "b": 1}\n{"a": "\\ud800"}\n{"a": ' + b"[" * 9**5)
    assert rows[0][1] == {"a": None, "b": 1}
    assert rows[1][1] == {"a": "\ud800"}
    assert "no JSON" in rows[2][1]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_with_any_separator_and_line_end(tmp_path: Path, mark: str, end: str) -> None:
    text = end.join((mark.join("abc"), mark.join("123"), "", mark.join(("4", f'"{mark}"', ""))))
    columns, rows = read(tmp_path, text.encode())
    assert columns == ("a", "b", "c")
    assert [found for _, found in rows] == [["1", "2", "3"], ["4", mark, ""]]
    assert rows[0][0] == 2


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_spreadsheets_line_about_its_separator(tmp_path: Path, first: str) -> None:
    columns, rows = read(tmp_path, f"\ufeff{first}\r\na,b;c\r\n1;2\r\n".encode())
    assert (columns, rows) == (("a,b", "c"), [(3, ["1", "2"])])


def test_an_archive_with_lines_that_end_in_cr(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(b"a,b\r1,2\r3,4"))[1] == [
        (2, ["1", "2"]),
        (3, ["3", "4"]),
    ]


def test_a_pipe_is_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a,b\n1,2\n",))
    writer.start()
    with records.open_seekable(path) as file:
        writer.join()
        for _ in range(2):
            assert [one.found for one in records.read(file, "-").rows] == [["1", "2"]]


@pytest.mark.parametrize(
    ("content", "lines"),
    [(b"a\n1\n2\n", 3), (b"a\r1\r2\r", 3), (b"[\n{}]", None), (b"{\n", None)],
)
def test_lines_are_counted_where_they_are_records(
    tmp_path: Path, content: bytes, lines: int | None
) -> None:
    path = tmp_path / "people"
    path.write_bytes(content)
    assert records.count_lines(path) == lines


@pytest.mark.parametrize("content", ["[", '[{"id": 1},', '[\n{"id": 1}\n'])
def test_a_list_that_was_cut_off_has_a_fault(tmp_path: Path, content: str) -> None:
    _, rows = read(tmp_path, content.encode())
    assert rows[-1][1] == "the list that begins in line 1 has no end: the file was cut off"
    assert read(tmp_path, f"{content}]".replace(",]", "]").encode())[1] == rows[:-1]

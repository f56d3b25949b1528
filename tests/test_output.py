"""pushctl.output and rules.wording: nothing of a stranger's commands anything."""

import csv
import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl import output
from pushctl.errors import UsageError
from pushctl.output import Column, Format, Kind
from pushctl.rules import wording
from tests.support import NOON
from tests.support.program import on_terminal

COLUMNS = (
    Column("name", "Campaign"),
    Column("accepted", "Accepted", kind=Kind.NUMBER),
    Column("ctr", "CTR", kind=Kind.SHARE),
    Column("at", "Started", kind=Kind.TIME),
    Column("took", "Took", kind=Kind.DURATION),
    Column("tags", "Tags", kind=Kind.LIST),
)
SPRING = {
    "name": "Spring",
    "accepted": 1_234_567,
    "ctr": 0.0423,
    "at": NOON,
    "took": 200_000,
    "tags": ["VIP", "A b"],
}
EMPTY = {"name": "=cmd|x", "accepted": 0, "ctr": None, "at": None, "took": None, "tags": []}


def show(format: str, rows: str = "[SPRING, EMPTY]", more: str = "") -> list[str]:
    """A program that prints our rows: for looking at it on a terminal."""
    code = f"""
from tests.test_output import *
output.rows({rows}, COLUMNS, Format.{format}{more})
"""
    return [sys.executable, "-c", code]


def test_json_keeps_raw_values_and_utc_times(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([SPRING, EMPTY], COLUMNS, Format.JSON)
    first, second = json.loads(capsys.readouterr().out)
    assert first == SPRING | {"at": "2026-04-28T08:00:00Z"}
    assert second["ctr"] is None


def test_one_is_said_as_one() -> None:
    assert wording.counted(1, "message") == "1 message"
    assert wording.counted(0, "message") == "0 messages"
    assert wording.counted(1234, "person", "people") == "1,234 people"


def test_json_of_nothing_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([], COLUMNS, Format.JSON)
    assert capsys.readouterr().out == "[]\n"


def test_csv_has_keys_raw_numbers_and_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([SPRING, EMPTY], COLUMNS, Format.CSV)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        '"name","accepted","ctr","at","took","tags"',
        '"Spring",1234567,0.0423,"2026-04-28T08:00:00Z",200000,"VIP, A b"',
        '"\'=cmd|x",0,"","","",""',
    ]
    assert shown.err == ""


def test_a_pipe_gets_whole_cells_between_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    output.rows([SPRING | {"name": f"a\tb\n{long}"}], COLUMNS)
    head, line = capsys.readouterr().out.splitlines()
    assert head.split("\t") == [column.title for column in COLUMNS]
    assert line.split("\t")[0] == f"a\ufffdb\ufffd{long}"


def test_no_row_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([], COLUMNS, empty="Nobody yet.")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Nobody yet.\n")


def test_a_terminal_gets_a_table_with_grouped_numbers_and_local_times() -> None:
    shown = on_terminal(show("TABLE", more=", total={'accepted': 1234567}"), NO_COLOR="1").out
    assert "1,234,567   4.2\u202f%   2026-04-28 10:00   3m 20s   VIP, A b" in shown
    assert shown.count("1,234,567") == 2, "the total stands below"
    assert "\x1b" not in shown


def test_colours_need_a_terminal_and_no_objection() -> None:
    assert "\x1b[1m" in on_terminal(show("TABLE")).out
    assert "\x1b" not in on_terminal(show("TABLE"), NO_COLOR="1").out
    assert "\x1b" not in on_terminal(show("TABLE"), TERM="dumb").out


def test_a_strangers_text_reaches_a_terminal_as_text() -> None:
    rows = "[SPRING | {'name': '\\x1b[31mred [bold]b[/bold] :smile: \\u202eevil'}]"
    shown = on_terminal(show("TABLE", rows), NO_COLOR="1").out
    assert "\ufffd[31mred [bold]b[/bold] :smile: \ufffdevil" in " ".join(shown.split())
    assert "\x1b" not in shown and "\u202e" not in shown


def test_csv_on_a_terminal_is_as_harmless() -> None:
    rows = "[SPRING | {'name': '\\x1b]0;owned\\x07'}]"
    for format in ("CSV", "JSON"):
        assert "\x1b" not in on_terminal(show(format, rows)).out


def test_a_record_is_one_line_for_each_column(capsys: pytest.CaptureFixture[str]) -> None:
    output.record(SPRING, COLUMNS)
    assert capsys.readouterr().out.splitlines()[:2] == ["Campaign\tSpring", "Accepted\t1234567"]
    output.record(SPRING, COLUMNS, Format.JSON)
    assert json.loads(capsys.readouterr().out)["accepted"] == 1_234_567


@given(st.text())
def test_clean_text_holds_nothing_that_commands_a_terminal(text: str) -> None:
    shown = wording.clean(text)
    assert len(shown) == len(text)
    assert all(ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0 for c in shown)
    assert not set(shown) & set(
        "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
    shown.encode("utf-8")


def test_arabic_and_hebrew_keep_their_marks() -> None:
    for mark in ("\u200e", "\u200f", "\u061c"):
        assert wording.clean(f"سلة{mark}") == f"سلة{mark}"


@given(st.text())
def test_no_csv_cell_is_a_formula(text: str) -> None:
    cell = wording.csv_cell(text)
    assert not cell.startswith(tuple("=@\t\r\n＝＋－＠"))
    if cell.startswith(("+", "-")):
        float(cell)  # a plain number does no harm


@pytest.mark.parametrize("value", [-5, 5.25, "-5", "+3.5", "x=1", "", "a-b"])
def test_what_is_no_formula_stays_as_it_is(value: object) -> None:
    assert wording.csv_cell(value) == value


@pytest.mark.parametrize(
    "value", ["=1", "+SUM(A1)", "-cmd|x", "@x", "\t=1", "\r=1", "-", "＝1"]
)
def test_what_begins_like_a_formula_gets_an_apostrophe(value: str) -> None:
    assert wording.csv_cell(value).startswith("'")


def test_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([SPRING | {"name": 'a "b", c'}], COLUMNS, Format.CSV)
    assert next(csv.DictReader(io.StringIO(capsys.readouterr().out)))["name"] == 'a "b", c'


@given(st.text())
def test_json_loses_nothing_and_commands_nothing(text: str) -> None:
    shown = wording.json_text({"text": text})
    assert json.loads(shown) == {"text": text}
    assert wording.clean(shown) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 ms"),
        (850, "850 ms"),
        (59_999, "59s"),
        (200_000, "3m 20s"),
        (7_200_000, "2h"),
        (90_061_000, "1d 1h"),
        (86_400_000 * 400 + 60_000, "400d"),
    ],
)
def test_durations_show_their_two_largest_units(value: int, shown: str) -> None:
    assert wording.duration(value) == shown


def test_nobody_to_ask_is_a_usage_error_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="--yes"):
        output.confirm("Send it?")
    assert output.confirm("Send it?", yes=True)


@pytest.mark.parametrize(("typed", "said"), [("y", "True"), ("", "False"), ("no", "False")])
def test_a_person_is_asked(typed: str, said: str) -> None:
    code = "from pushctl import output; print(output.confirm('Send it?'))"
    shown = on_terminal([sys.executable, "-c", code], answers=[typed], NO_COLOR="1").out
    assert shown.startswith("Send it? [y/N] ")
    assert shown.endswith(f"{said}\n")


def test_progress_is_silent_off_a_terminal_and_a_bar_on_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with output.progress("Sending", 100) as bar:
        bar.advance(100)
    assert capsys.readouterr() == ("", "")
    code = (
        "from pushctl import output\n"
        "with output.progress('Sending [x]') as bar:\n"
        "    bar.total(2000); bar.advance(2000)\n"
    )
    shown = on_terminal([sys.executable, "-c", code]).out
    assert "Sending [x]" in shown and "2,000/2,000" in shown


def test_a_bar_ends_with_what_was_done() -> None:
    code = (
        "from pushctl import output\n"
        "with output.progress('Importing', 6, estimated=True) as bar:\n"
        "    bar.advance(5)\n"
        "with output.progress('Sending', 9) as bar:\n"
        "    bar.advance(7)\n"  # stopped: two are left
        "with output.progress('Nothing') as bar:\n"
        "    pass\n"
    )
    shown = on_terminal([sys.executable, "-c", code]).out
    last = shown.replace("\r", "\n").splitlines()
    assert [line for line in last if "Importing" in line][-1].count("5/5")
    assert [line for line in last if "Sending" in line][-1].count("7/9")
    assert "0/0" not in shown


def test_a_panel_is_plain_lines_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.panel("one\ntwo\x1b", "Next")
    assert capsys.readouterr().err == "Next\none\ntwo\ufffd\n"


def test_rich_is_loaded_only_for_a_terminal() -> None:
    code = (
        "import sys; from tests.test_output import output, SPRING, COLUMNS, Format\n"
        "[output.rows([SPRING], COLUMNS, each) for each in Format]\n"
        "output.say('x')\n"
        "print([m for m in sys.modules if m.split('.')[0] == 'rich'], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_without_even_that_each_row_has_lines_of_its_own() -> None:
    shown = on_terminal(show("TABLE"), COLUMNS="20", NO_COLOR="1").out
    assert "Accepted  1,234,567\n" in shown


def test_lines_of_its_own_have_the_columns_of_a_narrow_table_and_the_total() -> None:
    more = "[Column('name', 'Campaign'), Column('gone', 'Gone', kind=Kind.NUMBER, spare=True)]"
    rows = "[{'name': 'a' * 30, 'gone': 2}]"
    total = "{'name': 'Total', 'gone': 2}"
    code = (
        "from tests.test_output import *\n"
        f"output.rows({rows}, [*{more}, *COLUMNS[1:3]], Format.TABLE, total={total})"
    )
    shown = on_terminal([sys.executable, "-c", code], COLUMNS="24", NO_COLOR="1").out
    assert "Gone" not in shown
    assert "Campaign  Total\n" in shown


def test_what_all_rows_have_is_left_out_on_a_terminal_alone() -> None:
    usual = "[Column('name', 'Campaign'), Column('state', 'State', usual='on')]"
    code = (
        "from tests.test_output import *\n"
        f"output.rows([{{'name': 'a', 'state': 'on'}}], {usual}, Format.TABLE)"
    )
    command = [sys.executable, "-c", code]
    assert "State" not in on_terminal(command, NO_COLOR="1").out
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "Campaign\tState\na\ton\n"


def test_a_terminal_gets_a_thousand_rows_and_a_pipe_all() -> None:
    code = (
        "from tests.test_output import *\n"
        "output.rows(({'n': n} for n in range(1500)), [Column('n', 'N')], Format.TABLE)"
    )
    command = [sys.executable, "-c", code]
    shown = on_terminal(command, NO_COLOR="1").out
    assert "\n999" in shown and "\n1000" not in shown
    assert "These are the first 1,000" in shown
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("1499\n") and done.stderr == ""


def test_what_is_said_breaks_between_words_below_where_it_began() -> None:
    text = "Error: it is wrong\n    Run pushctl import, then try again"
    assert wording.wrapped(text, 24) == (
        "Error: it is wrong\n    Run pushctl import,\n    then try again"
    )
    address = f"  see https://shop.example/{'x' * 40}"
    assert wording.wrapped(address, 20).split() == address.split()
    assert wording.wrapped("a b", 80) == "a b"
    assert wording.wrapped(f"    {'x' * 40}", 20) == f"    {'x' * 40}"


def look(code: str) -> str:
    code = f"from pushctl.output import *\n{code}"
    return on_terminal([sys.executable, "-c", code], NO_COLOR="1").out


def test_times_say_their_zone_in_the_head_where_all_have_the_same() -> None:
    columns = "[Column('name', 'Name'), Column('at', 'When', kind=Kind.TIME)]"
    rows = f"[{{'name': 'a', 'at': {NOON}}}, {{'name': 'b', 'at': {NOON + 60_000}}}]"
    shown = look(f"rows({rows}, {columns}, Format.TABLE)")
    assert "When (CEST)" in shown and "2026-04-28 10:00" in shown
    assert "10:00 CEST" not in shown
    # Later the clock is put back: one head can't speak for both.
    rows = f"[{{'name': 'a', 'at': {NOON}}}, {{'name': 'b', 'at': 1795000000000}}]"
    shown = look(f"rows({rows}, {columns}, Format.TABLE)")
    assert "2026-04-28 10:00 CEST" in shown and "2026-11-18 12:06 CET" in shown


def test_a_record_says_the_zone_of_each_time() -> None:
    shown = look(f"record({{'at': {NOON}}}, [Column('at', 'When', kind=Kind.TIME)])")
    assert "2026-04-28 10:00 CEST" in shown

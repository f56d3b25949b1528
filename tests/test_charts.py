"""pushctl.charts: pictures made of letters, and the same in words."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pushctl import charts, output
from pushctl.errors import UsageError
from pushctl.output import streams
from pushctl.rules.wording import number, share

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=60)
LABELS = st.text(st.characters(categories=["L", "N", "Zs"]), max_size=30)


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert charts.draw_sparkline([0, 1, 2, 3, 4, 5, 6, 7], 80) == "▁▂▃▄▅▆▇█"
    assert charts.draw_sparkline([5, None, 5], 80) == "▄·▄"
    assert charts.draw_sparkline([None, None], 80) == "··"
    assert charts.draw_sparkline([0, 7, None], 80, ascii_only=True) == "_@?"


def test_what_has_no_room_is_drawn_as_means_of_neighbours() -> None:
    assert charts.draw_sparkline([0, 0, 7, 7, None, None], 3) == "▁█·"
    # One that is known among the unknown stands for both.
    assert charts.draw_sparkline([0, 0, None, 7], 2) == "▁█"


def test_bars_begin_at_zero() -> None:
    points = [("Turkey", 0.08), ("Egypt", 0.04), ("elsewhere", None), ("lost", -0.08)]
    first, second, third, _ = charts.draw_bars(points, share, 40)
    assert first.split()[1].count("█") // 2 == second.split()[1].count("█")
    assert "█" not in third and third.endswith("·")


@given(st.lists(st.tuples(LABELS, st.none() | st.floats(-1e6, 1e6)), max_size=9))
def test_bars_never_leave_their_room(points: list[charts.Point]) -> None:
    for line in charts.draw_bars(points, lambda value: f"{value:.0f}", 60):
        assert cell_len(line) <= 60


@given(VALUES, st.integers(1, 40))
def test_a_sparkline_never_leaves_its_room(values: list[float | None], room: int) -> None:
    assert len(charts.draw_sparkline(values, room)) == min(len(values), room)


GRID = charts.Grid(["Mon", "Sun"], ["00", "01", "02"], [[0.0, 0.5, 1.0], [None, 0.25, 0.75]])


def test_a_heat_map_says_everything_without_colour() -> None:
    lines = ["".join(text for text, _ in line) for line in charts.draw_grid(GRID, share, 80)]
    assert [line.replace("\u202f", " ") for line in lines] == [
        "    00 01 02",
        "Mon ░░░▓▓▓███",
        "Sun ·  ▒▒▒███",
        "░░ from 0.0 %  ▒▒ from 25.0 %  ▓▓ from 50.0 %  ██ from 75.0 %  · too few",
    ]
    assert charts.rank_grid(GRID) == [[0, 2, 3], [None, 1, 3]]


def test_a_week_of_hours_fits_80_columns() -> None:
    hours = [f"{hour:02}" for hour in range(24)]
    week = charts.Grid(["Mon"] * 7, hours, [[hour / 100 for hour in range(24)]] * 7)
    for line in charts.draw_grid(week, share, 80):
        assert cell_len("".join(text for text, _ in line)) <= 80


def test_words_say_what_a_picture_shows() -> None:
    points = [("1 Nov", 3.0), ("2 Nov", None), ("3 Nov", 1.0), ("4 Nov", 2.0)]
    assert charts.describe_points("Clicks", points, number) == (
        "Clicks: 3.0 at 1 Nov, 2.0 at 4 Nov; lowest 1.0 at 3 Nov, highest 3.0 at 1 Nov; "
        "1 unknown."
    )
    assert charts.describe_points("Clicks", [("1 Nov", None)], number) == (
        "Clicks: nothing is known yet."
    )
    assert charts.describe_grid("CTR", GRID, share, count=1) == [
        "CTR: highest 100.0\u202f% (Mon 02).",
        "Lowest 0.0\u202f% (Mon 00).",
        "1 cells have too few to tell.",
    ]


class Terminal(io.StringIO):
    """A stdout that is a terminal, of 80 columns."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    made = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    yield made


@contextmanager
def on(terminal: Terminal) -> Iterator[None]:
    with redirect_stdout(terminal):
        yield


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_plain", True)


HOSTILE = "a\x1b]0;x\x07\u202eb"


def test_charts_clean_the_texts_of_others(terminal: Terminal) -> None:
    with on(terminal):
        output.sparkline(HOSTILE, [(HOSTILE, 1.0), (HOSTILE, 2.0)], number)
        output.bars(HOSTILE, [(HOSTILE, 1.0)], number)
        output.heat(HOSTILE, [HOSTILE], [HOSTILE], [[1.0]], number)
        output.curve(HOSTILE, [(HOSTILE, 1.0), (HOSTILE, 2.0)], number)
    shown = terminal.getvalue()
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "█" in shown


def test_a_pipe_gets_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    output.sparkline("Clicks", [("1", 1.0)], number)
    output.bars("Clicks", [("1", 1.0)], number)
    output.heat("Clicks", ["1"], ["1"], [[1.0]], number)
    output.curve("Clicks", [("1", 1.0)], number)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("plain")
def test_plain_output_is_words_alone(terminal: Terminal) -> None:
    columns = [
        output.Column("name", "Campaign"),
        output.Column("sent", "Planned", kind=output.Kind.NUMBER),
    ]
    rows = [{"name": "sale", "sent": 1200}, {"name": HOSTILE, "sent": None}]
    with on(terminal):
        output.sparkline("Clicks", [("1 Nov", 1.0), ("2 Nov", 2.0)], number)
        output.bars("By country", [("TR", 0.08), ("?", None)], share)
        output.rows(rows, columns, total={"sent": 1200})
        output.panel("Hello", "Title", stdout=True)
    shown = terminal.getvalue()
    assert shown.splitlines()[:3] == [
        "Clicks: 1.0 at 1 Nov, 2.0 at 2 Nov; lowest 1.0 at 1 Nov, highest 2.0 at 2 Nov.",
        "By country",
        "TR: 8.0\u202f%",
    ]
    assert "Campaign: sale\nPlanned: 1,200\n\nCampaign: a" in shown
    assert "Planned: unknown\n\nPlanned: 1,200\nTitle\nHello\n" in shown
    drawn = {letter for letter in shown if 0x2500 <= ord(letter) <= 0x28FF}
    assert not drawn and "\x1b" not in shown


def test_a_curve_says_which_package_it_needs(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    with on(terminal), pytest.raises(UsageError, match=r"pip install 'pushctl\[charts\]'"):
        output.curve("Active", [("1 Nov", 1.0)], number)
    assert terminal.getvalue() == ""


def test_a_curve_has_a_gap_where_nothing_is_known(terminal: Terminal) -> None:
    points = [(f"{day} Nov", None if day == 5 else float(day)) for day in range(1, 11)]
    with on(terminal):
        output.curve("Active", points, number)
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "Active" and "1 Nov" in lines[-1] and "10 Nov" in lines[-1]
    assert all(cell_len(line) <= 80 for line in lines)

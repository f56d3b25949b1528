"""pushctl.terminal: how a table fits into the room that there is."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pushctl import terminal

HEADINGS = [
    terminal.Heading("Campaign", right=False),
    terminal.Heading("CTR accepted", right=True, spare=True),
    terminal.Heading("Started", right=False),
    terminal.Heading("Planned", right=True, foot="1,234,567"),
]
CAMPAIGN = ["abandoned_basket_1/2", "12.3 %", "2026-11-22 09:04", "1,234,567"]


def laid_out(room: int, row: list[str] = CAMPAIGN) -> str | None:
    table = terminal.table(HEADINGS, [row], room)
    if table is None:
        return None
    console = Console(width=room, file=io.StringIO(), color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_with_room_stands_loose() -> None:
    shown = laid_out(80)
    assert shown is not None
    assert "CTR accepted   Started" in shown
    assert "abandoned_basket_1/2         12.3 %   2026-11-22 09:04   1,234,567" in shown


def test_a_table_without_it_moves_together_then_lets_spare_columns_go() -> None:
    shown = laid_out(60)
    assert shown is not None and " CTR" in shown and "accepted  Started" in shown
    shown = laid_out(50)
    assert shown is not None and "accepted" not in shown
    assert "abandoned_basket_1/2  2026-11-22 09:04  1,234,567" in shown


@given(st.integers(20, 100), st.text(st.characters(categories=["L", "N", "Zs"]), max_size=60))
def test_no_figure_is_ever_cut(room: int, name: str) -> None:
    shown = laid_out(room, [name, *CAMPAIGN[1:]])
    if shown is None:
        assert room < 60
        return
    assert "1,234,567" in shown and "…" not in shown
    assert all(cell_len(line) <= room for line in shown.splitlines())


def test_what_is_to_be_copied_stays_whole() -> None:
    headings = [
        terminal.Heading("File", right=False),
        terminal.Heading("Hash", False, whole=True),
    ]
    row = ["a file of some length", "sha384-" + "x" * 40]
    assert terminal.table(headings, [row], 60) is not None
    assert terminal.table(headings, [row], 50) is None


def test_a_table_that_cannot_fit_is_none() -> None:
    assert laid_out(30) is None


RATES = [
    terminal.Heading("Campaign", right=False),
    terminal.Heading("Accepted", right=True),
    terminal.Heading("Clicks", right=True, spare=True),
    terminal.Heading("CTR", right=True, foot="9.0 %", bounded=True),
    terminal.Heading("Revenue", right=True),
]
SALE = ["sale 2026-11-22", "1,000", "99", "7.1 %\n(5.6-8.8)", "1,240.50 EUR +\n300.00 USD"]


def lay_out_rates(room: int) -> list[str]:
    table = terminal.table(RATES, [SALE], room)
    if table is None:
        return []
    console = Console(width=room, file=io.StringIO(), color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert all(cell_len(line) <= room for line in lines)
    return lines


def test_an_interval_stands_beside_its_rate_then_below_it_then_gives_way() -> None:
    beside = "sale 2026-11-22      1,000       99   7.1 % (5.6-8.8)   1,240.50 EUR + 300.00 USD"
    assert beside in lay_out_rates(82)
    assert lay_out_rates(70)[2:4] == [
        "sale 2026-11-22     1,000      99      7.1 %  1,240.50 EUR +",
        "                                   (5.6-8.8)      300.00 USD",
    ]
    # The spare column goes before the interval.
    assert lay_out_rates(55)[2:4] == [
        "sale 2026-11-22     1,000      7.1 %  1,240.50 EUR +",
        "                           (5.6-8.8)      300.00 USD",
    ]
    assert lay_out_rates(49)[2:4] == [
        "sale 2026-11-22     1,000  7.1 %  1,240.50 EUR +",
        "                                      300.00 USD",
    ]
    assert lay_out_rates(30) == []

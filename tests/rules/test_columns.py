"""How cells for people are written."""

import pytest

from pushctl.rules.columns import Column, Kind, has_too_many_amounts, write_cell
from pushctl.rules.money import Money

REVENUE = Column("revenue", "Revenue", kind=Kind.MONEY)


@pytest.mark.parametrize("count", range(6))
def test_a_cell_that_cuts_currencies_is_known(count: int) -> None:
    worth = [Money(100, 2, name) for name in ("EUR", "USD", "TRY", "SAR", "GBP")[:count]]
    cell = write_cell({"revenue": worth}, REVENUE)
    assert has_too_many_amounts(worth) == ("more" in cell)
    assert cell.count("+") == max(min(count, 3) - 1, 0)


def test_counts_by_name_have_their_thousands() -> None:
    column = Column("left_out", "Left out", kind=Kind.NUMBER)
    assert write_cell({"left_out": {"city": 3750, "tag": 2}}, column) == "city: 3,750, tag: 2"
    assert write_cell({"left_out": {}}, column) == "-"


def test_an_unknown_amount_is_not_cut() -> None:
    assert not has_too_many_amounts(None)

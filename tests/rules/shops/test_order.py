"""What a page's purchase says of an order; what can't be meant is unknown."""

from typing import Any

import pytest

from pushctl.rules.money import Money
from pushctl.rules.shops import order

TEA = {"id": "tea", "name": "Tea", "price": "4,50 €", "quantity": 3}
CUP = {"id": "cup", "name": "Cup", "price": "12,00 €"}


@pytest.mark.parametrize(
    ("properties", "number"),
    [
        ({"order": "1007"}, "1007"),
        ({"order": 1007}, "1007"),
        ({"order_id": " A-7 "}, "A-7"),
        ({"order_number": 1001}, "1001"),
        ({"transaction_id": "T1"}, "T1"),
        ({"order": "", "order_id": "B"}, "B"),
        ({"id": "lamp"}, None),  # a product's
        ({"order": True}, None),
        ({"order": 10.5}, None),
        ({"order": {"id": 1}}, None),
        ({"order": "x" * 101}, None),
        ({}, None),
    ],
)
def test_what_names_an_order(properties: dict[str, Any], number: str | None) -> None:
    found = order.read(properties, "EUR")
    assert (found.number if found else None) == number


@pytest.mark.parametrize(
    ("told", "site", "total"),
    [
        ({"total": 49}, "EUR", Money(4900, 2, "EUR")),
        ({"total": 49, "currency": "USD"}, "EUR", Money(4900, 2, "USD")),
        ({"total": 49.5}, None, Money(495, 1, None)),
        ({"total": "1.249,00 €"}, None, Money(124900, 2, "EUR")),
        ({"total": "1,200", "currency": "JPY"}, None, Money(1200, 0, "JPY")),
        ({"total": "1.250", "currency": "KWD"}, None, None),  # 1.250 or 1250?
        ({"total": 1.25, "currency": "KWD"}, None, Money(1250, 3, "KWD")),
        ({"total": 49, "currency": "points"}, "EUR", Money(49, 0, None)),
        ({"total": "$ 20"}, None, Money(20, 0, None)),  # whose dollar?
        ({"total": "$ 20"}, "USD", Money(2000, 2, "USD")),
        ({"total": "20 €", "currency": "USD"}, None, None),
        ({"items": [TEA, CUP]}, None, Money(2550, 2, "EUR")),
        ({"items": [TEA, {"id": "x"}]}, None, None),
        ({"items": [TEA, CUP], "total": "20,00 €"}, None, Money(2000, 2, "EUR")),
        ({"items": [TEA], "total": "free"}, "EUR", None),
        ({"total": -5}, "EUR", None),
        ({"total": 0}, "EUR", Money(0, 2, "EUR")),
        ({"total": 1e12}, "EUR", None),
        ({}, "EUR", None),
    ],
)
def test_a_total_is_exact_or_unknown(
    told: dict[str, Any], site: str | None, total: Money | None
) -> None:
    found = order.read({"order": 1, **told}, site)
    assert found is not None and found.total == total


def test_lines_have_all_items_with_prices_of_their_own() -> None:
    found = order.read({"order": 1, "items": [TEA, *[CUP] * 25, "odd", {"id": 7}]}, "EUR")
    assert found is not None and len(found.lines) == 27
    assert found.lines[0] == order.Line("tea", "Tea", 3, Money(450, 2, "EUR"))
    assert found.lines[-1] == order.Line("7", None, 1, None)

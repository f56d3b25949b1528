"""Amounts as people write them; what may mean two numbers is unknown, never 0."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.rules import amounts


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("49", 49), (" 49.90 ", 49.9), ("49,90", 49.9), ("49,9", 49.9), ("0.75", 0.75),
        ("1.249,00", 1249), ("1,249.00", 1249), ("1 249.00", 1249), ("1\u00a0249,50", 1249.5),
        ("1\u202f249", 1249), ("1'249.00", 1249), ("1’249’000.50", 1249000.5),
        ("1.249.000", 1249000), ("12,34,567.00", 1234567), ("49,90 €", 49.9), ("€49.90", 49.9),
        ("EUR 49.90", 49.9), ("49.00 EUR", 49), ("49,-", 49), ("49,– €", 49), ("49.-", 49),
        ("1.249 €", 1249), ("$1,249", 1249), ("1249.000", 1249), ("0.750", 0.75),
        ("0,750", 0.75), (".5", 0.5), ("-5,00", -5), ("٤٩٫٩٠", 49.9), ("١٬٢٤٩", 1249),
        ("49 TL", 49),
        ("1.249,00 zł", 1249), ("Fr. 49.50", 49.5), ("Rs.500", 500),
        ("49.90 kr.", 49.9), ("12345678,5", 12345678.5),
        (49.9, 49.9), (0, 0), (1.249, 1.249),
    ],
)  # fmt: skip
def test_a_number_as_people_write_it(text: Any, number: float) -> None:
    assert amounts.read(text).number == pytest.approx(number)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "free", "from 49", "49 pcs", "1.249", "1,249", "1.249 KWD", "4 9", "1.2.3",
        "1,2,3.4", "1.249.00", "10 %", "10%", "€", "EUR", "1e3", "1_000", "inf", "nan", "49-59",
        "49/59", "€ 49 EUR", "--5", "1 2 3", "0x10", "1.249,00,00", "1" * 70, None, True, [],
        {}, 1e300, float("inf"), float("nan"), 10**400,
    ],
)  # fmt: skip
def test_what_is_no_number_or_may_be_two_is_unknown(text: Any) -> None:
    assert amounts.read(text).number is None


def test_the_currency_or_the_other_prices_decide() -> None:
    assert amounts.read("1.249", "EUR").number == 1249
    assert amounts.read("1.249", "KWD").number is None
    assert amounts.read("1.249", "none").number is None
    assert amounts.read("1.249", decimal=",").number == 1249
    assert amounts.read("1.249", decimal=".").number == 1.249
    assert amounts.read("1,249", "KWD", decimal=".").number == 1249


@pytest.mark.parametrize(
    ("values", "decimal"),
    [
        ({"total": "49,90"}, ","),
        ({"items": [{"price": "49.90 €"}, {"price": "1.249"}]}, "."),
        ({"items": [{"price": "1.249.000"}]}, ","),
        ({"total": "49,90", "price": "49.90"}, None),
        ({"version": "1.5", "total": "1.249"}, None),
        ({"total": 49.9}, None),
        (["x"], None),
    ],
)
def test_the_separator_of_a_message(values: Any, decimal: str | None) -> None:
    assert amounts.find_decimal(values) == decimal


@pytest.mark.parametrize(
    ("text", "currencies"),
    [("49 €", {"EUR"}), ("49", set()), ("TRY 49", {"TRY"}), ("49 tl", {"TRY"})],
)
def test_the_currency_beside_a_number(text: str, currencies: set[str]) -> None:
    assert amounts.read(text).currencies == currencies


def test_a_sign_of_several_currencies_fits_each_of_them() -> None:
    found = amounts.read("$49")
    assert found.fits("USD") and found.fits("CAD") and not found.fits("EUR")
    assert amounts.read_currency("$") is None
    assert amounts.read_currency("€") == amounts.read_currency("eur") == "EUR"
    assert amounts.read_currency("Points") is None


@given(st.text(alphabet="0123456789.,' €-+EUR٤٫", max_size=20))
def test_no_text_breaks_it(text: str) -> None:
    number = amounts.read(text, "EUR", amounts.find_decimal({"price": text})).number
    assert number is None or abs(number) < amounts.LARGEST


@given(st.integers(0, 10**9), st.sampled_from([",", "."]))
def test_what_a_program_writes_with_two_digits_is_read(cents: int, decimal: str) -> None:
    group = {",": ".", ".": ","}[decimal]
    written = f"{cents // 100:,}".replace(",", group) + f"{decimal}{cents % 100:02}"
    assert amounts.read(written).number == pytest.approx(cents / 100)

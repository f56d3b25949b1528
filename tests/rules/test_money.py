"""Money: exact minor units by ISO 4217, whatever a float has made of an amount."""

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.rules import amounts, money
from pushctl.rules.money import Money

# Of no country any more, while old lists of products may name them.
FORMER = {"ANG", "BGN"}


def test_exponents_are_those_that_iso_4217_publishes() -> None:
    published = {
        code: int(row["CcyMnrUnts"])
        for code, row in iso4217.raw_table.items()
        if code and (row["CcyMnrUnts"] or "").isdigit()
    }
    assert published.keys() >= amounts.CURRENCIES - FORMER
    ours = {code: amounts.count_decimals(code) for code in amounts.CURRENCIES - FORMER}
    assert ours == {code: published[code] for code in ours}


def test_no_currency_of_a_country_is_missing() -> None:
    """What is published besides are units of account, funds and metals."""
    others = {"BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD"}
    published = {
        code
        for code, row in iso4217.raw_table.items()
        if code and (row["CcyMnrUnts"] or "").isdigit()
    }
    assert published - amounts.CURRENCIES <= others


@pytest.mark.parametrize(
    ("number", "currency", "expected"),
    [
        (19.99, "EUR", Money(1999, 2, "EUR")),
        (1200, "JPY", Money(1200, 0, "JPY")),
        (1.25, "KWD", Money(1250, 3, "KWD")),
        (59.97000000000001, "EUR", Money(5997, 2, "EUR")),  # 3 * 19.99 in a script
        (0.30000000000000004, "USD", Money(30, 2, "USD")),
        (1.005, "EUR", Money(101, 2, "EUR")),  # the float itself is below
        (-5.5, "EUR", Money(-550, 2, "EUR")),
        (0, "EUR", Money(0, 2, "EUR")),
        (19.99, None, Money(1999, 2, None)),
        (19.5, None, Money(195, 1, None)),
        (100.0, None, Money(100, 0, None)),
        (999_999_999_999.999, "KWD", Money(999_999_999_999_999, 3, "KWD")),
        (1e12, "EUR", None),
        (float("nan"), "EUR", None),
        (float("inf"), None, None),
        (None, "EUR", None),
    ],
)
def test_an_amount_becomes_minor_units(
    number: float | None, currency: str | None, expected: Money | None
) -> None:
    assert money.of(number, currency) == expected


def test_a_price_may_be_finer_than_a_coin() -> None:
    assert money.of(1.799, "EUR", fine=True) == Money(1799, 3, "EUR")
    assert money.of(1.79, "EUR", fine=True) == Money(179, 2, "EUR")
    assert money.of(1.799, "EUR") == Money(180, 2, "EUR")


@given(
    st.integers(-(10**14), 10**14),
    st.sampled_from([("JPY", 0), ("EUR", 2), ("KWD", 3)]),
)
def test_the_digits_that_were_written_come_back(minor: int, unit: tuple[str, int]) -> None:
    currency, exponent = unit
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    cut = len(digits) - exponent
    text = ("-" if minor < 0 else "") + digits[:cut] + ("." + digits[cut:] if exponent else "")
    if abs(minor) < 10 ** (12 + exponent):
        found = money.of(float(text), currency)
        assert found == Money(minor, exponent, currency)
        assert found is not None and found.text == text


def test_sums_are_by_currency_and_exact() -> None:
    parts = [Money(10, 2, "EUR"), Money(1, 3, "EUR"), Money(5, 0, "JPY"), Money(7, 1, None)]
    assert money.sum_up(parts * 3) == [
        Money(303, 3, "EUR"), Money(15, 0, "JPY"), Money(21, 1, None),
    ]  # fmt: skip
    assert [str(one) for one in money.sum_up(parts)] == [
        "0.101 EUR", "5 JPY", "0.7 of unknown currency",
    ]  # fmt: skip

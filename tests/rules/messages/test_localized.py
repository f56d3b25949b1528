"""Prices, dates and plurals as the readers of a language write them."""

import datetime

import pytest

from pushctl.rules.messages.localized import (
    choose_plural,
    format_date,
    format_money,
    format_number,
)
from pushctl.rules.money import Money

SIX = {"zero": "0", "one": "1", "two": "2", "few": "3-10", "many": "11-99", "other": "100"}


@pytest.mark.parametrize(
    ("money", "language", "text"),
    [
        (Money(4900, 2, "EUR"), "en", "€49.00"),
        (Money(4900, 2, "EUR"), "de", "49,00\u00a0€"),
        (Money(124950, 2, "TRY"), "tr", "₺1.249,50"),
        (Money(4900, 2, "EUR"), "ar", "\u200f49.00\u00a0€"),
        (Money(500, 0, "JPY"), "en", "¥500"),
        (Money(1250, 3, "IQD"), "en", "IQD1.25"),
        (Money(1799, 3, "EUR"), "en", "€1.799"),
        (Money(100, 2, "EUR"), "tlh", "€1.00"),
    ],
)
def test_money_as_a_language_writes_it(money: Money, language: str, text: str) -> None:
    assert format_money(money, language) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en-GB", "24 December 2026"),
        ("ru", "24 декабря 2026\u202fг."),
        ("zh-TW", "2026年12月24日"),
        ("ar", "24 ديسمبر 2026"),
    ],
)
def test_a_date_as_a_language_writes_it(language: str, text: str) -> None:
    assert format_date(datetime.date(2026, 12, 24), language) == text


@pytest.mark.parametrize(
    ("number", "form"),
    [(0, "0"), (1, "1"), (2.0, "2"), (7, "3-10"), (11, "11-99"), (100, "100"), (1.5, "100")],
)
def test_arabic_has_six_forms(number: float, form: str) -> None:
    assert choose_plural(number, SIX, "ar-EG") == form


def test_a_missing_form_is_the_other_one() -> None:
    assert choose_plural(21, {"one": "товар", "other": "товара"}, "ru") == "товар"
    assert choose_plural(5, {"one": "товар", "other": "товара"}, "ru") == "товара"
    assert choose_plural(5, {"one": "товар"}, "ru") is None


def test_a_number_as_a_language_writes_it() -> None:
    assert format_number(1249.5, "nl") == "1.249,5"

"""First names, and nothing where it is not sure; capitals by language."""

import pytest

from pushctl.rules.messages.casing import (
    write_capital,
    write_lower,
    write_title,
    write_upper,
)
from pushctl.rules.messages.names import find_first_name


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Anna", "Anna"), ("anna", "Anna"), ("dr. ANNA MARIA KÖHLER", "Anna"),
        ("Köhler, Anna", "Anna"), ("Frau Anna Müller", "Anna"), ("Anna M. Köhler", "Anna"),
        ("jean-luc picard", "Jean-Luc"), ("O'Brien", "O'Brien"), ("McKenzie Lee", "McKenzie"),
        ("د. محمد علي", "محمد"), ("مُحَمَّد علي", "مُحَمَّد"), ("Ирина Петрова", "Ирина"),
        ("रवि कुमार", "रवि"), ("İbrahim Öz", "İbrahim"),
    ],
)  # fmt: skip
def test_a_first_name_is_found(name: str, first: str) -> None:
    assert find_first_name(name) == first


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "A. Köhler", "x", "Ng", "Mr. Bean", "KÖHLER Anna", "van der Berg",
        "Abdul Rahman", "عبد الله", "王小明", "김철수", "Nguyễn Văn A", "anna@shop.example",
        "anna1", "John & Mary", "John and Mary", "Smith, John, Jr", ", Anna", "Köhler GmbH",
        "test", "Guest", "John Dоe Smith Ltd.", "Jоhn Smith", "a b c d e f", "a" * 1_000,
        "📦 Anna",
    ],
)  # fmt: skip
def test_nobody_is_called_by_a_name_that_is_not_sure(name: str) -> None:
    assert find_first_name(name) is None


def test_the_language_decides_on_order_and_letters() -> None:
    assert find_first_name("Kovács Anna", "hu") is None
    assert find_first_name("Kovács, Anna", "hu") == "Anna"
    assert find_first_name("IŞIL KAYA", "tr") == "Işıl"


def test_capitals_and_small_letters_by_language() -> None:
    assert write_upper("istanbul ılık", "tr-TR") == "İSTANBUL ILIK"
    assert write_upper("istanbul", "en") == "ISTANBUL"
    assert write_lower("DIŞ İZMİR I\u0307", "az") == "dış izmir i"
    assert write_title("ijsselmeer en ijs", "nl") == "IJsselmeer En IJs"
    assert write_title("ijsselmeer", "de") == "Ijsselmeer"
    assert write_capital("istanbul Kart", "tr") == "İstanbul Kart"
    assert write_capital("ǆep", "hr") == "ǅep"

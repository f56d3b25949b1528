"""How figures are written."""

from pushctl.rules import wording


def test_nothing_is_written_without_a_sign() -> None:
    assert wording.number(-0.0) == "0.0"
    assert wording.number(0) == "0"
    assert wording.number(-1234.5) == "-1,234.5"
    assert wording.share(-0.0001).startswith("0.0")
    assert wording.share(-0.001).startswith("-0.1")


def test_the_nearest_names_are_asked_for_those_that_begin_so_first() -> None:
    known = ["Sale 3", "sale 2", "sale 1", "sale 0", "May"]  # the newest first
    assert wording.ask_nearest("SALE", known) == (
        "Did you mean 'sale 1' or 'sale 2' or 'Sale 3'?"
    )
    assert wording.ask_nearest("Maj", known) == "Did you mean 'May'?"
    assert wording.ask_nearest("wholly other", known) == ""

"""How figures are written."""

from pushctl.rules import wording


def test_nothing_is_written_without_a_sign() -> None:
    assert wording.number(-0.0) == "0.0"
    assert wording.number(0) == "0"
    assert wording.number(-1234.5) == "-1,234.5"
    assert wording.share(-0.0001).startswith("0.0")
    assert wording.share(-0.001).startswith("-0.1")

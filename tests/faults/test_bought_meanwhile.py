"""A few buyers in every test run; `bought_meanwhile.py` is the long form."""

from tests.faults import bought_meanwhile


def test_who_buys_while_reminders_are_sent_gets_none() -> None:
    figures = bought_meanwhile.run(people=300, buyers=60, seconds=1.5, seed=12)
    assert (figures["late"], figures["others"]) == (0, 0)
    assert figures["saved"]
    assert figures["skipped"] == {"bought meanwhile": figures["saved"]}

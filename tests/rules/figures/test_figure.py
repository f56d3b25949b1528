"""rules.figures: a rate of nothing is unknown, sums have rates of their own."""

from dataclasses import replace

import pytest

from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit

SENT, READ = Figure("sent", "messages"), Figure("was_read", "of them read")
RATE = Rate("rate", numerator=READ, denominator=SENT, heading="Read of sent")
TABLE = Table("letters", (Figure("name", "whose", Unit.TEXT),), (SENT, RATE))


def test_a_rate_of_nothing_is_unknown() -> None:
    assert RATE.compute({"sent": 4, "was_read": 1}) == 0.25
    assert RATE.compute({"sent": 4, "was_read": 0}) == 0.0
    assert RATE.compute({"sent": 0, "was_read": 0}) is None
    assert RATE.compute({"sent": 4}) is None
    assert RATE.compute({"sent": None, "was_read": 1}) is None


def test_a_rate_of_rates_is_computed_from_their_counts() -> None:
    both = Rate("both", numerator=RATE, denominator=RATE)
    assert both.compute({"sent": 4, "was_read": 1}) == 1.0
    assert both.sources == ("was_read", "sent", "was_read", "sent")


def test_a_table_asks_for_each_count_once_also_for_one_that_only_a_rate_needs() -> None:
    assert TABLE.sources == ("sent", "was_read")
    assert TABLE.fill({"name": "ann", "sent": 2, "was_read": 1}) == {
        "name": "ann",
        "sent": 2,
        "was_read": 1,
        "rate": 0.5,
    }


def test_a_total_adds_counts_and_not_rates() -> None:
    rows = [TABLE.fill({"sent": 1, "was_read": 1}), TABLE.fill({"sent": 3, "was_read": None})]
    assert TABLE.total(rows) == {"sent": 4, "was_read": 1, "rate": 0.25}


def test_a_heading_is_the_name_in_words_unless_it_is_given() -> None:
    assert [READ.title, RATE.title] == ["Was read", "Read of sent"]


def test_the_interval_of_a_rate_of_people_is_wilsons() -> None:
    rate = replace(RATE, bounds=Bounds.WILSON)
    found = Table("letters", (), (rate,)).fill({"sent": 1000, "was_read": 70})
    assert found["rate"] == 0.07
    # methods: 70 of 1000.
    assert found["rate_low"] == pytest.approx(0.0557764, abs=5e-8)
    assert found["rate_high"] == pytest.approx(0.0875146, abs=5e-8)
    assert found["rate_n"] == 1000


def test_an_interval_of_nothing_is_unknown() -> None:
    for bounds in (Bounds.WILSON, Bounds.GIVEN):
        rate = replace(RATE, bounds=bounds)
        given = {"sent": 0, "was_read": 0, "rate_low": 0.0, "rate_high": 1.0, "rate_n": 0}
        found = Table("letters", (), (rate,)).fill(given)
        assert [found[name] for name in ("rate", *rate.bound_names)] == [None] * 4


def test_an_interval_that_came_with_the_counts_stays() -> None:
    rate = replace(RATE, bounds=Bounds.GIVEN)
    given = {"sent": 4, "was_read": 1, "rate_low": 0.1, "rate_high": 0.5, "rate_n": 3}
    assert Table("letters", (), (rate,)).fill(given) == given | {"rate": 0.25}
    # Of a sum nobody knows it.
    total = Table("letters", (), (rate,)).total([given, given])
    assert (total["rate"], total["rate_low"]) == (0.25, None)

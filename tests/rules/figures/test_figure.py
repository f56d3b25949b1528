"""rules.figures: a rate of nothing is unknown, sums have rates of their own."""

from pushctl.rules.figures.figure import Figure, Rate, Table, Unit

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
